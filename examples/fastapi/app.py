"""Emit inside a transaction, with FastAPI: the outbox.

The order and the event are written in one transaction, so neither is ever there without the other.
A background task sends what is in the outbox and takes it out once emitonce has accepted it. When
the process dies between the two, the event is sent again with the same idempotency key, the row's
id, and emitonce answers with the event that it has already.

    pip install fastapi uvicorn aiosqlite emitonce
    uvicorn app:app

The environment has `EMITONCE_URL`, `EMITONCE_WORKSPACE` and a machine key (../README.md). How it
is tested, without emitonce: test_app.py.
"""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
from fastapi import FastAPI

from emitonce import AsyncEmitter, AsyncHTTPEmitter, InvalidEvent, InvalidSetup, NotAccepted

logger = logging.getLogger("outbox")

DATABASE = os.environ.get("DATABASE", "shop.db")
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY, event TEXT NOT NULL, payload TEXT NOT NULL, refused TEXT
);
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with aiosqlite.connect(DATABASE) as database, AsyncHTTPEmitter() as emitter:
        await database.executescript(SCHEMA)
        app.state.database, app.state.news = database, asyncio.Event()
        relaying = asyncio.create_task(relay(database, emitter, app.state.news))
        yield
        relaying.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def create_order(customer: str) -> dict[str, str]:
    order = str(uuid.uuid4())
    payload = {"userId": customer, "order": order}
    database = app.state.database
    await database.execute("INSERT INTO orders VALUES (?, ?)", (order, customer))
    await database.execute(
        "INSERT INTO outbox (id, event, payload) VALUES (?, 'order.created', ?)",
        (str(uuid.uuid4()), json.dumps(payload)),
    )
    await database.commit()
    app.state.news.set()
    return {"order": order}


async def relay(database: aiosqlite.Connection, emitter: AsyncEmitter, news: asyncio.Event) -> None:
    """Send what is in the outbox, at once when there is news, else every few seconds."""
    while True:
        news.clear()
        await send_outbox(database, emitter)
        try:
            async with asyncio.timeout(5):
                await news.wait()
        except TimeoutError:
            pass


async def send_outbox(database: aiosqlite.Connection, emitter: AsyncEmitter) -> None:
    """A row leaves the outbox only when its event is stored, or was refused for what it is."""
    rows = await database.execute_fetchall(
        "SELECT id, event, payload FROM outbox WHERE refused IS NULL ORDER BY rowid LIMIT 100"
    )
    for id, event, payload in rows:
        try:
            await emitter.emit(event, json.loads(payload), idempotency_key=id)
        except NotAccepted as err:
            logger.warning("the outbox waits: %s", err)
            return  # emitonce is unavailable; the row stays, and is sent again
        except InvalidSetup as err:
            logger.error("the outbox waits for someone to fix the set-up: %s", err)
            return  # nothing is wrong with the row
        except InvalidEvent as err:
            # It would be refused again: kept for a person, and no obstacle for the others.
            logger.error("event %s is refused: %s", id, err)
            await database.execute("UPDATE outbox SET refused = ? WHERE id = ?", (str(err), id))
        else:
            await database.execute("DELETE FROM outbox WHERE id = ?", (id,))
        await database.commit()
