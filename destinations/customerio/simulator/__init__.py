"""A simulated Customer.io: real sockets, real effects, and faults on demand. For tests and demos.

It behaves as the vendor's API reference, documentation and open-source clients say; where they
don't say, `Options` can be switched. Nothing in it was compared with the live service.
"""

from destinations.customerio.simulator.events import StoredEvent
from destinations.customerio.simulator.options import Options
from destinations.customerio.simulator.person import Person
from destinations.customerio.simulator.simulator import EU_KEY, US_KEY, Simulator
from destinations.simulator import Fault, FaultRule, Request

__all__ = [
    "EU_KEY",
    "US_KEY",
    "Fault",
    "FaultRule",
    "Options",
    "Person",
    "Request",
    "Simulator",
    "StoredEvent",
]
