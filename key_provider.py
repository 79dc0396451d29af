"""Load a process's secrets: from a key provider, else from the settings.

In development, what the settings lack is made once, and kept beside the databases.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from emitonce.ids import decode_secret
from emitonce.key_ring import HOW_TO_MAKE_A_KEY, KEY_BYTES, parse_keys
from settings import KeyProvider, Secrets, Settings, SettingsError

# Of 32 random bytes about 30 differ, never in practice fewer than this; of a typed text, often.
FEWEST_DISTINCT_BYTES = 16
TOKEN_CHARACTERS = 32

T = TypeVar("T")


def load_secrets(settings: Settings) -> Secrets:
    """The secrets, from the key provider that the settings name, else from the settings.

    Raises:
        SettingsError: a secret is missing in production, malformed, or weak.
    """
    provider = _provider(settings) if settings.key_provider else LocalKeys(settings)
    found = provider.secrets()
    if settings.env == "production":
        _check_production(settings, found)
    return replace(found, encrypt_payloads=settings.payload_encryption)


class LocalKeys:
    """From the settings; in development what is absent is generated once into `data_dir`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def secrets(self) -> Secrets:
        given = self._settings
        credential_keys, instance_secret = given.credential_keys, given.instance_secret
        if bool(credential_keys) != bool(instance_secret) or (
            given.env == "production" and not credential_keys
        ):
            raise SettingsError(
                "EMITONCE_CREDENTIAL_KEYS and EMITONCE_INSTANCE_SECRET must both be set; make "
                f"each with: {HOW_TO_MAKE_A_KEY} and write the former as k1:<value>"
            )
        made = Secrets({}, b"")
        if given.env != "production" and not (credential_keys and given.payload_keys):
            made = _development_secrets(given.data_dir / "secrets.json")
        if credential_keys and instance_secret:
            made = replace(
                made,
                credential_keys=_read(parse_keys, "EMITONCE_CREDENTIAL_KEYS", credential_keys),
                instance_secret=_read(decode_secret, "EMITONCE_INSTANCE_SECRET", instance_secret),
            )
        if given.payload_keys:
            made = replace(
                made, payload_keys=_read(parse_keys, "EMITONCE_PAYLOAD_KEYS", given.payload_keys)
            )
        return made


def _provider(settings: Settings) -> KeyProvider:
    module, _, name = (settings.key_provider or "").partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise SettingsError(
            "EMITONCE_KEY_PROVIDER: must name a callable that can be imported, as module:callable"
        ) from None
    provider: KeyProvider = make(settings)
    return provider


def _check_production(settings: Settings, found: Secrets) -> None:
    if not settings.payload_encryption:
        settings.forbid_in_production(
            "EMITONCE_PAYLOAD_ENCRYPTION to be off", "set EMITONCE_PAYLOAD_KEYS"
        )
    if not found.payload_keys:
        raise SettingsError(
            f"EMITONCE_PAYLOAD_KEYS must be set; make a key with: {HOW_TO_MAKE_A_KEY} and write "
            "it as k1:<value>. Without it Temporal would store people's data readable"
        )
    secrets_by_name = {
        **{f"credential key {id!r}": key for id, key in found.credential_keys.items()},
        **{f"payload key {id!r}": key for id, key in found.payload_keys.items()},
        "the instance secret": found.instance_secret,
    }
    seen: dict[bytes, str] = {}
    for name, secret in secrets_by_name.items():
        if len(set(secret)) < FEWEST_DISTINCT_BYTES:
            raise SettingsError(f"{name} is not a random value; make one with: {HOW_TO_MAKE_A_KEY}")
        if secret in seen:
            raise SettingsError(
                f"{name} is the same as {seen[secret]}; make one of its own with: "
                f"{HOW_TO_MAKE_A_KEY}"
            )
        seen[secret] = name
    if settings.codec_token and len(settings.codec_token.get_secret_value()) < TOKEN_CHARACTERS:
        raise SettingsError(
            f"EMITONCE_CODEC_TOKEN: needs at least {TOKEN_CHARACTERS} characters; "
            f"make one with: {HOW_TO_MAKE_A_KEY}"
        )


def private_folder(path: Path) -> None:
    """Make a folder that only its owner opens; one that others may list is closed to them.

    Passing through may stay allowed: the embedded PostgreSQL of root runs as another user.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o067:
        path.chmod(0o700)


def _development_secrets(path: Path) -> Secrets:
    private_folder(path.parent)
    if not path.exists():
        fresh = {
            "credential_keys": f"dev:{_random_key()}",
            "instance_secret": _random_key(),
            # Directories may share a Temporal server, so their keys' ids differ.
            "payload_keys": f"dev-{secrets.token_hex(3)}:{_random_key()}",
        }
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(fresh, file)
        with contextlib.suppress(FileExistsError):
            # Of two processes that start at once, the first one's secrets hold.
            os.link(draft, path)
        draft.unlink()
    try:
        stored = json.loads(path.read_text())
        return Secrets(
            credential_keys=parse_keys("credential_keys", stored["credential_keys"]),
            instance_secret=decode_secret("instance_secret", stored["instance_secret"]),
            payload_keys=parse_keys("payload_keys", stored["payload_keys"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SettingsError(
            f"{path} is damaged: restore it, or delete it together with the databases beside it, "
            "whose credentials it encrypts"
        ) from None


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _read(read: Callable[[str, str], T], setting: str, value: SecretStr) -> T:
    try:
        return read(setting, value.get_secret_value())
    except ValueError as err:
        raise SettingsError(str(err)) from None
