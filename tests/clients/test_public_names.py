"""What `from emitonce import …` gives: everything of 0.1, and nothing by accident."""

from __future__ import annotations

import pytest

import emitonce
import emitonce.emitter
import emitonce.http
import emitonce.sync

OF_0_1 = {
    *(
        "AcceptedEvent",
        "AsyncHTTPEmitter",
        "CannotDecode",
        "DeliveryFailed",
        "EmitError",
        "Emitter",
    ),
    *("EventCanceled", "EventHandle", "EventNotFound", "HTTPEmitter", "IdempotencyConflict"),
    *("InvalidEvent", "NotAccepted", "NotAllowed", "SyncEmitter"),
}
SINCE = {
    *("AsyncEmitter", "BlockingEmitter", "InvalidSetup", "MachineKey", "NewEvent", "__version__"),
}


def test_the_public_names() -> None:
    assert set(emitonce.__all__) == OF_0_1 | SINCE
    for name in emitonce.__all__:
        assert getattr(emitonce, name) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("CannotDecode", "DeliveryFailed", "EventCanceled", "EventNotFound"),
        *("IdempotencyConflict", "InvalidEvent", "NotAccepted", "NotAllowed", "InvalidSetup"),
    ],
)
def test_every_error_is_an_emit_error(name: str) -> None:
    assert issubclass(getattr(emitonce, name), emitonce.EmitError)


def test_modules_of_0_1_have_what_was_imported_from_them() -> None:
    assert emitonce.emitter.EventHandle is emitonce.EventHandle
    assert emitonce.emitter.TASK_QUEUE == "deliveries"
    assert emitonce.emitter.WORKFLOW == "DeliverEvent"
    assert emitonce.http.AcceptedEvent is emitonce.AcceptedEvent


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(AttributeError, match="Emiter"):
        emitonce.Emiter  # noqa: B018
