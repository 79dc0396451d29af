"""Customer.io as a destination: identify the person, then track the event."""

from __future__ import annotations

from destinations.customerio.build import build
from destinations.customerio.builds import BUILDS
from destinations.customerio.complaint import explain
from destinations.customerio.guards import MAX_EVENT_NAME, MAX_IDENTIFIER
from destinations.customerio.metadata import TrackEvent
from destinations.destination import Action, Destination, Field, MappingField, Option

API_KEY = "cdpApiKey"
REGION = "region"

VENDOR_URLS = {"us": "https://cdp.customer.io/v1", "eu": "https://cdp-eu.customer.io/v1"}

# The vendor accepts 3,000 requests in 3 seconds; they may arrive in bunches, so a tenth is left.
REQUESTS_PER_SECOND = 900

# Where `delivery.outcome.DELIVERY_DEADLINE` comes from: "Events with a timestamp in the past 72
# hours can trigger campaigns" (Track API reference).

LONGEST_API_KEY = 200  # characters


def read_api_key(text: str) -> str:
    """Read a key, without white space around it from copying.

    Customer.io publishes no format, so a key is refused only if it can't be sent as the user name
    of Basic authentication, or is evidently a mistake in copying.
    """
    text = text.strip()
    if not text:
        raise ValueError("is blank; copy it from the Customer.io API source")
    if len(text) > LONGEST_API_KEY:
        raise ValueError(f"has {len(text):,} characters, must have at most {LONGEST_API_KEY}")
    if not text.isascii():
        raise ValueError("holds characters other than ASCII; copy it again")
    if any(map(str.isspace, text)):
        raise ValueError("holds a blank or a line break; copy it again")
    if not text.isprintable():
        raise ValueError("holds a control character; copy it again")
    if ":" in text:
        raise ValueError("holds a colon; it is one word, not the Track API's site id and key")
    return text


def read_event_name(text: str) -> str:
    size = len(text.encode(errors="surrogatepass"))
    if not text.strip() or size > MAX_EVENT_NAME:
        raise ValueError(f"is {size} bytes, must be 1 to {MAX_EVENT_NAME} and not only blanks")
    return text


CUSTOMER_IO = Destination(
    type="customer_io",
    label="Customer.io",
    client="destinations.customerio.client:CustomerIOClient",
    fields=(
        Field(
            key=REGION,
            label="Region",
            kind="select",
            help="Where the Customer.io account is.",
            options=(Option("us", "United States"), Option("eu", "European Union")),
        ),
        Field(
            key=API_KEY,
            label="CDP API key",
            kind="password",
            help="Of an HTTP or server source in Customer.io's Data & Integrations.",
            read=read_api_key,
        ),
    ),
    actions=(
        Action(
            key="track_event",
            label="Track event",
            noun="Event",
            description="Identify the person, then track the event.",
            calls=("identify", "track"),
            build=build,
            metadata=TrackEvent,
            inputs=(
                Field(
                    key="event_name_override",
                    label="Event name",
                    required=False,
                    help="The event's name at Customer.io, if different.",
                    read=read_event_name,
                ),
                Field(
                    key="track_properties",
                    label="Properties of the event",
                    kind="select",
                    required=False,
                    help="What campaigns can read from the event itself, such as an order's total.",
                    default="none",
                    options=(
                        Option("none", "None"),
                        Option("payload", "The whole payload, except who the person is"),
                    ),
                    others="Only these keys of the payload",
                ),
            ),
            options=(
                Field(
                    key="on_limit",
                    label="When a field breaks one of Customer.io's limits",
                    kind="select",
                    default="fail",
                    options=(
                        Option("fail", "Fail the delivery"),
                        Option("drop", "Leave the field out and warn"),
                    ),
                ),
                Field(
                    key="send_nulls",
                    label="Values of null",
                    kind="select",
                    default="false",
                    options=(
                        Option("false", "Leave them out"),
                        Option("true", "Send them: they delete attributes"),
                    ),
                ),
                Field(
                    key="allow_commands",
                    label="Event names that are commands at Customer.io, such as Delete Person",
                    kind="select",
                    default="false",
                    options=(
                        Option("false", "Fail the delivery"),
                        Option("true", "Send them"),
                    ),
                ),
            ),
        ),
    ),
    mapping_fields=(
        MappingField(
            key="email",
            label="E-mail address",
            description="Identifies the person where userId is absent, and is a trait besides.",
            format="email",
            largest=MAX_IDENTIFIER,
        ),
        MappingField(
            key="userId",
            label="User id",
            description="Identifies the person.",
            largest=MAX_IDENTIFIER,
        ),
        MappingField(
            key="anonymousId",
            label="Anonymous id",
            description="Identifies a visitor; beside a person's id it merges the two.",
            largest=MAX_IDENTIFIER,
        ),
        MappingField(
            key="event_name_override",
            label="Event name",
            description="The event's name at Customer.io; a rule's own override comes first.",
            largest=MAX_EVENT_NAME,
        ),
    ),
    unmapped="All other top-level keys of the payload become traits.",
    requests_per_second=REQUESTS_PER_SECOND,
    refused="wrong key or wrong region",
    builds=tuple(BUILDS),
    explain=explain,
    parts=("event", "messageId", "properties", "timestamp", "trait", "traits"),
)
