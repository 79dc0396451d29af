"""Mappings: the generated one, stored ones, and the fields that they fill."""

from __future__ import annotations

import uuid

import pytest

from destinations.customerio.metadata import MAPPED_FIELDS
from tests.api.caller import Api, assert_error, is_uuid, new_connection, new_rule

SCHEMA = {
    "schema_version": 1,
    "fields": [{"dest": "userId", "source": {"type": "path", "value": "user.id"}}],
}


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def test_default_mapping(api: Api):
    connection = (await api.post("/connections", new_connection(api))).json()["connection"]
    path = f"/connections/{connection['id']}/mappings/default"
    generated = (await api.get(path)).json()
    assert generated["status"] == "generated"
    assert generated["mapping"]["version"] == 1
    destinations = [field["dest"] for field in generated["mapping"]["schema"]["fields"]]
    assert destinations == list(MAPPED_FIELDS)
    body = {"schema": SCHEMA, "expected_version": 0, "workspace_id": api.stack.workspace}
    stored = (await api.call("PUT", path, body)).json()
    assert (stored["status"], stored["mapping"]["version"]) == ("stored", 2)
    assert stored["mapping"]["schema"] == SCHEMA
    for name in ("id", "mapping_id", "workspace_id", "connection_id"):
        assert is_uuid(stored["mapping"][name])
    assert (await api.get(path)).json() == stored
    assert_error(await api.call("PUT", path, body), 409)
    again = {
        "schema": SCHEMA,
        "expected_version": 2,
        "mapping_id": stored["mapping"]["mapping_id"],
        "name": "Mine",
    }
    second = (await api.call("PUT", path, again)).json()["mapping"]
    assert (second["version"], second["name"]) == (3, "Mine")
    assert second["mapping_id"] == stored["mapping"]["mapping_id"]
    assert_error(
        await api.call("PUT", path, {"schema": SCHEMA, "mapping_id": connection["id"]}), 409
    )
    foreign = {"schema": SCHEMA, "workspace_id": str(uuid.uuid4())}
    assert_error(await api.call("PUT", path, foreign), 404, "workspace_id")


async def test_a_generated_mapping_is_replaced_by_the_version_that_it_was_read_with(api: Api):
    connection = (await api.post("/connections", new_connection(api))).json()["connection"]
    path = f"/connections/{connection['id']}/mappings/default"
    body = {
        "schema": SCHEMA,
        "expected_version": (await api.get(path)).json()["mapping"]["version"],
    }
    assert (await api.call("PUT", path, body)).json()["mapping"]["version"] == 2
    assert_error(await api.call("PUT", path, body), 409)
    assert_error(await api.call("PUT", path, body | {"expected_version": 0}), 409)


async def test_stored_mapping_is_delivered_by(api: Api):
    rule = (await api.post("/rules", await new_rule(api))).json()["rule"]
    path = f"/connections/{rule['connection']}/mappings/default"
    assert (await api.call("PUT", path, {"schema": SCHEMA})).status_code == 200
    created = await api.emitted({"event": "user.signup", "payload": {"user": {"id": "usr_9"}}})
    await api.ended(created["id"])
    assert [call.body["userId"] for call in api.stack.calls()] == ["usr_9", "usr_9"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "schema"),
        ({"schema": []}, 422, "schema"),
        ({"schema": {"fields": [{"dest": ""}]}}, 422, "schema.fields[0].dest"),
        ({"schema": {"fields": [], "schema_version": 2}}, 422, "schema.schema_version"),
        ({"schema": {"fields": [], "x": 1}}, 422, "schema.x"),
        ({"schema": SCHEMA, "name": ""}, 400, "name"),
        ({"schema": SCHEMA, "expected_version": "1"}, 400, "expected_version"),
        ({"schema": SCHEMA, "expected_version": -1}, 400, "expected_version"),
    ],
)
async def test_bad_mapping_is_refused(shared_api: Api, body: dict, status: int, param: str):
    connection = (await shared_api.post("/connections", new_connection(shared_api))).json()[
        "connection"
    ]
    path = f"/connections/{connection['id']}/mappings/default"
    assert_error(await shared_api.call("PUT", path, body), status, param)
    assert (await shared_api.get(path)).json()["status"] == "generated"


async def test_field_catalog(api: Api):
    connection = (await api.post("/connections", new_connection(api))).json()["connection"]
    path = f"/connections/{connection['id']}/fields"
    catalog = (await api.get(path)).json()
    assert [field["key"] for field in catalog["fields"]] == list(MAPPED_FIELDS)
    assert (await api.get(path, refresh="true")).json() == catalog
    assert is_uuid(catalog["id"])
    assert_error(await api.get(path, refresh="yes"), 400, "refresh")
