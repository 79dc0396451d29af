"""The search attributes of a `DeliverEvent` run: all of them, in one place.

Temporal stores them in clear text and shows them in lists, so none of them holds personal data:
the resource id is a keyed hash.
"""

from temporalio.common import SearchAttributeKey

WORKSPACE = SearchAttributeKey.for_keyword("EmitonceWorkspace")
EVENT = SearchAttributeKey.for_keyword("EmitonceEvent")
RESOURCE = SearchAttributeKey.for_keyword("EmitonceResource")
RESOURCE_ID = SearchAttributeKey.for_keyword("EmitonceResourceId")
STATE = SearchAttributeKey.for_keyword("EmitonceState")
CONNECTIONS = SearchAttributeKey.for_keyword_list("EmitonceConnections")
RULES = SearchAttributeKey.for_keyword_list("EmitonceRules")
ACCEPTED_AT = SearchAttributeKey.for_datetime("EmitonceAcceptedAt")

REDELIVERY = SearchAttributeKey.for_keyword("EmitonceRedelivery")

ALL = (WORKSPACE, EVENT, RESOURCE, RESOURCE_ID, STATE, CONNECTIONS, RULES, ACCEPTED_AT, REDELIVERY)

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
