"""A worker's catalog by an older release's own code, in a process of its own.

Run in a folder that holds that code. Migrates its database as far as it knows, then answers one
line of JSON with each line that it reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from catalog import Catalog
from catalog.cipher import CredentialCipher
from catalog.database import open_pool
from catalog.migrate import migrate
from catalog.workers import WorkerShare


async def main(dsn: str) -> None:
    pool = await open_pool(dsn)
    await migrate(pool)
    await pool.close()
    catalog = await Catalog.open(dsn, CredentialCipher({"k1": b"1" * 32}), str)
    async with WorkerShare(catalog.workers).kept():
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(catalog, *json.loads(line))), flush=True)
    await catalog.close()


async def answer(catalog: Catalog, asked: str, *arguments: Any) -> Any:
    if asked == "slow down":
        await catalog.credentials.slow_down(*arguments)
        return None
    if asked == "replace":
        organization, connection, region, key = arguments
        await catalog.connections.update(organization, connection, region=region, api_key=key)
        return None
    found = await catalog.credentials.credential(*arguments)
    if asked == "credential":
        return [found.region, found.api_key.get_secret_value(), found.version]
    if asked == "state":
        return [found.status, found.inactive_reason]
    if found.slowed_until is None:
        return 0.0
    return (found.slowed_until - datetime.now(UTC)).total_seconds()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
