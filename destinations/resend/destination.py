"""Resend as a destination: its data."""

from __future__ import annotations

from datetime import timedelta

from destinations.destination import Action, Destination, Field, MappingField, Option
from destinations.email_address import MAX_EMAIL
from destinations.resend.build import (
    add_to_segment,
    remove_from_segment,
    send_email_template,
    track_event,
)
from destinations.resend.guards import (
    read_event_name,
    read_id,
    read_sender,
    read_subject,
)
from destinations.resend.judge import explain
from destinations.resend.metadata import ChangeSegment, SendEvent, SendTemplate
from destinations.token import read_token

API_KEY = "api_key"
SEGMENTS = "segments"
TEMPLATES = "templates"

LONGEST_API_KEY = 200  # characters

# Resend accepts two a second from an account ("Rate limit"); a contact takes two, a read and a
# write.
MESSAGES_PER_SECOND = 1

# Resend recognizes a repeated mail for 24 hours ("Idempotency keys"), so no attempt is made when
# the first one may have been that long ago.
MAIL_DEADLINE = timedelta(hours=23)

SEGMENT = Field(
    key="id",
    label="Segment",
    help="Its id.",
    read=read_id,
    live=SEGMENTS,
)


def read_api_key(text: str) -> str:
    key = read_token(text, LONGEST_API_KEY)
    if not key.startswith("re_"):
        raise ValueError("must start with re_; copy it from API Keys at Resend")
    return key


RESEND = Destination(
    type="resend",
    label="Resend",
    client="destinations.resend.client:ResendClient",
    fields=(
        Field(
            key=API_KEY,
            label="API Token",
            kind="password",
            placeholder="re_…",
            help="An API key of Resend with full access; for mails only, sending access is enough.",
            read=read_api_key,
        ),
    ),
    actions=(
        Action(
            key="add_to_segment",
            label="Add to segment",
            noun="Segment",
            description="Create or update the contact, then add it to a segment.",
            calls=("identify", "track"),
            build=add_to_segment,
            metadata=ChangeSegment,
            inputs=(SEGMENT,),
        ),
        Action(
            key="remove_from_segment",
            label="Remove from segment",
            noun="Segment",
            description="Create or update the contact, then remove it from a segment.",
            calls=("identify", "track"),
            build=remove_from_segment,
            metadata=ChangeSegment,
            inputs=(SEGMENT,),
        ),
        Action(
            key="send_email_template",
            label="Send Email",
            noun="Template",
            description="Send one mail from a template that is published at Resend.",
            calls=("send",),
            build=send_email_template,
            metadata=SendTemplate,
            deadline=MAIL_DEADLINE,
            inputs=(
                Field(
                    key="id",
                    label="Template",
                    help="Its id or alias. Only published templates can be sent.",
                    read=read_id,
                    live=TEMPLATES,
                ),
                Field(
                    key="subject",
                    label="Subject",
                    required=False,
                    help="Instead of the template's own.",
                    read=read_subject,
                ),
                Field(
                    key="from",
                    label="From",
                    required=False,
                    placeholder="Team <team@example.com>",
                    help="Instead of the template's own. Its domain must be verified at Resend.",
                    read=read_sender,
                ),
            ),
            options=(
                Field(
                    key="markup",
                    label="HTML in template variables",
                    kind="select",
                    default="escape",
                    options=(
                        Option("escape", "Show it as text"),
                        Option("keep", "Put it into the mail as it is: trust every value"),
                    ),
                ),
            ),
        ),
        Action(
            key="track_event",
            label="Track event",
            noun="Event",
            description="Create or update the contact, then send the event to its automations.",
            calls=("identify", "track"),
            build=track_event,
            metadata=SendEvent,
            inputs=(
                Field(
                    key="event_name_override",
                    label="Event name",
                    required=False,
                    help="The event's name at Resend, if different.",
                    read=read_event_name,
                ),
            ),
        ),
    ),
    mapping_fields=(
        MappingField(
            key="email",
            label="E-mail address",
            description="Identifies the contact, and receives the mail.",
            format="email",
            largest=MAX_EMAIL,
        ),
        MappingField(key="firstName", label="First name", description="The contact's first name."),
        MappingField(key="lastName", label="Last name", description="The contact's last name."),
        MappingField(
            key="template_variables",
            label="Template variables",
            description="An object of strings and numbers; template_variables.plan is one of them.",
        ),
    ),
    unmapped=(
        "Other fields that you map become contact properties, which must exist at Resend. What is "
        "not mapped is not sent, except as the payload of an event."
    ),
    requests_per_second=MESSAGES_PER_SECOND,
    account=API_KEY,
    refused="Resend refuses the key: it is wrong, deleted, or may only send mails",
    explain=explain,
    parts=("event", "payload", "properties", "segment_id", "tags", "to", "variables"),
)
