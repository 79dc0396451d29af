"""Configure logs: readable lines on a terminal, JSON elsewhere, always on stderr."""

from __future__ import annotations

import logging
import os
import sys

import structlog
from temporalio.exceptions import ApplicationError

from starter.cli.log_redaction import redact_event


def configure_logs(default: str = "info") -> None:
    """Log at the level in `EMITONCE_LOG_LEVEL`; at `default` if it is absent or unknown."""
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
        # Lines below the level must cost nothing: every delivery has several.
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
    # At this level httpx logs the URL of each request, and mcp what a tool refused. The worker logs
    # requests itself.
    for noisy in ("httpx", "httpcore", "asyncio", "mcp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("temporalio.activity").addFilter(_without_expected_traceback)


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """Log a refusal by a destination in one line: it is an outcome, not an error of the code."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ApplicationError):
        record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info = None
    return True
