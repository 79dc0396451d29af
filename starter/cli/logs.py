"""Logs of every process: lines for people on a terminal, JSON elsewhere; always on stderr."""

from __future__ import annotations

import logging
import os
import sys

import structlog
from temporalio.exceptions import ApplicationError

from starter.cli.log_redaction import redact_event


def configure_logs(default: str = "info") -> None:
    """Level by `EMITONCE_LOG_LEVEL`; where that is absent or unknown, by `default`."""
    levels = logging.getLevelNamesMapping()
    level = levels.get(os.environ.get("EMITONCE_LOG_LEVEL", "").upper(), levels[default.upper()])
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Lines below the level cost nothing: a delivery has several of them.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # httpx tells of each request with its URL at this level: noise, and the worker's own to tell.
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("temporalio.activity").addFilter(_without_expected_traceback)


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """A refusal by a destination is an outcome, not a fault of the code: one line tells it."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ApplicationError):
        record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info = None
    return True
