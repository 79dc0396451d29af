"""Whatever is logged by mistake: no key and no personal data is in the line."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
import structlog
from pydantic import SecretStr, TypeAdapter, ValidationError
from temporalio.exceptions import ApplicationError

from delivery.step import Step
from starter.cli.log_redaction import REDACTED, redact_event, redact_text
from starter.cli.logs import configure_logs

EMAIL = "marker-7f3a@person.example"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a process whose logs are configured as ours writes."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure_logs("debug")
    yield out
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    "name",
    ["payload", "email", "api_key", "Authorization", "request_body", "traits", "new_token"],
)
def test_a_field_that_holds_secrets_by_its_name_is_left_out(name: str) -> None:
    assert redact_event(None, "info", {"event": "x", name: "marker"}) == {
        "event": "x",
        name: REDACTED,
    }


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"refused {EMAIL}: bad", f"refused {REDACTED}: bad"),
        (f"/people/{EMAIL.replace('@', '%40')}?x", f"{REDACTED}"),
        ("Authorization: Basic c2ltLXVzLWtleTo=", f"Authorization: Basic {REDACTED}"),
        ("bearer abcdefgh.ijkl", f"bearer {REDACTED}"),
        ("postgresql://emitonce:hunter2@db/x", f"postgresql://{REDACTED}@db/x"),
        (
            "input_value={'a': 'marker'}, input_type=dict",
            f"input_value={REDACTED}, input_type=dict",
        ),
        ("5f0c6a1e-3c1b-4d7e-9a51-0d6f2b8c7e44 at 127.0.0.1:7233", None),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, redacted: str | None) -> None:
    assert redact_text(text) == (text if redacted is None else redacted)


def test_nested_values_and_objects_are_not_printed() -> None:
    event = redact_event(
        None,
        "info",
        {
            "event": "x",
            "seen": [EMAIL, {"to": EMAIL, "count": 2}],
            "step": Step.model_construct(workspace=EMAIL),
            "key_holder": SecretStr(EMAIL),
            "failed": ValueError(EMAIL),
        },
    )
    assert EMAIL not in json.dumps(event)
    assert event["seen"][1]["count"] == 2
    assert event["step"] == "<Step>"


def test_tracebacks_and_other_libraries_lines_pass_through_it(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    try:
        raise RuntimeError(f"could not send {EMAIL}")
    except RuntimeError:
        log.exception("failed", payload={"email": EMAIL})
        logging.getLogger("some.library").exception("failed for %s", EMAIL)
    logging.getLogger("temporalio.activity").warning(
        "Completing activity as failed", exc_info=ApplicationError(EMAIL)
    )
    written = lines.getvalue()
    assert written.count("could not send") >= 2
    assert EMAIL not in written


def test_an_error_about_a_value_does_not_repeat_it() -> None:
    for read in (Step.model_validate, TypeAdapter(Step).validate_python):
        with pytest.raises(ValidationError) as caught:
            read({"workspace": {"email": EMAIL}, "message": EMAIL})
        assert EMAIL not in str(caught.value)
