"""How the fields of a connection's destination are stored.

The setting `region` has a column of its own; every other setting is in `settings`. The secrets are
one encrypted text: as it is where the destination has a single secret, otherwise a JSON object. So
a connection to the first destination is stored as the first release reads and writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from catalog import values
from catalog.database import Record
from catalog.destinations import Destinations
from catalog.encryption.cipher import CredentialCipher, Encrypted
from catalog.errors import InvalidValue
from delivery.errors import InvalidField

FIELDS_BYTES = 32_768


def settings_of(row: Record) -> dict[str, str]:
    region = {"region": row["region"]} if row["region"] else {}
    return {**region, **row["settings"]}


@dataclass(frozen=True)
class Change:
    """What a connection's row becomes; `renewed` says that the credential is another one."""

    settings: dict[str, str]
    encrypted: Encrypted
    renewed: bool


class ConnectionFields:
    def __init__(self, cipher: CredentialCipher, destinations: Destinations) -> None:
        self._cipher = cipher
        self._destinations = destinations

    def read(
        self, type: str, given: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, SecretStr]]:
        """Read all fields of a connection as they are stored: settings and secrets.

        Raises:
            InvalidValue: a value is wrong, or a field is missing or unknown.
        """
        known = self._destinations.this_release().destination_types
        if type not in known:
            raise InvalidValue("type", f"must be one of {', '.join(known)}")
        try:
            read = self._destinations.read_fields(type, given)
        except InvalidField as err:
            raise InvalidValue(f"metadata.{err.field}", err.problem) from None
        values.json_object("metadata", read, largest=FIELDS_BYTES)
        secret = self._destinations.secret_keys(type)
        return (
            {key: value for key, value in read.items() if key not in secret},
            {key: SecretStr(value) for key, value in read.items() if key in secret},
        )

    def secrets(self, row: Record) -> dict[str, SecretStr]:
        """Raises `CannotDecrypt`."""
        text = self._cipher.decrypt(
            Encrypted(row["key_id"], row["encrypted_key"]),
            workspace=str(row["workspace_id"]),
            connection=str(row["id"]),
        )
        if not text.get_secret_value().startswith("{"):
            return {self._destinations.secret_keys(row["type"])[0]: text}
        return {key: SecretStr(value) for key, value in json.loads(text.get_secret_value()).items()}

    def change(self, row: Record, given: Mapping[str, str]) -> Change:
        """Return what a stored connection becomes when these fields change.

        Raises:
            InvalidValue: see `read`.
            CannotDecrypt: a secret stays, but the key ring can't decrypt it.
        """
        stored = Encrypted(row["key_id"], row["encrypted_key"])
        before = settings_of(row)
        if not given:
            return Change(before, stored, renewed=False)
        type, secret = row["type"], self._destinations.secret_keys(row["type"])
        # Secrets that are all replaced need not be read: their key may be lost.
        kept = {} if set(secret) <= given.keys() else self.secrets(row)
        plain = {key: value.get_secret_value() for key, value in kept.items()}
        settings, secrets = self.read(type, {**before, **plain, **given})
        if secrets == kept:
            encrypted = stored
        else:
            place = {"workspace": str(row["workspace_id"]), "connection": str(row["id"])}
            encrypted = self.encrypt(type, secrets, **place)
        renewed = settings != before or secrets != kept or not given.keys().isdisjoint(secret)
        return Change(settings, encrypted, renewed)

    def encrypt(
        self, type: str, secrets: Mapping[str, SecretStr], *, workspace: str, connection: str
    ) -> Encrypted:
        plain = {key: secret.get_secret_value() for key, secret in secrets.items()}
        keys = self._destinations.secret_keys(type)
        text = plain.get(keys[0], "") if len(keys) == 1 else ""
        if not text or text.startswith("{"):
            text = json.dumps(plain)
        return self._cipher.encrypt(SecretStr(text), workspace=workspace, connection=connection)
