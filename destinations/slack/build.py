"""Event × rule → one message to one channel. Nothing random, nothing from a clock."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from delivery.errors import MappingError
from delivery.event import Event
from delivery.message import Message, Messages
from delivery.rule import MatchedRule, RuleMetadata
from delivery.transforms import is_blank
from destinations.anonymous import check_anonymous
from destinations.pattern import matching
from destinations.template import OnMissing, Template, render

# Slack cuts longer ones off (chat.postMessage, "Truncating content").
LONGEST_TEXT = 40_000

# A value there could become a command of its own: `<!channel>`.
_OPEN_MARKUP = re.compile(r"<!?\s*\{\{")
# Slack's three control characters (its text format, "Escaping text").
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


# Names are refused: whoever renames a channel would redirect messages.
read_channel = matching(
    r"[CDG][A-Z0-9]{1,30}",
    "must be a channel's id such as C0123456789; Slack shows it at the end of the channel's "
    "details",
)


def _read_markup(template: str) -> str:
    if _OPEN_MARKUP.search(template):
        raise ValueError(
            "must have no value directly after <, where it could mention a whole channel; write "
            "<https://example.com/{{path}}|text>, or the value without < and >"
        )
    return template


class SendMessage(RuleMetadata):
    """`id` is the channel. A value that an event lacks fails its delivery, or with `on_missing` of
    `empty` leaves nothing in its place.
    """

    id: Annotated[str, AfterValidator(read_channel)]
    template: Annotated[Template, AfterValidator(_read_markup)]
    on_missing: OnMissing = "fail"


def build(event: Event, rule: MatchedRule) -> Messages:
    """Build the message. Deterministic: the same input gives the same bytes.

    Of the payload only what the template names is sent. Names are not linked and links not
    unfolded, so that a value mentions nobody and fetches nothing.

    Raises:
        MappingError: a value is missing, or the text is blank or too long; or the event came with
            a key for anonymous visitors only and names a person.
    """
    check_anonymous(event, rule)
    metadata = SendMessage.of(rule)
    text = render(
        metadata.template,
        event.payload,
        escape=escape,
        longest=LONGEST_TEXT,
        on_missing=metadata.on_missing,
    )
    if is_blank(text):
        raise MappingError("template", "is blank once its values are put in; send them")
    body = {
        "channel": metadata.id,
        "text": text,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return Messages(messages=(Message(call="send", body=body),))


def channel_of(message: Message) -> str:
    """Return the channel, to each of which Slack accepts some messages a second."""
    return str(message.body["channel"])


def escape(value: str) -> str:
    """Escape a value, so that none of it is a mention, a link or markup in angle brackets."""
    return value.translate(_ESCAPED)
