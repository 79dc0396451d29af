"""Whoever shows wrong keys too often waits; nobody else does."""

from __future__ import annotations

from starter.api.failed_attempts import FailedAttempts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(failed: FailedAttempts, address: str) -> int:
    """How many failures are heard before the address has to wait."""
    for number in range(1_000):
        if failed.failed(address) > 0:
            return number
    raise AssertionError("it never has to wait")


def test_an_address_is_heard_twenty_times_and_then_every_three_seconds() -> None:
    clock = Clock()
    failed = FailedAttempts(clock=clock)
    assert heard(failed, "192.0.2.1") == 20
    assert round(failed.failed("192.0.2.1"), 6) == 3
    clock.now = 2.0
    assert round(failed.failed("192.0.2.1"), 6) == 1
    clock.now = 3.01
    assert heard(failed, "192.0.2.1") == 1
    clock.now = 1_000.0
    assert heard(failed, "192.0.2.1") == 20


def test_all_addresses_of_one_ipv6_network_are_one() -> None:
    failed = FailedAttempts(clock=Clock())
    heard(failed, "2001:db8::1")
    assert failed.failed("2001:db8::2") > 0
    assert failed.failed("2001:db8:0:1::1") == 0
    heard(failed, "::ffff:192.0.2.9")
    assert failed.failed("192.0.2.9") > 0
    assert failed.failed("192.0.2.8") == 0


def test_it_remembers_no_more_than_it_has_room_for() -> None:
    failed = FailedAttempts(clock=Clock())
    heard(failed, "192.0.2.1")
    for number in range(10_000):
        failed.failed(f"host-{number}")
    assert failed.failed("192.0.2.1") == 0
