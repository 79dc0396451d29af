"""A machine key: what a backend shows over HTTP, a fresh token of it with every try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from emitonce.errors import InvalidSetup

TOKEN_SECONDS = 60
_SETTINGS = ("EMITONCE_ORGANIZATION", "EMITONCE_ACCESS_KEY", "EMITONCE_SECRET_KEY")


@dataclass(frozen=True)
class MachineKey:
    """As `emitonce keys create machine` shows it. Called, it makes a token: a JWT, HS256, good for
    60 seconds."""

    organization: str
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls) -> MachineKey | None:
        """Of `EMITONCE_ORGANIZATION`, `EMITONCE_ACCESS_KEY` and `EMITONCE_SECRET_KEY`; None where
        none of them is set.

        Raises:
            InvalidSetup: some of them are set and some are not.
        """
        values = {name: os.environ.get(name, "") for name in _SETTINGS}
        if not any(values.values()):
            return None
        if missing := [name for name, value in values.items() if not value]:
            raise InvalidSetup(f"a machine key has three parts: set {' and '.join(missing)} too")
        return cls(*values.values())

    def __call__(self) -> str:
        now = int(time.time())
        claims = {
            "iss": f"urn:meshes:m2m:{self.access_key}",
            "aud": "meshes-api",
            "org": self.organization,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        header = {"alg": "HS256", "typ": "JWT", "kid": self.access_key}
        signed = f"{_part(header)}.{_part(claims)}"
        mac = hmac.new(self.secret_key.encode(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_base64(mac)}"


def _part(value: Mapping[str, object]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
