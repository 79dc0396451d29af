"""Which workspace, connection or rule a command means: by id, by name, or because it is in use.

A workspace that isn't named is the one in `EMITONCE_WORKSPACE`, else the one that `emitonce use`
chose, else the only one. A rule's name is its event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from catalog import Catalog
from catalog.errors import NotFound
from catalog.paging import read_all
from catalog.values import read_id
from catalog.workspaces import Workspace
from key_provider import private_folder
from settings import Settings
from starter.cli.errors import CommandFailed, Exit

SHOWN = 10
FILE = "workspace"


class Noun(StrEnum):
    """What a parameter names. Such a parameter is an id by the time the command gets it."""

    WORKSPACE = "workspace"
    CONNECTION = "connection"
    RULE = "rule"


IN_USE = "(in use)"

InWorkspace = Annotated[
    str, typer.Option(metavar="WORKSPACE", help="The workspace, by id or name."), Noun.WORKSPACE
]
OnlyOfWorkspace = Annotated[
    str | None,
    typer.Option(
        metavar="WORKSPACE", help="Only in this workspace. Default: the one in use, or all."
    ),
    Noun.WORKSPACE,
]
ThisWorkspace = Annotated[
    str, typer.Argument(metavar="WORKSPACE", help="The workspace, by id or name."), Noun.WORKSPACE
]
OfConnection = Annotated[
    str, typer.Option(metavar="CONNECTION", help="The connection, by id or name."), Noun.CONNECTION
]
OnlyByConnection = Annotated[
    str | None,
    typer.Option(metavar="CONNECTION", help="Only for this connection, by id or name."),
    Noun.CONNECTION,
]
ThisConnection = Annotated[
    str,
    typer.Argument(metavar="CONNECTION", help="The connection, by id or name."),
    Noun.CONNECTION,
]
OnlyByRule = Annotated[
    str | None,
    typer.Option(metavar="RULE", help="Only for this rule, by id or event."),
    Noun.RULE,
]
ThisRule = Annotated[
    str, typer.Argument(metavar="RULE", help="The rule, by id or event."), Noun.RULE
]


def nouns_of(annotations: Mapping[str, Any]) -> dict[str, Noun]:
    """Find the parameters that name something."""
    return {
        parameter: part
        for parameter, annotation in annotations.items()
        for part in get_args(annotation)
        if isinstance(part, Noun)
    }


@dataclass(frozen=True)
class Names:
    """Finds what is meant among what belongs to the organization."""

    catalog: Catalog
    organization: str
    settings: Settings

    async def ids(self, nouns: Mapping[str, Noun], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return `given` with ids where names are. A name is looked for in the workspace that is
        given, or is in use, or in all.

        Raises:
            CommandFailed: there is no such thing, or there are several.
        """
        found = dict(given)
        workspaces = [one for one, noun in nouns.items() if noun is Noun.WORKSPACE]
        for parameter in workspaces:
            name = found[parameter]
            chosen = self.in_use() if name is None else self._workspace(name)
            found[parameter] = await chosen
        within = next((found[parameter] for parameter in workspaces), None)
        for parameter, noun in nouns.items():
            name = found[parameter]
            if noun is not Noun.WORKSPACE and name is not None and read_id(name) is None:
                found[parameter] = await self._find(noun, name, within or await self.in_use())
        return found

    async def workspace(self, name: str) -> Workspace:
        """Return the workspace with this id or name. Raises `NotFound`, too."""
        id = await self._workspace(name)
        return await self.catalog.workspaces.get(self.organization, id)

    async def _workspace(self, name: str) -> str:
        if name == IN_USE:
            return await self.the_workspace()
        return await self._find(Noun.WORKSPACE, name, None)

    async def the_workspace(self) -> str:
        """Return the workspace in use, or the only one."""
        if chosen := await self.in_use():
            return chosen
        known = await self._known(Noun.WORKSPACE, None)
        if not known:
            raise CommandFailed(
                Exit.NOT_FOUND, "no workspace yet: emitonce workspaces create --name 'My app'"
            )
        if len(known) > 1:
            raise CommandFailed(
                Exit.USAGE,
                "which workspace? Choose one with `emitonce use WORKSPACE`, --workspace or "
                f"EMITONCE_WORKSPACE: {_listed(known)}",
            )
        return known[0][1]

    async def in_use(self) -> str | None:
        """Return the workspace that was chosen; None if none was."""
        chosen, by = self.settings.workspace, "EMITONCE_WORKSPACE"
        if chosen is None:
            chosen, by = read_in_use(self.settings.data_dir), "`emitonce use`"
        if chosen is None:
            return None
        try:
            return (await self.workspace(chosen)).id
        except (NotFound, CommandFailed) as err:
            raise CommandFailed(Exit.NOT_FOUND, f"{by}: {err}; choose another") from None

    async def _find(self, noun: Noun, name: str, workspace: str | None) -> str:
        if read_id(name) is not None:
            return name
        known = await self._known(noun, workspace)
        found = [(one, id) for one, id in known if one == name]
        if len(found) > 1:
            raise CommandFailed(
                Exit.REFUSED, f"several {noun}s are named {name!r}, so give an id: {_listed(found)}"
            )
        if not found:
            where = f" in workspace {workspace}" if workspace else ""
            there_is = f"; there is {_listed(known)}" if known else ""
            raise CommandFailed(
                Exit.NOT_FOUND, f"there is no {noun} named {name!r}{where}{there_is}"
            )
        return found[0][1]

    async def _known(self, noun: Noun, workspace: str | None) -> list[tuple[str, str]]:
        """List names and ids."""
        catalog, organization = self.catalog, self.organization
        if noun is Noun.WORKSPACE:
            workspaces = await read_all(catalog.workspaces.list, organization)
            return [(one.name, one.id) for one in workspaces]
        if noun is Noun.CONNECTION:
            connections = await read_all(
                catalog.connections.list, organization, workspace=workspace
            )
            return [(one.name, one.id) for one in connections]
        rules = await read_all(catalog.rules.list, organization, workspace=workspace)
        return [(one.event, one.id) for one in rules]


def read_in_use(data_dir: Path) -> str | None:
    """Return the id of the workspace that `emitonce use` chose here."""
    try:
        return (data_dir / FILE).read_text().strip() or None
    except OSError:
        return None


def write_in_use(data_dir: Path, workspace: str | None) -> None:
    """Choose the workspace with this id, or none."""
    if workspace is None:
        (data_dir / FILE).unlink(missing_ok=True)
        return
    private_folder(data_dir)
    (data_dir / FILE).write_text(workspace + "\n")


def _listed(known: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{name} ({id})" for name, id in known[:SHOWN])
    return shown + (" …" if len(known) > SHOWN else "")
