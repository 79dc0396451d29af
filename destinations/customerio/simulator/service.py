"""The service without its sockets: answers requests, and has effects in workspaces.

With `X-Strict-Mode: 1`, an error is answered with its status; without it, with 200.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from destinations.customerio.simulator.attributes import call_faults, within_limits
from destinations.customerio.simulator.call import (
    CALLS,
    CallBody,
    InvalidCall,
    parse_body,
    read_call,
)
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.workspace import Workspace
from destinations.simulator import Answer, Request, json_answer
from destinations.simulator.per_second import PerSecond

MAX_BATCH_BYTES = 500_000

ACCEPTED = Answer(200, b"{}\n")


def refused(error: str, status: int = 400) -> Answer:
    """Make the answer to an invalid call, in the envelope of the API reference's 400."""
    return json_answer({"meta": {"errors": [error]}}, status=status)


class Service:
    """The service of both regions. `keys` are those that each region knows."""

    def __init__(self, keys: Mapping[str, frozenset[str]], options: Options) -> None:
        self.keys = dict(keys)
        self.options = options
        self._workspaces: dict[tuple[str, str], Workspace] = {}
        self._rate = PerSecond()

    def workspaces(self) -> Iterator[Workspace]:
        yield from self._workspaces.values()

    def accepts(self, region: str) -> str:
        return f"key {', '.join(sorted(self.keys[region]))}"

    def call_of(self, request: Request) -> str:
        """`identify` of `/v1/identify`."""
        return request.path.rpartition("/")[2]

    def key_of(self, request: Request) -> str | None:
        """The user name of Basic authentication with an empty password; None for anything else."""
        user, password = request.basic or ("", "")
        return user if user and not password else None

    def state(self) -> dict[str, JsonValue]:
        return {
            "people": [one.as_json() for space in self.workspaces() for one in space.people],
            "events": [one.as_json() for space in self.workspaces() for one in space.events],
        }

    def handle(self, request: Request) -> Answer:
        """Answer a request and apply its effect; `request.stored` says whether it had one."""
        if request.path not in [f"/v1/{call}" for call in CALLS]:
            return Answer(404)
        if request.method != "POST":
            return Answer(405, headers=(("Allow", "POST"),))
        answer = self._handle(request)
        strict = request.header("x-strict-mode") == "1"
        return answer if strict or answer.status in (200, 429) else ACCEPTED

    def _handle(self, request: Request) -> Answer:
        key = request.key
        if key is None or key not in self.keys[request.region]:
            return self._unauthorized()
        if limited := self._limited(request.region, key):
            return limited
        limit = MAX_BATCH_BYTES if request.call == "batch" else self.options.max_body_bytes
        if len(request.content) > limit:
            return self._oversize(len(request.content), limit)
        place = (request.region, key)
        workspace = self._workspaces.setdefault(place, Workspace(request.region))
        try:
            body = parse_body(request.content)
            if request.call == "batch":
                self._batch(body, workspace)
            else:
                self._apply(request.call, body, workspace)
        except InvalidCall as err:
            return refused(str(err))
        except RecursionError:
            return refused("request body is nested too deeply")
        request.stored = True
        return ACCEPTED

    def _apply(self, call: str, body: dict[str, JsonValue], workspace: Workspace) -> None:
        read = read_call(call, body)
        self._check_limits(read)
        now = datetime.now(UTC)
        if call == "identify":
            workspace.identify(read, self.options, now)
        elif call == "track":
            workspace.track(read, self.options, now)

    def _batch(self, body: dict[str, JsonValue], workspace: Workspace) -> None:
        """Apply the parts in order; drop invalid ones."""
        parts = body.get("batch")
        if not isinstance(parts, list):
            raise InvalidCall("batch must be an array")
        for part in parts:
            try:
                if not isinstance(part, dict) or part.get("type") not in CALLS[:-1]:
                    raise InvalidCall("type is required")
                if len(json.dumps(part, ensure_ascii=False)) > self.options.max_body_bytes:
                    raise InvalidCall("call is too large")
                self._apply(str(part["type"]), part, workspace)
            except InvalidCall as err:
                workspace.notices.append(f"batch: {err}")

    def _check_limits(self, call: CallBody) -> None:
        if self.options.over_limit == "refuse":
            faults = call_faults(call) + within_limits(call.traits)[1]
            if faults:
                raise InvalidCall("; ".join(dict.fromkeys(faults)))

    def _unauthorized(self) -> Answer:
        if self.options.unauthorized_body == "empty":
            return Answer(401)
        return json_answer({"meta": {"error": "unauthorized"}}, status=401)

    def _oversize(self, size: int, limit: int) -> Answer:
        status = self.options.oversize_status
        if status == 200:
            return ACCEPTED
        return refused(f"request is {size} bytes, the limit is {limit}", status=status)

    def _limited(self, region: str, key: str) -> Answer | None:
        if not self._rate.exceeded(self.options.rate_limit, (region, key)):
            return None
        if self.options.rate_limit_action == "drop":
            return ACCEPTED
        after = self.options.rate_limit_retry_after
        return Answer(429, headers=(("Retry-After", after),) if after is not None else ())
