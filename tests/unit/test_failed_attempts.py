"""Whoever fails too often waits; nobody else does."""

from __future__ import annotations

from starter.api.failed_attempts import FailedAttempts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def blocked_after(failed: FailedAttempts, address: str, *, key: str = "key") -> int:
    """How many failures are heard before the address has to wait."""
    heard = 0
    while failed.wait(address, key) == 0:
        failed.failed(address)
        heard += 1
        assert heard < 1_000
    return heard


def test_an_address_is_heard_twenty_times_and_then_every_three_seconds() -> None:
    clock = Clock()
    failed = FailedAttempts(clock=clock)
    assert blocked_after(failed, "192.0.2.1") == 20
    assert round(failed.wait("192.0.2.1", "key"), 6) == 3
    clock.now = 2.0
    assert round(failed.wait("192.0.2.1", "key"), 6) == 1
    clock.now = 3.01
    assert blocked_after(failed, "192.0.2.1") == 1
    clock.now = 1_000.0
    assert blocked_after(failed, "192.0.2.1") == 20


def test_other_addresses_and_keys_that_were_right_before_do_not_wait() -> None:
    failed = FailedAttempts(clock=Clock())
    failed.succeeded("right key")
    blocked_after(failed, "192.0.2.1")
    assert failed.wait("192.0.2.2", "key") == 0
    assert failed.wait("192.0.2.1", "right key") == 0
    assert failed.wait("192.0.2.1", "key") > 0


def test_all_addresses_of_one_ipv6_network_are_one() -> None:
    failed = FailedAttempts(clock=Clock())
    blocked_after(failed, "2001:db8::1")
    assert failed.wait("2001:db8::2", "key") > 0
    assert failed.wait("2001:db8:0:1::1", "key") == 0
    blocked_after(failed, "::ffff:192.0.2.9")
    assert failed.wait("192.0.2.9", "key") > 0
    assert failed.wait("192.0.2.8", "key") == 0


def test_it_remembers_no_more_than_it_has_room_for() -> None:
    failed = FailedAttempts(clock=Clock())
    blocked_after(failed, "192.0.2.1")
    for number in range(10_000):
        failed.failed(f"host-{number}")
    assert failed.wait("192.0.2.1", "key") == 0
