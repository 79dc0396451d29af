"""The search attributes of a `DeliverEvent` run: all of them, in one place.

They are stored in clear text by the engine and shown in lists, so none ever holds personal data:
the resource id stands here as a keyed hash.
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

ALL = (WORKSPACE, EVENT, RESOURCE, RESOURCE_ID, STATE, CONNECTIONS, RULES, ACCEPTED_AT)

# Values of STATE.
HELD = "held"
TEST = "test"
CANCELED = "canceled"
