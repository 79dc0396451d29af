"""What a redelivery's run knows of the event's earlier runs.

It is part of the new run's input, so that the history of the latest run holds the whole log: what
earlier runs delivered, and every attempt they made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import AwareDatetime

from delivery.attempt import AttemptList
from delivery.delivery_log import CallLog, DeliveryLog
from delivery.frozen_model import FrozenModel
from delivery.outcome import OutcomeCode
from delivery.reason import Reason
from delivery.result import Status

T = TypeVar("T")

RULE_GONE = "internal_error: the rule was deleted, so nothing was sent again"
SHORTENED = "what earlier runs sent and received is not kept in full: it was too large"


class Redelivery(FrozenModel):
    """What is delivered again, and what earlier runs delivered.

    Only the deliveries of `rules` are made again. `rules` is empty if no earlier run got as far as
    matching: then the new run does. `earlier` has every delivery of the event, in order.
    `accepted_at` is when the event was first accepted.
    """

    accepted_at: AwareDatetime
    rules: tuple[str, ...] = ()
    earlier: tuple[DeliveryLog, ...] = ()

    def of(self, rule: str) -> DeliveryLog | None:
        return next((delivery for delivery in self.earlier if delivery.rule == rule), None)

    @property
    def builds(self) -> tuple[int, ...]:
        """The builds of messages that may have been sent before and are sent again."""
        again = [delivery for delivery in self.earlier if delivery.rule in self.rules]
        return tuple({build for delivery in again for build in delivery.builds.values()})

    def complete(self, made: dict[str, T], read: Callable[[DeliveryLog], T]) -> tuple[T, ...]:
        """Return all deliveries of the event in order: those `made` now, the others as they were.

        A delivery that was to be made again, but whose rule was deleted, has failed.
        """
        earlier = {
            delivery.rule: read(
                _without_rule(delivery) if delivery.rule in self.rules else delivery
            )
            for delivery in self.earlier
            if delivery.rule not in made
        }
        order = dict.fromkeys(delivery.rule for delivery in self.earlier)
        return tuple((earlier | made)[rule] for rule in order | dict.fromkeys(made))

    def shortened_until(self, fits: Callable[[Redelivery], bool]) -> Redelivery | None:
        """Shorten this until it `fits`, what matters least first; None when it never does.

        Left out are, in this order: the vendor's answers, what was sent, the attempts between the
        first and the last.
        """
        shortened = self
        for leave_out in (_excerpts, _requests, _middle):
            if fits(shortened):
                return shortened
            shortened = _each_call(shortened, leave_out)
        return shortened if fits(shortened) else None


def _without_rule(delivery: DeliveryLog) -> DeliveryLog:
    reason = Reason.of(OutcomeCode.INTERNAL_ERROR, code="rule_deleted")
    return delivery.model_copy(
        update={"status": Status.FAILED, "last_error": RULE_GONE, "reason": reason}
    )


def _each_call(redelivery: Redelivery, change: Callable[[CallLog], CallLog]) -> Redelivery:
    def shorten(delivery: DeliveryLog) -> DeliveryLog:
        others = tuple(warning for warning in delivery.warnings if warning != SHORTENED)
        return delivery.model_copy(
            update={
                **{call.call: change(call) for call in delivery.calls},
                "warnings": (*others, SHORTENED),
            }
        )

    return redelivery.model_copy(
        update={"earlier": tuple(shorten(delivery) for delivery in redelivery.earlier)}
    )


def _excerpts(call: CallLog) -> CallLog:
    bare = tuple(a.model_copy(update={"response_excerpt": None}) for a in call.attempts)
    return call.model_copy(update={"attempts": bare, "response_excerpt": None})


def _requests(call: CallLog) -> CallLog:
    return call.model_copy(update={"request": {}})


def _middle(call: CallLog) -> CallLog:
    ends = call.attempts if len(call.attempts) < 3 else (call.attempts[0], call.attempts[-1])
    kept = AttemptList(count=call.attempt_count, kept=ends)
    return call.model_copy(update={"attempts": kept.kept, "attempts_left_out": kept.left_out})
