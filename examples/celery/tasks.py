"""Emit from Celery: the task's id is the idempotency key, so a task that runs twice emits once.

    pip install celery emitonce
    celery -A tasks worker
    python -c "import tasks; tasks.emit.delay('user.signup', {'userId': 'usr_2048'})"

The environment has `EMITONCE_URL`, `EMITONCE_WORKSPACE` and a machine key (../README.md).

Enqueue after the commit (`transaction.on_commit`), and where an event must not be lost, from an
outbox as in the Django example: a broker is no part of your database's transaction.

Celery forks its workers; the emitter notices and opens connections of its own in each. How it is
tested, without emitonce: test_tasks.py.
"""

import os
from typing import Any

from celery import Celery, Task

from emitonce import HTTPEmitter, InvalidSetup, NotAccepted

app = Celery("tasks", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))
app.conf.task_acks_late = True  # a task whose worker died runs again; the key makes that harmless

emitter = HTTPEmitter()


@app.task(
    bind=True,
    autoretry_for=(NotAccepted, InvalidSetup),
    retry_backoff=True,
    max_retries=None,
    ignore_result=True,
)
def emit(self: Task, event: str, payload: dict[str, Any]) -> None:
    """Emit once. An `InvalidEvent` fails the task, since trying again would not help; everything
    else is tried again until emitonce is there and its URL and key are right."""
    emitter.emit(event, payload, idempotency_key=self.request.id)
