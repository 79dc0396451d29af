"""A connection changed by one release is read as it is now by the other, in either direction."""

from __future__ import annotations

import pytest

from catalog.errors import OlderRelease, ReleaseTooOld
from catalog.worker_share import WorkerShare
from destinations.registry import FIRST_RELEASE
from tests.conftest import psql
from tests.contract.catalog_samples import Tenant, opened
from tests.contract.older_fleet import OlderWorker
from tests.integration.stack import eventually

NOTES = {"type": "tiny_notes", "name": "Notes", "fields": {"address": "http://127.0.0.1:1"}}


@pytest.mark.slow
async def test_a_key_replaced_by_either_release_is_the_next_one_in_both(
    mixed: tuple[OlderWorker, Tenant, str],
) -> None:
    older, tenant, _ = mixed
    place = (tenant.workspace, tenant.connection.id)
    owned = (tenant.organization, tenant.connection.id)
    assert await older.ask("credential", *place) == ["us", "cdp-key-1", 1]

    await tenant.catalog.connections.update(
        *owned, fields={"cdpApiKey": "cdp-key-2", "region": "eu"}
    )

    async def older_has_it() -> bool:
        found: list[object] = await older.ask("credential", *place)
        assert found in (["us", "cdp-key-1", 1], ["eu", "cdp-key-2", 2])
        return found == ["eu", "cdp-key-2", 2]

    await eventually(older_has_it)
    await older.ask("replace", *owned, "us", "cdp-key-3")

    async def ours_has_it() -> bool:
        found = await tenant.catalog.credentials.credential(*place)
        key = found.secrets["cdpApiKey"].get_secret_value()
        assert (found.settings["region"], key) in (("eu", "cdp-key-2"), ("us", "cdp-key-3"))
        return (key, found.version) == ("cdp-key-3", 3)

    await eventually(ours_has_it)


@pytest.mark.slow
async def test_an_older_release_reads_a_reason_that_it_never_gives(
    mixed: tuple[OlderWorker, Tenant, str],
) -> None:
    older, tenant, _ = mixed
    for reason in ("oauth_authorization_revoked", "oauth_reauthorization_required"):
        await tenant.catalog.connections.resume(tenant.organization, tenant.connection.id)
        assert await tenant.catalog.credentials.deactivate(
            tenant.connection.id, version=1, reason=reason
        )

        async def older_holds(reason: str = reason) -> bool:
            state = await older.ask("state", tenant.workspace, tenant.connection.id)
            return bool(state == ["inactive", reason])

        await eventually(older_holds)


@pytest.mark.usefixtures("tiny")
@pytest.mark.slow
async def test_a_type_that_a_live_worker_does_not_know_is_connected_once_it_is_gone(
    mixed: tuple[OlderWorker, Tenant, str],
) -> None:
    older, tenant, dsn = mixed
    connections = tenant.catalog.connections
    new = NOTES | {"workspace": tenant.workspace, "created_by": "test"}
    assert await older.ask("credential", tenant.workspace, tenant.connection.id)
    with pytest.raises(OlderRelease, match="do not know connections of type tiny_notes"):
        await connections.create(tenant.organization, **new)
    await older.leave()
    made = await connections.create(tenant.organization, **new)
    found = await tenant.catalog.credentials.credential(tenant.workspace, made.id)
    assert (found.type, found.settings) == (
        "tiny_notes",
        {"address": "http://127.0.0.1:1", "scheme": "none"},
    )
    async with opened(dsn) as elsewhere:
        with pytest.raises(ReleaseTooOld, match="tiny_notes"):
            async with WorkerShare(elsewhere.workers, knows=FIRST_RELEASE).kept():
                pass


@pytest.mark.usefixtures("tiny")
async def test_a_type_that_a_running_api_may_not_know_is_connected_an_hour_later(
    database: str,
) -> None:
    async with opened(database) as catalog, psql(database) as writer:
        tenant = await Tenant.create(catalog)
        new = NOTES | {"workspace": tenant.workspace, "created_by": "test"}
        await writer.execute(
            "INSERT INTO older_api VALUES (clock_timestamp() + interval '59 minutes', 'types')"
        )
        with pytest.raises(OlderRelease, match="for an hour after the migration"):
            await catalog.connections.create(tenant.organization, **new)
        await writer.execute("UPDATE older_api SET runs_until = clock_timestamp()")
        assert await catalog.connections.create(tenant.organization, **new)
