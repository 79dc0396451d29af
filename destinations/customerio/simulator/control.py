"""`/_sim/…` on either port: watch and steer the simulator from another process.

GET    /_sim/            ports and counts        POST   /_sim/faults    one rule
GET    /_sim/requests    ?after=<seq>            DELETE /_sim/faults
GET    /_sim/people                              POST   /_sim/keys      {"us": [...], "eu": [...]}
GET    /_sim/events                              POST   /_sim/options   those to change
GET    /_sim/options                             POST   /_sim/reset

Pages in a browser are refused, if they are of another origin or reached this address by another
name.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from delivery.validation import problem
from destinations.customerio.simulator.answer import Answer, json_answer
from destinations.customerio.simulator.call import InvalidCall, parse_body
from destinations.customerio.simulator.fault import FaultRule
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.state import State
from destinations.customerio.simulator.wire import Incoming
from destinations.http.addresses import names_own_network

PREFIX = "/_sim/"


class Keys(BaseModel):
    """New keys by region; a region without any keeps its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    us: frozenset[str] | None = None
    eu: frozenset[str] | None = None


class Control:
    def __init__(self, simulator: State) -> None:
        self._sim = simulator
        self._routes: dict[str, dict[str, Callable[[Incoming], JsonValue]]] = {
            "": {"GET": self._overview},
            "requests": {"GET": self._requests},
            "people": {"GET": lambda _: [person.as_json() for person in self._sim.people]},
            "events": {"GET": lambda _: [event.as_json() for event in self._sim.events]},
            "options": {"GET": self._options, "POST": self._set_options},
            "faults": {"POST": self._add_fault, "DELETE": self._clear_faults},
            "keys": {"POST": self._set_keys},
            "reset": {"POST": self._reset},
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
            return json_answer({"error": _first_fault(err)}, status=400)
        except InvalidCall as err:
            return json_answer({"error": str(err)}, status=400)

    def _overview(self, _: Incoming) -> JsonValue:
        return {
            "base_urls": dict(self._sim.base_urls),
            "requests": len(self._sim.requests),
            "people": len(self._sim.people),
            "events": len(self._sim.events),
        }

    def _requests(self, incoming: Incoming) -> JsonValue:
        text = parse_qs(urlsplit(incoming.target).query).get("after", ["0"])[0]
        if not text.isdecimal():
            raise InvalidCall("after: must be a request's seq, a whole number")
        return [request.as_json() for request in self._sim.requests if request.seq > int(text)]

    def _options(self, _: Incoming) -> JsonValue:
        options: JsonValue = self._sim.options.model_dump(mode="json")
        return options

    def _set_options(self, incoming: Incoming) -> JsonValue:
        changed = {**self._sim.options.model_dump(), **parse_body(incoming.raw)}
        self._sim.set_options(Options.model_validate(changed))
        return self._options(incoming)

    def _add_fault(self, incoming: Incoming) -> JsonValue:
        self._sim.add_fault(FaultRule.model_validate(parse_body(incoming.raw)))
        return {}

    def _clear_faults(self, _: Incoming) -> JsonValue:
        self._sim.clear_faults()
        return {}

    def _set_keys(self, incoming: Incoming) -> JsonValue:
        keys = Keys.model_validate(parse_body(incoming.raw))
        self._sim.set_keys(us=keys.us, eu=keys.eu)
        return {}

    def _reset(self, _: Incoming) -> JsonValue:
        self._sim.reset()
        return {}


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


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {problem(fault)}"


def _listed(
    names: dict[str, dict[str, Callable[[Incoming], JsonValue]]]
    | dict[str, Callable[[Incoming], JsonValue]],
) -> str:
    return ", ".join(name or "/" for name in names)
