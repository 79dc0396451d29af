"""`emitonce mappings …`"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from delivery.mapping_schema import MappingSchema
from delivery.validation import first_fault
from starter.cli.context import ThisConnection
from starter.cli.dependencies import CREATED_BY, Dependencies, command, recorded
from starter.cli.output import Json, print_json, print_table
from starter.cli.payload import read_payload
from starter.known_destinations import destination_of
from starter.mapping_objects import catalog_version, mapping_object

mappings = typer.Typer(help="Mappings: which payload keys fill a connection's fields.")


@command(mappings, "get")
async def get(parts: Dependencies, connection: ThisConnection, as_json: Json = False) -> None:
    """Show a connection's mapping: the stored one, or the generated one."""
    known = await parts.catalog.connections.get(parts.organization, connection)
    stored = await parts.catalog.mappings.default(parts.organization, connection)
    _print(mapping_object(known, stored), as_json)


@command(mappings, "set")
@recorded("put_default_mapping")
async def store(
    parts: Dependencies,
    connection: ThisConnection,
    schema: Annotated[
        dict[str, Any],
        typer.Option(
            parser=read_payload,
            metavar="FILE|JSON",
            help="The mapping's schema: a JSON file, - for standard input, or the JSON itself.",
        ),
    ],
    expected_version: Annotated[
        int | None, typer.Option(help="Refuse if the mapping is at another version by now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Store a connection's mapping. It is used by events accepted from now on."""
    try:
        read = MappingSchema.model_validate(schema)
    except ValidationError as err:
        raise typer.BadParameter(": ".join(first_fault(err)), param_hint="--schema") from None
    known = await parts.catalog.connections.get(parts.organization, connection)
    stored = await parts.catalog.mappings.put_default(
        parts.organization,
        known.id,
        schema=read,
        expected_version=expected_version,
        catalog_version=catalog_version(destination_of(known.type)),
        created_by=CREATED_BY,
    )
    _print(mapping_object(known, stored), as_json)


def _print(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    print_table(
        ("field", "from", "transforms", "on error"),
        [
            (
                field["dest"],
                field["source"]["value"]
                if field["source"]["type"] == "path"
                else json.dumps(field["source"]["value"]),
                ", ".join(one["type"] for one in field.get("transforms", ())),
                field.get("on_error", "fail_action"),
            )
            for field in shown["mapping"]["schema"]["fields"]
        ],
        empty="no field is mapped",
    )
