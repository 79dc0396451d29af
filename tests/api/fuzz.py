"""Schemathesis' side of the fuzz test: real ids, and a fresh token for each call.

Loaded by `schemathesis` itself, by way of SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import jwt
import schemathesis

KEY = json.loads(os.environ["EMITONCE_FUZZ_KEY"])
IDS = json.loads(os.environ["EMITONCE_FUZZ_IDS"])


@schemathesis.auth(refresh_interval=20)
class MachineToken:
    def get(self, case: schemathesis.Case, ctx: schemathesis.AuthContext) -> str:
        now = int(time.time())
        claims = {
            "iss": f"urn:meshes:m2m:{KEY['access_key']}",
            "aud": "meshes-api",
            "org": KEY["organization"],
            "iat": now,
            "exp": now + 60,
        }
        headers = {"kid": KEY["access_key"]}
        return jwt.encode(claims, KEY["secret_key"], algorithm="HS256", headers=headers)

    def set(self, case: schemathesis.Case, data: str, ctx: schemathesis.AuthContext) -> None:
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_path_parameters(
    ctx: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Every other path names what is there, so that more than 404 is met."""
    if path_parameters and len(str(path_parameters)) % 2:
        return {name: IDS.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.hook
def map_body(ctx: schemathesis.HookContext, body: Any) -> Any:
    """Bodies that name a workspace or connection name ours."""
    for one in body if isinstance(body, list) else [body]:
        if isinstance(one, dict):
            for name in ("workspace", "connection"):
                if isinstance(one.get(name), str) and len(str(one)) % 2:
                    one[name] = IDS[f"{name}_id"]
    return body
