"""Keys change while events are delivered: none is lost, none fails, none stays on the old key."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from catalog import Catalog
from catalog.encryption.cipher import CredentialCipher
from catalog.encryption.keys_in_use import KeyNotEverywhere, KeysInUse, Kind, Rings, WrongKeys
from catalog.encryption.stored_secrets import StoredSecrets
from delivery.alert import AlertTarget
from destinations import registry
from destinations.customerio.simulator import US_KEY, Fault
from emitonce import EmitError, Emitter, EventHandle
from emitonce.codec import KEY_ID
from emitonce.ids import Hashes
from emitonce.key_ring import KeyRing
from emitonce.published_keys import published_keys
from operations.key_watch import watched_keys
from tests.integration.stack import SECRET, Stack, eventually
from tests.security.conftest import NEW_KEY, OLD_KEY, ring_of, sealing_client
from worker import open_worker

OLD_CREDENTIAL, NEW_CREDENTIAL = {"k1": b"1" * 32}, {"c2": b"2" * 32}
EVENTS, RULES = 67, 3


@asynccontextmanager
async def process(
    stack: Stack,
    temporal: Client,
    payload_keys: Mapping[str, bytes],
    credential_keys: Mapping[str, bytes],
) -> AsyncIterator[Stack]:
    """A worker as a process of its own has it: with its own catalog, client and keys."""
    client = await sealing_client(temporal, payload_keys)
    async with (
        process_catalog(stack, credential_keys) as catalog,
        open_worker(client, catalog, stack.clients, stack.settings),
    ):
        yield dataclasses.replace(stack, catalog=catalog, client=client)


@asynccontextmanager
async def process_catalog(stack: Stack, keys: Mapping[str, bytes]) -> AsyncIterator[Catalog]:
    catalog = await Catalog.open(
        stack.database,
        CredentialCipher(keys),
        Hashes(SECRET),
        registry,
        max_connections=4,
    )
    try:
        yield catalog
    finally:
        await catalog.close()


async def put_to_use(stack: Stack, kind: Kind, keys: Mapping[str, bytes]) -> None:
    """As `emitonce keys rotate` does."""
    [(key_id, check)] = KeyRing(keys).check_values.items()
    await stack.catalog.keys_in_use.put_to_use(kind, key_id, check)


@pytest.mark.slow
async def test_both_kinds_change_while_deliveries_are_under_way(
    sealed: Stack, temporal: Client
) -> None:
    for number in range(RULES):
        await sealed.rule(await sealed.connection(f"Customer io {number}"))
    # Slow enough that many are under way while the keys change; some are retried meanwhile.
    sealed.sim.fail("identify", fault=Fault(status=503), times=20)
    sealed.sim.fail("identify", fault=Fault(delay=0.2))
    events: list[EventHandle] = []

    async def emit(through: Stack, count: int) -> None:
        emitter = Emitter(through.client, instance_secret=SECRET, task_queue=sealed.task_queue)
        for _ in range(count):
            payload = {"userId": f"u{len(events)}", "plan": "pro"}
            events.append(await emitter.emit("user.signup", payload, workspace=sealed.workspace))

    old, both = (OLD_KEY, OLD_CREDENTIAL), (NEW_KEY | OLD_KEY, NEW_CREDENTIAL | OLD_CREDENTIAL)
    async with process(sealed, temporal, *old):
        pass  # so the old keys are those in use
    async with process(sealed, temporal, *both) as second:
        async with process(sealed, temporal, *old) as first:
            # Step one: the new keys have not reached every process, so all use the old ones.
            await emit(first, EVENTS // 4)
            for kind, keys in (("payload", NEW_KEY), ("credential", NEW_CREDENTIAL)):
                with pytest.raises(KeyNotEverywhere, match="worker"):
                    await put_to_use(sealed, kind, keys)
            assert (ring_of(second.client).current, second.catalog.cipher.ring.current) == (
                "k1",
                "k1",
            )
            leaving = asyncio.create_task(emit(second, EVENTS // 4))
        await leaving
        # Step two: they are put to use, and credentials encrypted anew, one at a time.
        await put_to_use(sealed, "payload", NEW_KEY)
        await put_to_use(sealed, "credential", NEW_CREDENTIAL)
        await eventually(lambda: _writes_with(second, payload="k2", credential="c2"))
        renewed = asyncio.create_task(_reencrypt(second))
        await emit(second, EVENTS - len(events))
        assert await renewed == RULES
        results = await asyncio.gather(*(_result(second, event) for event in events))
        assert await _key_of(second, events[0]) == "k1"
        assert await _key_of(second, events[-1]) == "k2"

    assert Counter(result["status"] for result in results) == {"completed": EVENTS}
    assert sum(result["completed_count"] for result in results) == EVENTS * RULES >= 200
    delivered = Counter(r.body["messageId"] for r in sealed.calls() if r.status == 200)
    assert len(delivered) == 2 * EVENTS * RULES
    assert set(delivered.values()) == {1}
    assert await _stored(sealed) == {"c2": RULES}


async def _stored(stack: Stack) -> dict[str, int]:
    """How many secrets are encrypted with each key."""
    stored = await StoredSecrets(stack.catalog.pool).by_key()
    return {key_id: counts.total() for key_id, counts in stored.items()}


async def _writes_with(stack: Stack, *, payload: str, credential: str) -> bool:
    used = (ring_of(stack.client).current, stack.catalog.cipher.ring.current)
    return used == (payload, credential)


async def _reencrypt(stack: Stack) -> int:
    done = 0
    async for batch in StoredSecrets(stack.catalog.pool).reencrypt(stack.catalog.cipher, batch=1):
        assert batch.unreadable == ()
        done += batch.done
    return done


async def _result(stack: Stack, event: EventHandle) -> dict[str, Any]:
    return await EventHandle(stack.client, event.id).result()


async def _key_of(stack: Stack, event: EventHandle) -> str:
    """The key that the event's input was encrypted with."""
    history = await stack.client.get_workflow_handle(event.id).fetch_history()
    [stored] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    return stored.metadata[KEY_ID].decode()


