"""Why a delivery failed, in codes and in a sentence.

A reason has the destination's code and field, never its text, since it is also a search attribute,
which Temporal keeps in clear text. The destination's own words are in the log only.
"""

from __future__ import annotations

import re
from contextlib import suppress

from delivery.attempt import AttemptList
from delivery.frozen_model import FrozenModel
from delivery.outcome import OutcomeCode
from delivery.text import CONTROL_CHARACTERS

# The feature by which a fleet starts to record reasons with runs, see `capabilities`.
REASON = "reason"

LONGEST_CODE = 60
LONGEST_FIELD = 40
LONGEST_TEXT = 200

_CODE = re.compile(rf"[\w.-]{{1,{LONGEST_CODE}}}", re.ASCII)
_FIELD = re.compile(rf"[\w.-]{{1,{LONGEST_FIELD}}}", re.ASCII)

_HEADLINES = {
    OutcomeCode.REJECTED_SERVER_ERROR: "{vendor} could not handle the message",
    OutcomeCode.RATE_LIMITED: "{vendor} accepted no more messages",
    OutcomeCode.AUTH_FAILED: "{vendor} refused the key",
    OutcomeCode.TIMEOUT: "{vendor} did not answer in time",
    OutcomeCode.NETWORK_ERROR: "{vendor} could not be reached",
    OutcomeCode.MAPPING_ERROR: "The event can't be sent to {vendor}",
}


class Reason(FrozenModel):
    """How a delivery's last attempt ended; `code` and `field` are as the destination named them.

    Of an event that no message could be built from, `field` is what prevents it.
    """

    outcome: OutcomeCode
    status: int | None = None
    code: str | None = None
    field: str | None = None

    @classmethod
    def of(
        cls,
        outcome: OutcomeCode,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
    ) -> Reason:
        """Make a reason; a code or field that isn't a plain name is left out."""
        return cls(
            outcome=outcome,
            status=status,
            code=code if code and _CODE.fullmatch(code) else None,
            field=field if field and _FIELD.fullmatch(field) else None,
        )

    @classmethod
    def of_attempts(cls, outcome: OutcomeCode, attempts: AttemptList) -> Reason:
        """Make the reason of a call that ended so; its last attempt may have ended otherwise."""
        last = attempts.last
        if last is None or last.outcome_code is not outcome:
            return cls(outcome=outcome)
        return cls.of(outcome, last.status_code, last.error_code, last.error_field)

    @property
    def key(self) -> str:
        """Write it on one line, such as `rejected_client_error/422/validation_error/to`."""
        parts = (self.outcome, self.status, self.code, self.field)
        return "/".join("" if part is None else str(part) for part in parts)

    @classmethod
    def read(cls, key: str) -> Reason | None:
        """Read what `key` has written; None for anything else."""
        with suppress(ValueError):
            outcome, status, code, field = key.split("/")
            read = cls.of(OutcomeCode(outcome), int(status) if status else None, code, field)
            return read if read.key == key else None
        return None


def headline(vendor: str, reason: Reason, text: str | None = None) -> str:
    """Say in one sentence, without a period, why a delivery failed.

    `text` are the destination's own words, or the log's; without them, its code or status is said:
    "Acme refused `to`: Missing `to` field", "Acme refused `to`: missing_required_field".
    """
    said = _one_line(text) if text else None
    named = f"`{reason.field}`" if reason.field else None
    if reason.outcome is OutcomeCode.REJECTED_CLIENT_ERROR:
        begun = f"{vendor} refused {named or 'the message'}"
    else:
        begun = _HEADLINES.get(reason.outcome, "The message to {vendor} could not be sent")
        begun = begun.format(vendor=vendor)
        if named:
            begun = f"{begun} because of {named}"
    said = said or reason.code
    if said:
        return f"{begun}: {said}"
    return f"{begun} ({reason.status})" if reason.status else begun


def _one_line(text: str) -> str:
    line = " ".join(CONTROL_CHARACTERS.sub(" ", text).split()).rstrip(".")
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
