"""What a rule says about `track_event`, and the fields that a mapping can fill."""

from __future__ import annotations

from typing import Literal

from delivery.rule import Flag, RuleMetadata

# Payload keys of these names fill them where no mapping is stored. The last one is no trait.
MAPPED_FIELDS = ("email", "userId", "anonymousId", "event_name_override")


class TrackEvent(RuleMetadata):
    """`event_name_override` replaces the event's name. With `on_limit` of `drop` what is beyond a
    limit is left out; `allow_commands` lets event names through that are commands at Customer.io;
    with `send_nulls` a trait of null is sent and not left out.
    """

    event_name_override: str | None = None
    on_limit: Literal["fail", "drop"] = "fail"
    allow_commands: Flag = False
    send_nulls: Flag = False
