"""The OpenAPI document: whole, with valid examples, and readable without a network."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_spec_validator import OpenAPIV31SpecValidator

from starter.api import openapi
from tests.api.caller import Api, open_api
from tests.integration.stack import Stack

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture
def api(tenant: Api) -> Api:
    return tenant


async def operations(api: Api) -> tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]]]:
    document = (await api.http.get("/openapi.json")).json()
    return document, [
        (method, path, operation)
        for path, found in document["paths"].items()
        for method, operation in found.items()
    ]


def valid(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)


async def test_every_operation_has_a_valid_example(api: Api):
    document, found = await operations(api)
    assert document["openapi"].startswith("3.1")
    assert len(found) >= 40
    for method, path, operation in found:
        assert method in METHODS
        examples = 0
        for status, response in operation["responses"].items():
            content = response["content"]["application/json"]
            if "example" in content:
                valid(document, content["schema"], content["example"])
                examples += 1
            elif status in ("200", "201"):
                raise AssertionError(f"{method} {path} has no example of {status}")
        assert examples, (method, path)
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            if "example" in content:
                valid(document, content["schema"], content["example"])
            else:
                assert not operation["requestBody"]["required"], (method, path)


async def test_examples_of_what_is_fixed_are_what_is_answered(api: Api):
    _, found = await operations(api)

    def example(name: str) -> dict[str, Any]:
        [operation] = (one for _, _, one in found if one["operationId"] == name)
        content = operation["responses"]["200"]["content"]["application/json"]
        shown: dict[str, Any] = content["example"]
        return shown

    [integration] = example("list_integrations")["records"]
    assert integration in (await api.get("/integrations")).json()["records"]
    policy = (await api.get("/retry-policy")).json()
    shown = example("get_retry_policy")
    assert shown == policy | {
        "waits_seconds": policy["waits_seconds"][: len(shown["waits_seconds"])]
    }
    connection = (await api.stack.connection()).id
    fields = (await api.get(f"/connections/{connection}/fields")).json()
    mapping = (await api.get(f"/connections/{connection}/mappings/default")).json()["mapping"]
    assert example("get_connection_fields")["fields"] == fields["fields"]
    for name in ("catalog_version", "integration_type"):
        assert example("get_connection_fields")[name] == fields[name]
        assert example("get_default_mapping")["mapping"][name] == mapping[name]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_a_stranger_who_asks_first_makes_nobody_wait(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Making the document takes a while, so it is made apart from the event loop, once."""
    async with open_api(stack) as api:
        threads = []

        def completed(document: dict[str, Any], scopes: dict[str, str]) -> dict[str, Any]:
            threads.append(threading.current_thread())
            return document

        monkeypatch.setattr(openapi, "_completed", completed)
        await asyncio.gather(*(api.http.get(path) for _ in range(3)))
        [made_by] = threads
        assert made_by is not threading.main_thread()


async def test_the_document_is_valid_openapi(api: Api):
    document, _ = await operations(api)
    faults = OpenAPIV31SpecValidator(document).iter_errors()
    assert [(list(fault.absolute_path), fault.message) for fault in faults] == []


async def test_a_client_is_generated_with_every_operation(api: Api, tmp_path: Path):
    document, found = await operations(api)
    source, made = tmp_path / "openapi.json", tmp_path / "made"
    source.write_text(json.dumps(document))
    config = Config.from_sources(
        ConfigFile(post_hooks=[]), MetaType.NONE, source, "utf-8", True, output_path=made
    )
    assert [(left_out.header, left_out.detail) for left_out in generate(config=config)] == []
    modules = {path.stem for path in (made / "api").glob("*/*.py")} - {"__init__"}
    assert modules == {operation["operationId"] for _, _, operation in found}


async def test_validation_is_documented_as_400(api: Api):
    document, found = await operations(api)
    with_422 = [path for _, path, operation in found if "422" in operation["responses"]]
    assert with_422 == ["/api/v1/connections/{connection_id}/mappings/default"]
    assert "HTTPValidationError" not in str(document)


async def test_every_path_of_meshes_is_there(api: Api):
    _, found = await operations(api)
    there = {(method, re.sub(r"{\w+}", "{}", path)) for method, path, _ in found}
    meshes = """
        post /events
        post /events/bulk
        get /events
        get /workspaces/{}/events
        get /events/{}
        get /events/{}/payload
        post /events/{}/rules/{}/retry
        get /events/{}/rules/{}/attempts
        get /events/{}/rules/{}/attempts/{}
        get /events/{}/rules/{}/attempts/{}/response-details
        post /events/{}/rules/{}/cancel
        post /events/{}/cancel
        get /rules
        get /workspaces/{}/rules
        post /rules
        get /rules/{}
        delete /rules/{}
        get /connections
        get /workspaces/{}/connections
        post /connections
        get /connections/{}
        put /connections/{}
        delete /connections/{}
        get /connections/{}/actions
        get /connections/{}/fields
        get /connections/{}/mappings/default
        put /connections/{}/mappings/default
        get /workspaces
        post /workspaces
        get /workspaces/{}
        put /workspaces/{}
        get /workspaces/{}/event-types
        get /workspaces/{}/resources
        get /integrations
        post /sessions
        get /sessions
        post /sessions/{}/refresh
        delete /sessions/{}
    """
    for line in meshes.split("\n"):
        if line.strip():
            method, path = line.split()
            assert (method, f"/api/v1{path}") in there


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


async def test_reference_page_fetches_nothing(api: Api):
    answer = await api.http.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = Links()
    page.feed(answer.text)
    assert page.tags.isdisjoint({"script", "img", "iframe", "link"})
    assert all(link.startswith(("#", "/")) for link in page.found)
    _, found = await operations(api)
    for _, path, operation in found:
        assert path in answer.text
        assert f'id="{operation["operationId"]}"' in answer.text