async def test_a_process_that_lacks_a_key_in_use_does_not_start(
    sealed: Stack, temporal: Client
) -> None:
    async with process(sealed, temporal, NEW_KEY, NEW_CREDENTIAL):
        pass
    await sealed.connection()  # encrypted by the test's own catalog with k1
    await put_to_use(sealed, "credential", OLD_CREDENTIAL)
    with pytest.raises(WrongKeys, match="'k2', which has been in use since") as caught:
        async with process(sealed, temporal, OLD_KEY, OLD_CREDENTIAL):
            pass
    assert "EMITONCE_PAYLOAD_KEYS" in str(caught.value)
    with pytest.raises(WrongKeys, match="EMITONCE_CREDENTIAL_KEYS"):
        async with process(sealed, temporal, NEW_KEY, {"c9": b"9" * 32}):
            pass
    assert await sealed.catalog.keys_in_use.holders() == []


async def test_another_key_of_the_same_id_is_noticed_at_the_start(
    sealed: Stack, temporal: Client
) -> None:
    async with process(sealed, temporal, OLD_KEY, OLD_CREDENTIAL):
        pass
    with pytest.raises(WrongKeys, match="'k1' is not the one in use"):
        async with process(sealed, temporal, {"k1": b"x" * 32}, OLD_CREDENTIAL):
            pass


async def test_a_former_key_may_go_once_nothing_needs_it(sealed: Stack, temporal: Client) -> None:
    async with process(sealed, temporal, OLD_KEY, OLD_CREDENTIAL):
        pass
    await sealed.connection()  # encrypted by the test's own catalog with k1
    await put_to_use(sealed, "payload", NEW_KEY)
    await put_to_use(sealed, "credential", NEW_CREDENTIAL)
    with pytest.raises(WrongKeys, match="credential key 'k1'"):
        async with process(sealed, temporal, NEW_KEY, NEW_CREDENTIAL):
            pass
    cipher = CredentialCipher(NEW_CREDENTIAL | OLD_CREDENTIAL)
    async for _ in StoredSecrets(sealed.catalog.pool).reencrypt(cipher):
        pass
    with pytest.raises(WrongKeys, match="payload key 'k1'"):
        async with process(sealed, temporal, NEW_KEY, NEW_CREDENTIAL):
            pass
    await _long_ago(sealed, days=35)
    async with process(sealed, temporal, NEW_KEY, NEW_CREDENTIAL):
        pass


async def test_no_key_is_put_to_use_while_a_process_that_lacks_it_starts(
    sealed: Stack, temporal: Client
) -> None:
    refused = []

    class PutToUseMeanwhile(KeysInUse):
        async def settle(self, rings: Rings) -> None:
            await super().settle(rings)
            try:
                await put_to_use(sealed, "payload", NEW_KEY)
            except KeyNotEverywhere as err:
                refused.append(str(err))

    client = await sealing_client(temporal, OLD_KEY)
    catalog = dataclasses.replace(
        sealed.catalog, keys_in_use=PutToUseMeanwhile(sealed.catalog.pool)
    )
    async with watched_keys(client, catalog, sealed.task_queue, role="starting"):
        assert [key.key_id for key in await catalog.keys_in_use.of("payload")] == ["k1"]
    assert "it has not reached starting (host " in refused[0]


async def _long_ago(stack: Stack, *, days: int) -> None:
    async with stack.catalog.pool.acquire() as conn:
        await conn.execute(
            "UPDATE keys_in_use SET since = since - $1 * interval '1 day'", float(days)
        )


