"""Mailchimp as a destination: its data."""

from __future__ import annotations

import re
from collections.abc import Mapping

from delivery.errors import InvalidField
from destinations.destination import Action, Destination, Field, MappingField, Option
from destinations.email_address import MAX_EMAIL
from destinations.mailchimp import build
from destinations.mailchimp.guards import (
    read_audience,
    read_event_name,
    read_event_properties,
)
from destinations.mailchimp.judge import REFUSED, explain
from destinations.token import read_token

API_KEY, DATA_CENTER = "api_key", "data_center"
AUDIENCES = "lists"

LONGEST_KEY = 200  # characters

# "Fundamentals": so many simultaneous connections of one user. No rate is published.
AT_ONCE = 10

_KEY = re.compile(r"[0-9A-Za-z]+-([a-z]{2,4}[0-9]{1,4})")
_DATA_CENTER = re.compile(r"[a-z]{2,4}[0-9]{1,4}")


def data_center_of(key: str) -> str:
    """Return the data center that the key names, a single part of a host's name.

    Raises:
        ValueError: it names none.
    """
    if not (found := _KEY.fullmatch(key)):
        raise ValueError(
            "must end with a dash and its data center, such as us6; copy the whole key again"
        )
    return found[1]


def read_key(text: str) -> str:
    key = read_token(text, LONGEST_KEY)
    data_center_of(key)
    return key


def read_data_center(text: str) -> str:
    text = text.strip().lower()
    if not _DATA_CENTER.fullmatch(text):
        raise ValueError("must be a data center such as us6, the end of the key")
    return text


def check_data_center(read: Mapping[str, str]) -> None:
    """Raises `InvalidField` if another data center is entered than the key's."""
    entered, own = read.get(DATA_CENTER), data_center_of(read[API_KEY])
    if entered not in (None, own):
        raise InvalidField(
            DATA_CENTER, f"is not the key's, which is {own}; enter that, or leave it blank"
        )


_AUDIENCE = Field(
    key="id",
    label="Audience",
    placeholder="a1b2c3d4e5",
    help="Its id.",
    read=read_audience,
    live=AUDIENCES,
)

MAILCHIMP = Destination(
    type="mailchimp",
    label="Mailchimp",
    client="destinations.mailchimp.client:MailchimpClient",
    fields=(
        Field(
            key=API_KEY,
            label="API key",
            kind="password",
            placeholder="…-us6",
            help="From Account & billing, Extras, API keys.",
            read=read_key,
        ),
        Field(
            key=DATA_CENTER,
            label="Data center",
            required=False,
            placeholder="us6",
            help="The key ends with it, so it can stay blank.",
            read=read_data_center,
        ),
    ),
    check=check_data_center,
    actions=(
        Action(
            key="add_to_list",
            label="Add to list",
            noun="Audience",
            description="Create or update the contact, subscribed to an audience.",
            calls=("identify",),
            build=build.build_addition,
            metadata=build.ChangeStatus,
            inputs=(_AUDIENCE,),
        ),
        Action(
            key="remove_from_list",
            label="Remove from list",
            noun="Audience",
            description="Create or update the contact, unsubscribed from an audience.",
            calls=("identify",),
            build=build.build_removal,
            metadata=build.ChangeStatus,
            inputs=(_AUDIENCE,),
        ),
        Action(
            key="track_event",
            label="Track event",
            noun="Audience",
            description="Create or update the contact, then record an event of it.",
            calls=("identify", "track"),
            build=build.build_event,
            metadata=build.TrackEvent,
            inputs=(
                _AUDIENCE,
                Field(
                    key="event_name_override",
                    label="Event name",
                    required=False,
                    help="The event's name at Mailchimp, 2 to 30 characters, if different.",
                    read=read_event_name,
                ),
                Field(
                    key="event_properties",
                    label="Properties of the event",
                    required=False,
                    placeholder="plan, seats",
                    help="Keys of the payload, separated by commas.",
                    read=read_event_properties,
                ),
            ),
            options=(
                Field(
                    key="status_if_new",
                    label="A contact that isn't in the audience yet",
                    kind="select",
                    default="transactional",
                    options=(
                        Option("transactional", "Is added without being subscribed"),
                        Option("subscribed", "Is subscribed"),
                        Option("pending", "Is asked by Mailchimp to confirm"),
                    ),
                ),
            ),
        ),
    ),
    mapping_fields=(
        MappingField(
            key=build.EMAIL,
            label="E-mail address",
            description="Identifies the contact.",
            format="email",
            largest=MAX_EMAIL,
        ),
        MappingField(
            key=build.SIGNUP_IP,
            label="Signup IP",
            description="The IP address from which the person signed up.",
        ),
    ),
    unmapped="No other keys of the payload are sent. Map them to merge fields by tag, as FNAME.",
    in_flight=AT_ONCE,
    account=API_KEY,
    refused=REFUSED,
    explain=explain,
    parts=("email_address", "merge_fields", "properties"),
)
