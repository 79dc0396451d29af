"""What a refusal by Temporal says, typed by what the caller does about it."""

from __future__ import annotations

import re

from temporalio.service import RPCError, RPCStatusCode

from emitonce.errors import EmitError, InvalidEvent, InvalidSetup, NotAccepted, NotAllowed

_NOT_ALLOWED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
# A namespace that isn't there, search attributes that nobody has registered, no Temporal at all.
_WRONG_SETUP = (
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.UNIMPLEMENTED,
)


_CODE_AT_CONNECT = re.compile(r"call error after connection: Status \{ code: (\w+)")


def no_connection(err: RuntimeError, address: str) -> EmitError:
    """The error for a connect that failed: the SDK hands on Temporal's answer as text only."""
    answered = _CODE_AT_CONNECT.search(str(err))
    code = answered[1] if answered else None
    if code in ("PermissionDenied", "Unauthenticated"):
        return NotAllowed(f"Temporal at {address} refuses this client; check TEMPORAL_API_KEY")
    if code in ("NotFound", "Unimplemented"):
        return InvalidSetup(f"what answers at {address} is not Temporal; check TEMPORAL_ADDRESS")
    return NotAccepted(f"no Temporal server answers at {address}; set TEMPORAL_ADDRESS")


def refusal(err: RPCError) -> EmitError:
    """The error for a request that Temporal has not accepted."""
    if err.status in _NOT_ALLOWED:
        return NotAllowed(f"Temporal refuses this client: {err.message}; check TEMPORAL_API_KEY")
    if err.status is RPCStatusCode.INVALID_ARGUMENT and "size exceeds limit" in err.message:
        return InvalidEvent(f"payload: is larger than the namespace allows: {err.message}")
    if err.status in _WRONG_SETUP:
        return InvalidSetup(
            f"Temporal can't accept events here: {err.message} "
            "Check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE"
        )
    return NotAccepted(f"Temporal did not accept the event: {err.message}")
