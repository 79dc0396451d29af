"""What a rule says about `track_event`, and the fields that a mapping can fill."""

from __future__ import annotations

from typing import Literal

from delivery.rule import Flag, RuleMetadata

# Without a stored mapping, payload keys of the same names fill these. The last one is not a trait.
MAPPED_FIELDS = ("email", "userId", "anonymousId", "event_name_override")


class TrackEvent(RuleMetadata):
    """`event_name_override` replaces the event's name.

    If `on_limit` is `drop`, what exceeds a limit is left out. `allow_commands` sends event names
    that are commands at Customer.io. With `send_nulls`, traits of null are sent, not left out.
    """

    event_name_override: str | None = None
    on_limit: Literal["fail", "drop"] = "fail"
    allow_commands: Flag = False
    send_nulls: Flag = False