async def test_reencryption_goes_on_where_it_was_stopped(sealed: Stack) -> None:
    made = [await sealed.connection(f"Customer io {number}") for number in range(5)]
    machine = await sealed.catalog.machine_keys.create(
        sealed.organization, name="ci", created_by="test"
    )
    cipher = CredentialCipher(NEW_CREDENTIAL | OLD_CREDENTIAL)
    renewing = StoredSecrets(sealed.catalog.pool).reencrypt(cipher, batch=2)
    assert (await anext(renewing)).done == 2
    await renewing.aclose()
    assert await _stored(sealed) == {"c2": 2, "k1": 4}
    batches = [b.done async for b in StoredSecrets(sealed.catalog.pool).reencrypt(cipher, batch=2)]
    assert sum(batches) == 4  # of the 6, what was not done before
    assert max(batches) == 2
    assert await _stored(sealed) == {"c2": 6}

    async with process_catalog(sealed, NEW_CREDENTIAL) as catalog:
        for connection in made:
            found = await catalog.credentials.credential(sealed.workspace, connection.id)
            assert found.secrets["cdpApiKey"].get_secret_value() == US_KEY
            assert found.version == 1  # it is the same credential still
        caller = await catalog.api_key_lookup.machine(machine.key.access_key)
        assert caller.secret_key == machine.secret_key


async def test_the_alert_target_is_encrypted_anew_as_credentials_are(sealed: Stack) -> None:
    target = AlertTarget(
        url=SecretStr("https://alerts.example/team-secret"), secret=SecretStr("whsec_secret")
    )
    await sealed.catalog.alert_targets.set(target)
    async with sealed.catalog.pool.acquire() as conn:
        [row] = await conn.fetch("SELECT * FROM alert_targets")
    assert b"team-secret" not in row["encrypted_target"]
    assert await _stored(sealed) == {"k1": 1}
    cipher = CredentialCipher(NEW_CREDENTIAL | OLD_CREDENTIAL)
    assert sum([b.done async for b in StoredSecrets(sealed.catalog.pool).reencrypt(cipher)]) == 1
    assert await _stored(sealed) == {"c2": 1}
    async with process_catalog(sealed, NEW_CREDENTIAL) as catalog:
        assert await catalog.alert_targets.get() == target


async def test_a_credential_that_no_key_opens_is_named_and_the_rest_goes_on(sealed: Stack) -> None:
    lost, found = await sealed.connection("Lost"), await sealed.connection("Found")
    async with sealed.catalog.pool.acquire() as conn:
        await conn.execute(
            "UPDATE connections SET encrypted_key = (SELECT encrypted_key FROM connections "
            "WHERE id = $2) WHERE id = $1",
            lost.id,
            found.id,
        )
    cipher = CredentialCipher(NEW_CREDENTIAL | OLD_CREDENTIAL)
    batches = [batch async for batch in StoredSecrets(sealed.catalog.pool).reencrypt(cipher)]
    assert sum(batch.done for batch in batches) == 1
    assert [name for batch in batches for name in batch.unreadable] == [f"connection {lost.id}"]


async def test_emitters_without_a_catalog_use_the_key_in_use(
    sealed: Stack, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(sealed, temporal, NEW_KEY | OLD_KEY, OLD_CREDENTIAL) as both:
        await put_to_use(sealed, "payload", OLD_KEY)
        async with watched_keys(both.client, both.catalog, sealed.task_queue, role="again"):
            [newest, _] = await published_keys(temporal, sealed.task_queue)
    assert newest.startswith("k1:")
    address = temporal.service_client.config.target_host

    async def emitter(keys: Mapping[str, bytes]) -> Emitter:
        return await Emitter.connect(address, task_queue=sealed.task_queue, payload_keys=keys)

    early = await emitter({"k9": b"9" * 32, **OLD_KEY})
    event = await early.emit("user.signup", {"userId": "u1"}, workspace=sealed.workspace)
    assert await _key_of(sealed, event) == "k1"
    with pytest.raises(EmitError, match=r"none of the payload keys given \(k9\) is in use yet"):
        await emitter({"k9": b"9" * 32})
    with pytest.raises(EmitError, match="is not the one in use"):
        await emitter({"k1": b"9" * 32})

    monkeypatch.setenv("EMITONCE_PAYLOAD_KEYS", f"k1:{base64.b64encode(OLD_KEY['k1']).decode()}")
    by_environment = await Emitter.connect(address, task_queue=sealed.task_queue)
    event = await by_environment.emit("user.signup", {"userId": "u1"}, workspace=sealed.workspace)
    assert await _key_of(sealed, event) == "k1"
    monkeypatch.setenv("EMITONCE_PAYLOAD_KEYS", "k1:hunter2")
    with pytest.raises(EmitError, match="EMITONCE_PAYLOAD_KEYS: ") as caught:
        await Emitter.connect(address)
    assert "hunter2" not in str(caught.value)
