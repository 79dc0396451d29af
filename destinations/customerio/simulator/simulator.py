"""Customer.io's simulator: a port for each region, and what the service behind them knows."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, JsonValue

from destinations.customerio.simulator.call import CALLS, parse_body
from destinations.customerio.simulator.events import StoredEvent
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.person import Person
from destinations.customerio.simulator.service import Service
from destinations.simulator import VendorSimulator
from destinations.simulator.control import Routes
from destinations.simulator.wire import Incoming

US_KEY = "sim-us-key"
EU_KEY = "sim-eu-key"


class Keys(BaseModel):
    """New keys by region; a region without any keeps its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    us: frozenset[str] | None = None
    eu: frozenset[str] | None = None


class Simulator(VendorSimulator[Service]):
    label = "Customer.io"
    regions = ("us", "eu")
    base_path = "/v1"
    calls = CALLS

    def __init__(
        self,
        *,
        us_keys: Iterable[str] = (US_KEY,),
        eu_keys: Iterable[str] = (EU_KEY,),
        options: Options | None = None,
    ) -> None:
        keys = {"us": frozenset(us_keys), "eu": frozenset(eu_keys)}
        super().__init__(lambda: Service(keys, options or Options()))

    @property
    def people(self) -> list[Person]:
        return [person for space in self.service.workspaces() for person in space.people]

    @property
    def events(self) -> list[StoredEvent]:
        """Every event stored, held ones too, oldest first within a key."""
        return [event for space in self.service.workspaces() for event in space.events]

    @property
    def notices(self) -> list[str]:
        """What was dropped behind a 200, and why."""
        return [notice for space in self.service.workspaces() for notice in space.notices]

    @property
    def commands(self) -> list[str]:
        """Event names received that are commands, not events."""
        return [command for space in self.service.workspaces() for command in space.commands]

    @property
    def options(self) -> Options:
        return self.service.options

    def person(
        self,
        *,
        id: str | None = None,
        email: str | None = None,
        anonymous_id: str | None = None,
        cio_id: str | None = None,
    ) -> Person | None:
        """Return the only person with all of these identifiers, or None.

        Raises:
            ValueError: there are several, in different regions or under different keys.
        """
        found = [
            person
            for person in self.people
            if id in (None, person.id)
            and (email is None or email.lower() == person.email)
            and (anonymous_id is None or anonymous_id in person.anonymous_ids)
            and cio_id in (None, person.cio_id)
        ]
        if len(found) > 1:
            raise ValueError(f"{len(found)} people have these identifiers")
        return found[0] if found else None

    def set_options(self, options: Options) -> None:
        self.service.options = options

    def set_keys(self, *, us: Iterable[str] | None = None, eu: Iterable[str] | None = None) -> None:
        """Replace the keys of the regions given."""
        for region, keys in (("us", us), ("eu", eu)):
            if keys is not None:
                self.service.keys[region] = frozenset(keys)

    def control_routes(self) -> Routes:
        """GET /_sim/people, /_sim/events and /_sim/options; POST /_sim/options, those to change;
        POST /_sim/keys, `{"us": [...], "eu": [...]}`.
        """
        return {
            "people": {"GET": lambda _: self.state()["people"]},
            "events": {"GET": lambda _: self.state()["events"]},
            "options": {"GET": self._options, "POST": self._set_options},
            "keys": {"POST": self._set_keys},
        }

    def _options(self, _: Incoming) -> JsonValue:
        options: JsonValue = self.options.model_dump(mode="json")
        return options

    def _set_options(self, incoming: Incoming) -> JsonValue:
        changed = {**self.options.model_dump(), **parse_body(incoming.raw)}
        self.set_options(Options.model_validate(changed))
        return self._options(incoming)

    def _set_keys(self, incoming: Incoming) -> JsonValue:
        keys = Keys.model_validate(parse_body(incoming.raw))
        self.set_keys(us=keys.us, eu=keys.eu)
        return {}
