"""`emitonce token`"""

from __future__ import annotations

from emitonce.machine_key import MachineKey
from starter.cli.errors import CommandFailed, Exit
from starter.cli.output import console


def token() -> None:
    """Print a bearer token for the HTTP API. It is valid for 60 seconds.

    It is signed with the machine key in EMITONCE_ORGANIZATION, EMITONCE_ACCESS_KEY and
    EMITONCE_SECRET_KEY. A token that lasts: emitonce keys create token.
    """
    key = MachineKey.from_environment()
    if key is None:
        raise CommandFailed(
            Exit.SETTINGS,
            "there is no machine key to sign with: set EMITONCE_ORGANIZATION, EMITONCE_ACCESS_KEY "
            "and EMITONCE_SECRET_KEY, as emitonce keys create machine shows them",
        )
    console.print(key(), markup=False, soft_wrap=True, highlight=False)
