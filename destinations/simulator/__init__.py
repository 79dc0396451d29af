"""What the simulators of all vendors share: sockets, faults to order, and a way to look inside."""

from destinations.simulator.answer import Answer, json_answer
from destinations.simulator.fault import Fault, FaultRule
from destinations.simulator.request import Request
from destinations.simulator.simulator import VendorSimulator

__all__ = ["Answer", "Fault", "FaultRule", "Request", "VendorSimulator", "json_answer"]
