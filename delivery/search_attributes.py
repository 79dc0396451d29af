"""The search attributes of a `DeliverEvent` run: all of them, in one place.

Temporal stores them in clear text and shows them in lists, so none of them holds personal data:
resource ids and people are keyed hashes, and a reason names no key of a payload.
"""

from temporalio.common import SearchAttributeKey

WORKSPACE = SearchAttributeKey.for_keyword("EmitonceWorkspace")
EVENT = SearchAttributeKey.for_keyword("EmitonceEvent")
RESOURCE = SearchAttributeKey.for_keyword("EmitonceResource")
RESOURCE_ID = SearchAttributeKey.for_keyword("EmitonceResourceId")
STATE = SearchAttributeKey.for_keyword("EmitonceState")
CONNECTIONS = SearchAttributeKey.for_keyword_list("EmitonceConnections")
RULES = SearchAttributeKey.for_keyword_list("EmitonceRules")
PEOPLE = SearchAttributeKey.for_keyword_list("EmitoncePeople")
ACCEPTED_AT = SearchAttributeKey.for_datetime("EmitonceAcceptedAt")

REASON = SearchAttributeKey.for_keyword("EmitonceReason")
REDELIVERY = SearchAttributeKey.for_keyword("EmitonceRedelivery")

# What deliveries and lists need.
REQUIRED = (
    *(WORKSPACE, EVENT, RESOURCE, RESOURCE_ID, STATE),
    *(CONNECTIONS, RULES, ACCEPTED_AT, REDELIVERY),
)
# What lists can do without: `PEOPLE`, by which events are searched by person, is the third
# KeywordList, and a namespace on SQL has room for three; `REASON` says why a run failed.
OPTIONAL = (PEOPLE, REASON)
ALL = (*REQUIRED, *OPTIONAL)

# Values of STATE.
HELD = "held"
TEST = "test"
CANCELED = "canceled"

# A value of REDELIVERY starts with how the superseded run ended, or with `again` if a delivered
# event was sent again; the id of the bulk redelivery follows, if it was one.
AFTER_FAILED = "failed"
AFTER_CANCELED = "canceled"
SENT_AGAIN = "again"


def redelivery_mark(after: str, redelivery: str | None) -> str:
    return after if redelivery is None else f"{after}/{redelivery}"
