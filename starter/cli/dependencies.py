"""What a command works with: settings, catalog, Temporal connection."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import typer
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from catalog import Catalog
from catalog.audit import DONE, Act
from catalog.errors import CatalogUnavailable
from catalog.values import read_id
from destinations.destination import Client as DestinationClient
from emitonce import DeliveryFailed, Emitter, EventCanceled, EventHandle, InvalidEvent
from emitonce.start import EventStarter
from engine.connect import connect
from eventlog.fetch import read_event_log
from eventlog.log import EventLog
from key_provider import load_secrets
from operations.background import in_background
from process import open_catalog, open_clients
from settings import Secrets, Settings, SettingsError
from starter.cli.context import Names, nouns_of
from starter.cli.output import say
from starter.dev.database import with_database
from starter.dev.running_stack import running_stack

P = ParamSpec("P")
T = TypeVar("T")

CREATED_BY = "cli"

# A person waits at the terminal.
CONNECT_SECONDS = 5.0
SLOW_SECONDS = 3.0
NO_WORKER = "no worker is running, so nothing is delivered: start one with `emitonce worker`"


def cli_settings() -> Settings:
    """Return the settings, completed by a development stack that runs on the same data directory.

    Raises:
        SettingsError: there is none, no database is named, and none was made here before.
    """
    settings = Settings()
    if settings.env == "production":
        return settings
    stack = running_stack(settings.data_dir)
    if stack is None:
        if settings.database_url is None and not (settings.data_dir / "postgres").exists():
            raise SettingsError(_no_stack(settings, "EMITONCE_DATABASE_URL and TEMPORAL_ADDRESS"))
        return settings
    os.environ.setdefault("TEMPORAL_ADDRESS", stack["temporal"])
    found = {"ui_url": settings.ui_url or stack["ui"]}
    if not settings.urls_by_type():
        found["base_urls"] = stack["base_urls"]
    return settings.model_copy(update=found)


def require_temporal(settings: Settings) -> None:
    """Refuse to guess a server: on Temporal's usual port another project's may listen.

    Raises:
        SettingsError: in development, where neither a stack is up nor an address given.
    """
    given = ClientConfig.load_client_connect_config()
    if settings.env != "production" and "target_host" not in given:
        raise SettingsError(_no_stack(settings, "TEMPORAL_ADDRESS"))


def _no_stack(settings: Settings, variables: str) -> str:
    return (
        f"no stack is up on {settings.data_dir.absolute()}: start one there with `emitonce dev`, "
        "set EMITONCE_DATA_DIR to the directory of the one that you mean, or name servers with "
        f"{variables}"
    )


@dataclass(frozen=True)
class Dependencies:
    """`organization` is the installation's own, `clients` are those of destinations by type. `made`
    are ids of what a command has created.
    """

    settings: Settings
    secrets: Secrets
    catalog: Catalog
    organization: str
    clients: Mapping[str, DestinationClient]
    made: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return Names(self.catalog, self.organization, self.settings)

    async def temporal(self) -> Client:
        require_temporal(self.settings)
        keys = self.secrets.payload_ring()
        client = await connect(timeout_seconds=CONNECT_SECONDS, keys=keys)
        await self.catalog.keys_in_use.settle({"payload": keys})
        return client

    async def emitter(self) -> Emitter:
        return Emitter(
            await self.temporal(),
            instance_secret=self.secrets.instance_secret,
            task_queue=self.settings.task_queue,
        )

    async def event_starter(self) -> EventStarter:
        return EventStarter(
            await self.temporal(),
            instance_secret=self.secrets.instance_secret,
            task_queue=self.settings.task_queue,
        )


@asynccontextmanager
async def open_dependencies(*, check_keys: bool = True) -> AsyncIterator[Dependencies]:
    """Open them. `check_keys=False` accepts wrong keys, to find out which are missing."""
    settings = cli_settings().model_copy(update={"connect_timeout_seconds": CONNECT_SECONDS})
    secrets = load_secrets(settings)
    async with (
        with_database(settings) as complete,
        open_catalog(complete, secrets) as catalog,
        open_clients(complete) as clients,
    ):
        if check_keys:
            await catalog.keys_in_use.settle({"credential": catalog.cipher.ring})
        organization = await catalog.organizations.default()
        yield Dependencies(complete, secrets, catalog, organization.id, clients)


async def log_when_ended(parts: Dependencies, client: Client, handle: EventHandle) -> EventLog:
    """Wait until every delivery has ended, and return the log, which says how."""
    with contextlib.suppress(DeliveryFailed, InvalidEvent, EventCanceled):
        async with said_when_slow(parts, f"event {handle.id}"):
            await handle.result()
    return await read_event_log(client, handle.id)


@asynccontextmanager
async def said_when_slow(parts: Dependencies, what: str) -> AsyncIterator[None]:
    """Say once that the command still waits for `what`, and whether no worker is running."""

    async def say_so() -> None:
        await asyncio.sleep(SLOW_SECONDS)
        say(f"still waiting for {what}; Ctrl-C ends only the waiting")
        with contextlib.suppress(CatalogUnavailable):
            if not (await parts.catalog.workers.alive()).count:
                say(NO_WORKER)

    async with in_background(say_so(), name="still waiting"):
        yield


def with_dependencies(
    function: Callable[Concatenate[Dependencies, P], Awaitable[T]],
) -> Callable[P, T]:
    """Make a command of an async function, whose first parameter is opened for it. It gets ids
    where names were given: see `context.Noun`.
    """

    @wraps(function)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        async def opened() -> T:
            async with open_dependencies() as parts:
                meant = await parts.names.ids(nouns, options)
                return await function(parts, *arguments, **meant)

        return asyncio.run(opened())

    # Typer reads the options from it.
    signature = inspect.signature(function, eval_str=True)
    parameters = list(signature.parameters.values())[1:]
    nouns = nouns_of({one.name: one.annotation for one in parameters})
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Dependencies, P], Awaitable[None]]], Callable[P, None]]:
    """Add a function to a group of commands: see `with_dependencies`."""
    return lambda function: group.command(name)(with_dependencies(function))


def recorded(
    act: str,
) -> Callable[
    [Callable[Concatenate[Dependencies, P], Awaitable[T]]],
    Callable[Concatenate[Dependencies, P], Awaitable[T]],
]:
    """Record in the audit that the function is called, before it is, and how it ended.

    What its options and `parts.made` hold of ids is recorded with it.
    """

    def mark(
        function: Callable[Concatenate[Dependencies, P], Awaitable[T]],
    ) -> Callable[Concatenate[Dependencies, P], Awaitable[T]]:
        @wraps(function)
        async def run(parts: Dependencies, /, *arguments: P.args, **options: P.kwargs) -> T:
            ids = {name: id for name, id in options.items() if isinstance(id, str) and read_id(id)}
            audit, outcome = parts.catalog.audit, "failed"
            entry = await audit.start(Act("cli", _user(), act, parts.organization, ids=ids))
            try:
                result = await function(parts, *arguments, **options)
                outcome = DONE
                return result
            finally:
                with contextlib.suppress(CatalogUnavailable):
                    await audit.end(entry, outcome, parts.made)

        return run

    return mark


def _user() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user need not have a name
        return f"cli:{os.getuid()}"
