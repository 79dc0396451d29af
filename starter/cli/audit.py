"""`emitonce audit …`: who did what."""

from __future__ import annotations

from typing import Annotated

import typer

from emitonce.ids import user_id_for
from settings import SettingsError
from starter.cli.dependencies import Dependencies, command
from starter.cli.output import Json, print_answer, print_json, print_line, print_table
from starter.json_objects import act_object, page_object

audit = typer.Typer(help="Audit: who changed, retried or canceled something, and who signed in.")


@command(audit, "user")
async def name_user(
    parts: Dependencies,
    subject: Annotated[str, typer.Argument(help="What the provider calls them: `sub`.")],
    as_json: Json = False,
) -> None:
    """Print the id of a person who signs in with EMITONCE_OIDC_ISSUER."""
    issuer = parts.settings.oidc_issuer
    if issuer is None:
        raise SettingsError("EMITONCE_OIDC_ISSUER is missing: set it as for `emitonce api`")
    id = user_id_for(parts.secrets.instance_secret, issuer, subject)
    print_answer({"user": id}, f"user:{id}", as_json=as_json)


@command(audit, "list")
async def list_all(
    parts: Dependencies,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the previous page.")] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Print all entries, one JSON object per line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the entries, newest first."""
    while True:
        page = await parts.catalog.audit.list(parts.organization, limit=limit, cursor=cursor)
        records = [act_object(recorded) for recorded in page.records]
        if not lines:
            break
        for record in records:
            print_line(record)
        cursor = page.next_cursor
        if cursor is None:
            return
    if as_json:
        print_json(page_object(records, limit, page.next_cursor))
        return
    print_table(
        ("when", "who", "from", "act", "what", "outcome"),
        [
            (
                record["created_at"],
                f"{record['via']} {record['actor']}".removeprefix("cli "),
                record["network"] or "",
                record["act"],
                " ".join(record["ids"].values()),
                record["outcome"] or "not known",
            )
            for record in records
        ],
        empty="nothing was changed yet",
    )
