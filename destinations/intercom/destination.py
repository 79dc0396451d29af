"""Intercom as a destination: its data."""

from __future__ import annotations

from functools import partial

from destinations.destination import Action, Destination, Field, MappingField, Option
from destinations.email_address import MAX_EMAIL
from destinations.intercom import build
from destinations.intercom.guards import (
    read_event_name,
    read_metadata_keys,
    read_tag,
)
from destinations.intercom.judge import REFUSED, explain
from destinations.token import read_token

TOKEN = "access_token"  # noqa: S105  a key, not a secret
TAGS = "tags"

LONGEST_TOKEN = 512  # characters; Intercom publishes no length

# A private app may make 10,000 requests a minute, counted in windows of ten seconds ("Rate
# limiting"). A message takes up to four: a contact is looked up by what was learned of it, by its
# external id and by its address, then changed.
MESSAGES_PER_SECOND = 40


_TAG = Field(
    key="id",
    label="Tag",
    placeholder="7522907",
    help="Its id.",
    read=read_tag,
    live=TAGS,
)

INTERCOM = Destination(
    type="intercom",
    label="Intercom",
    client="destinations.intercom.client:IntercomClient",
    fields=(
        Field(
            key="region",
            label="Region",
            kind="select",
            default="us",
            help="Where the Intercom workspace is hosted.",
            options=(
                Option("us", "United States"),
                Option("eu", "European Union"),
                Option("au", "Australia"),
            ),
        ),
        Field(
            key=TOKEN,
            label="Access token",
            kind="password",
            help="From a private app, in Intercom's Developer Hub.",
            read=partial(read_token, longest=LONGEST_TOKEN),
        ),
    ),
    actions=(
        Action(
            key="add_tag",
            label="Add tag",
            noun="Tag",
            description="Create or update the contact, then tag it.",
            calls=("identify", "track"),
            build=build.build_tagging,
            metadata=build.ChangeTag,
            inputs=(_TAG,),
        ),
        Action(
            key="remove_tag",
            label="Remove tag",
            noun="Tag",
            description="Create or update the contact, then remove the tag.",
            calls=("identify", "track"),
            build=build.build_untagging,
            metadata=build.ChangeTag,
            inputs=(_TAG,),
        ),
        Action(
            key="track_event",
            label="Track event",
            noun="Event",
            description="Create or update the contact, then record an event of it.",
            calls=("identify", "track"),
            build=build.build_event,
            metadata=build.TrackEvent,
            inputs=(
                Field(
                    key="event_name_override",
                    label="Event name",
                    required=False,
                    help="The event's name at Intercom, if different.",
                    read=read_event_name,
                ),
                Field(
                    key="event_metadata",
                    label="Metadata of the event",
                    required=False,
                    placeholder="plan, seats",
                    help="Keys of the payload, separated by commas, at most ten.",
                    read=read_metadata_keys,
                ),
            ),
        ),
    ),
    mapping_fields=(
        MappingField(
            key="email",
            label="E-mail address",
            description="Identifies the contact if external_id is absent.",
            format="email",
            largest=MAX_EMAIL,
        ),
        MappingField(
            key="external_id",
            label="External id",
            description="Your own, stable id of the person; identifies the contact.",
        ),
        MappingField(key="name", label="Name", description="The contact's name."),
        MappingField(key="phone", label="Phone number", description="The contact's phone number."),
    ),
    unmapped=(
        "Other fields that you map become custom attributes, which must exist at Intercom. What is "
        "not mapped is not sent, except as the metadata of an event."
    ),
    requests_per_second=MESSAGES_PER_SECOND,
    refused=REFUSED,
    explain=explain,
    parts=("created_at", "custom_attributes", "event_name", "metadata", "role", "tag", "user_id"),
)
