"""`/_sim/…` on any port: look at a simulator and steer it from another process.

GET    /_sim/            ports and counts        POST   /_sim/faults    one rule
GET    /_sim/requests    ?after=<seq>            DELETE /_sim/faults
GET    /_sim/state       what is stored          POST   /_sim/reset

A vendor's own adds to these. A browser's page is not such a process: one of another origin, or
whose name was pointed here, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from pydantic import JsonValue, ValidationError

from delivery.validation import first_fault
from destinations.http.addresses import names_own_network
from destinations.simulator.answer import Answer, json_answer
from destinations.simulator.fault import FaultRule
from destinations.simulator.request import Request
from destinations.simulator.wire import Incoming

PREFIX = "/_sim/"

# By name below the prefix and by method.
Routes = Mapping[str, Mapping[str, Callable[[Incoming], JsonValue]]]


class Controlled(Protocol):
    """What can be seen and steered."""

    @property
    def base_urls(self) -> dict[str, str]: ...
    @property
    def requests(self) -> Sequence[Request]: ...
    def state(self) -> dict[str, JsonValue]: ...
    def add_fault(self, rule: FaultRule) -> None: ...
    def clear_faults(self) -> None: ...
    def reset(self) -> None: ...


class Control:
    def __init__(self, simulator: Controlled, own: Routes) -> None:
        self._sim = simulator
        self._routes: Routes = {
            "": {"GET": self._overview},
            "requests": {"GET": self._requests},
            "state": {"GET": lambda _: self._sim.state()},
            "faults": {"POST": self._add_fault, "DELETE": self._clear_faults},
            "reset": {"POST": self._reset},
            **own,
        }

    def handle(self, incoming: Incoming) -> Answer:
        """Answer a request: 403, 404 and 405 as usual; 400 names the field that can't be read."""
        if not _asked_from_own_network(incoming):
            return json_answer(
                {"error": "only programs on this network are answered, not pages of others"},
                status=403,
            )
        name = urlsplit(incoming.target).path.removeprefix(PREFIX)
        route = self._routes.get(name)
        if route is None:
            return json_answer(
                {"error": f"no such page; there are {_listed(self._routes)}"}, status=404
            )
        action = route.get(incoming.method)
        if action is None:
            return json_answer({"error": f"method must be {_listed(route)}"}, status=405)
        try:
            return json_answer(action(incoming))
        except ValidationError as err:
            return json_answer({"error": ": ".join(first_fault(err))}, status=400)
        except ValueError as err:
            return json_answer({"error": str(err)}, status=400)

    def _overview(self, _: Incoming) -> JsonValue:
        counts: dict[str, JsonValue] = {
            name: len(found)
            for name, found in self._sim.state().items()
            if isinstance(found, list | dict)
        }
        return {
            "base_urls": dict(self._sim.base_urls),
            "requests": len(self._sim.requests),
            **counts,
        }

    def _requests(self, incoming: Incoming) -> JsonValue:
        text = parse_qs(urlsplit(incoming.target).query).get("after", ["0"])[0]
        if not text.isdecimal():
            raise ValueError("after: must be a request's seq, a whole number")
        return [request.as_json() for request in self._sim.requests if request.seq > int(text)]

    def _add_fault(self, incoming: Incoming) -> JsonValue:
        self._sim.add_fault(FaultRule.model_validate(read_object(incoming.raw)))
        return {}

    def _clear_faults(self, _: Incoming) -> JsonValue:
        self._sim.clear_faults()
        return {}

    def _reset(self, _: Incoming) -> JsonValue:
        self._sim.reset()
        return {}


def read_object(raw: bytes) -> dict[str, JsonValue]:
    """Raises `ValueError` for anything but one JSON object."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("request body must be a JSON object")
    return value


def _asked_from_own_network(incoming: Incoming) -> bool:
    headers = dict(incoming.headers)
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    origin = headers.get("origin")
    return (
        bool(name)
        and names_own_network(name)
        and origin in (None, f"http://{host}")
        and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    )


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(name or "/" for name in names)
