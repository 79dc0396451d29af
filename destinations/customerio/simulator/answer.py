"""The simulator's answers."""

from __future__ import annotations

from destinations.simulator import Answer, json_answer

ACCEPTED = Answer(200, b"{}\n")
METHOD_NOT_ALLOWED = Answer(405, headers=(("Allow", "POST"),))


def refused(*errors: str, status: int = 400) -> Answer:
    """Make the answer to an invalid call, in the envelope of the API reference's 400."""
    return json_answer({"meta": {"errors": list(errors)}}, status=status)
