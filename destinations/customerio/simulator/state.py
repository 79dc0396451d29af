"""What the simulator has received, and how it behaves: seen and steered by tests and `/_sim/`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from destinations.customerio.simulator.events import StoredEvent
from destinations.customerio.simulator.fault import Fault, FaultPlan, FaultRule, Path
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.person import Person
from destinations.customerio.simulator.request import Request
from destinations.customerio.simulator.service import Service


class State:
    """The state of a simulator, without its sockets."""

    def __init__(
        self,
        host: str,
        keys: dict[str, frozenset[str]],
        options: Options,
        keep_requests: int | None,
    ) -> None:
        self._host = host
        self._ports: dict[str, int] = {}
        self._start_keys, self._start_options = keys, options
        self._service = Service(keys, options)
        self._plan = FaultPlan()
        self._requests: deque[Request] = deque(maxlen=keep_requests)
        self._received = 0

    @property
    def base_urls(self) -> dict[str, str]:
        return {region: f"http://{self._host}:{port}/v1" for region, port in self._ports.items()}

    @property
    def requests(self) -> Sequence[Request]:
        """Every call received, oldest first."""
        return list(self._requests)

    @property
    def people(self) -> list[Person]:
        return [person for space in self._service.workspaces() for person in space.people]

    @property
    def events(self) -> list[StoredEvent]:
        """Every event stored, held ones too, oldest first within a key."""
        return [event for space in self._service.workspaces() for event in space.events]

    @property
    def notices(self) -> list[str]:
        """What was dropped behind a 200, and why."""
        return [notice for space in self._service.workspaces() for notice in space.notices]

    @property
    def commands(self) -> list[str]:
        """Event names received that are commands, not events."""
        return [command for space in self._service.workspaces() for command in space.commands]

    @property
    def options(self) -> Options:
        return self._service.options

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
        self._service.options = options

    def set_keys(self, *, us: Iterable[str] | None = None, eu: Iterable[str] | None = None) -> None:
        """Replace the keys of the regions given."""
        for region, keys in (("us", us), ("eu", eu)):
            if keys is not None:
                self._service.keys[region] = frozenset(keys)

    def fail(
        self,
        path: Path = "*",
        *,
        fault: Fault,
        times: int | None = None,
        nth: Sequence[int] | None = None,
        region: str | None = None,
        key: str | None = None,
    ) -> None:
        """Set a fault; see `FaultRule`."""
        self.add_fault(
            FaultRule.model_validate(
                {
                    "path": path,
                    "fault": fault,
                    "times": times,
                    "nth": None if nth is None else tuple(nth),
                    "region": region,
                    "key": key,
                }
            )
        )

    def add_fault(self, rule: FaultRule) -> None:
        self._plan.add(rule)

    def clear_faults(self) -> None:
        self._plan.clear()

    def reset(self) -> None:
        """Return to the state at the start: nothing received, no faults, first keys and options."""
        self._requests.clear()
        self._received = 0
        self._plan.clear()
        # A new one, so that a call that is still stalled has no effect on it.
        self._service = Service(self._start_keys, self._start_options)
