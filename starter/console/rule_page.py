"""Show the form of a rule, with what its payload would send, and read what is typed."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from catalog.connections import Connection
from catalog.mappings import Mapping
from catalog.rules import Rule
from destinations.destination import NotListed, Option
from starter.api.embedding import require_connection
from starter.console.mapping_form import ON_ERROR, TRANSFORMS
from starter.console.names import (
    ANSWER_SECONDS,
    all_connections,
    all_rules,
    if_answered,
    known_names,
    last_payload,
    written,
)
from starter.console.preview import Preview, preview
from starter.console.rule_form import RuleForm
from starter.console.visit import Visit
from starter.console.words import sentence
from starter.known_destinations import destination_of
from starter.live_options import live_options, mapping_fields
from starter.test_person import TEST_PERSON, about_test_person, sample_payload

LAST_EVENT = "The last real event of this type, with the test person in place of its own."
NO_EVENT = (
    "There is no real event of this type yet, or it is too long for this box. This is a sample."
)


async def show_form(
    visit: Visit,
    form: RuleForm,
    rule: Rule | None,
    mapping: Mapping | None,
    *,
    status: int = 200,
    **context: Any,
) -> Response:
    """Show a rule, stored or not, with what its payload would send."""
    connections = await all_connections(visit)
    return await visit.page(
        "rules/form.html",
        status=status,
        rule=rule,
        connections=connections,
        connection=next((one for one in connections if one.id == form.connection), None),
        names=await known_names(visit),
        test_person=TEST_PERSON["email"],
        preview=await preview_of(visit, form, mapping, rule.id if rule else None),
        **await form_context(visit, form, rule.id if rule else None),
        **{"result": None, "test_fault": None} | context,
    )


async def read_form(visit: Visit, connection: str) -> tuple[RuleForm, Mapping | None]:
    """Read what is typed, and the connection's mapping. Raises `NotFound`.

    An embedded session for one resource chooses neither the resource nor the mapping.
    """
    await require_connection(visit.catalog, visit.embed, connection)
    to = await visit.catalog.connections.get(visit.organization, connection)
    form = RuleForm.read(visit.form, destination_of(to.type))
    mapping = await mapping_of(visit, to.id)
    form.connection = to.id
    if visit.embed is not None and visit.embed.only:
        form.resource, form.resource_id = visit.embed.only.values()
        form.take_mapping(mapping)
    return form, mapping


async def without_saving(visit: Visit, form: RuleForm, mapping: Mapping | None) -> bool:
    """Say whether a button asks for something other than saving, and change the form as it asks."""
    pressed = visit.form
    if pressed.text("of", form.connection) != form.connection:  # what is typed is another's
        form.take_mapping(mapping)
    elif "add_row" in pressed:
        form.free_rows += 1
    elif "load_payload" in pressed:
        await load_payload(visit, form, mapping)
    else:
        return False
    return True


async def load_payload(visit: Visit, form: RuleForm, mapping: Mapping | None) -> None:
    """Fill the box with the last real event of this type, about the test person; else a sample."""
    schema = mapping.schema if mapping else form.destination.default_mapping
    found = await if_answered(last_payload(visit, form.event))
    payload = sample_payload(schema) if found is None else about_test_person(found, schema)
    form.payload = written(payload)
    form.payload_note = NO_EVENT if found is None else LAST_EVENT


async def form_context(visit: Visit, form: RuleForm, rule: str | None) -> dict[str, Any]:
    """Return what the form shows; `sharing` are the other rules that use its mapping."""
    rules = await all_rules(visit)
    connection = await visit.catalog.connections.get(visit.organization, form.connection)
    (listed, unlisted), fields = await asyncio.gather(
        _listed(visit, form, connection),
        mapping_fields(visit.parts.clients, visit.catalog, connection, seconds=ANSWER_SECONDS),
    )
    shown = {row.dest for row in form.rows}
    return {
        "form": form,
        "listed": listed,
        "unlisted": unlisted,
        "fields": [one for one in fields if one.key not in shown],
        "rows": form.shown_rows(),
        "of": connection,
        "sharing": [one for one in rules if one.connection == form.connection and one.id != rule],
        "transforms": TRANSFORMS,
        "on_error": ON_ERROR,
    }


async def _listed(
    visit: Visit, form: RuleForm, connection: Connection
) -> tuple[dict[str, tuple[Option, ...]], str]:
    """What the action's fields can name, by kind; or none, and why."""
    try:
        return await live_options(
            visit.parts.clients, visit.catalog, connection, form.action, seconds=ANSWER_SECONDS
        ), ""
    except NotListed as err:
        return {}, sentence(f"can't be listed now: {err}")


async def preview_of(
    visit: Visit, form: RuleForm, mapping: Mapping | None, rule: str | None
) -> Preview:
    fleet = await visit.catalog.workers.fleet()
    return preview(
        form,
        form.schema(mapping),
        workspace=visit.workspace.id,
        rule=rule,
        build=fleet.newest_build,
    )


async def mapping_of(visit: Visit, connection: str) -> Mapping | None:
    return await visit.catalog.mappings.default(visit.organization, connection)
