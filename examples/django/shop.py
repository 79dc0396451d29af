"""Emit inside a transaction, with Django: the outbox, in one file.

`transaction.atomic()` writes the order and the event together, so neither is ever there without the
other. `python shop.py relay` sends what is in the outbox and takes it out once emitonce has
accepted it; after a crash the row is sent again with the same idempotency key, and emitonce answers
with the event that it has already. (`transaction.on_commit(emit)` alone is simpler, and loses the
event when the process dies right after the commit.)

    pip install django emitonce
    python shop.py order usr_2048
    python shop.py relay

The environment has `EMITONCE_URL`, `EMITONCE_WORKSPACE` and a machine key (../README.md). How it
is tested, without emitonce: test_shop.py.
"""

import logging
import os
import sys
import uuid

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", "shop.sqlite3"),
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.db import connection, models, transaction  # noqa: E402

from emitonce import (  # noqa: E402
    BlockingEmitter,
    HTTPEmitter,
    InvalidEvent,
    InvalidSetup,
    NotAccepted,
)

logger = logging.getLogger("outbox")


class Order(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    customer = models.CharField(max_length=100)

    class Meta:
        app_label = "shop"


class OutboxEvent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    created_at = models.DateTimeField(auto_now_add=True)
    event = models.CharField(max_length=100)
    payload = models.JSONField()
    refused = models.TextField(null=True)

    class Meta:
        app_label = "shop"


@transaction.atomic
def create_order(customer: str) -> Order:
    order = Order.objects.create(customer=customer)
    OutboxEvent.objects.create(
        event="order.created", payload={"userId": customer, "order": str(order.id)}
    )
    return order


def relay(emitter: BlockingEmitter) -> int:
    """Send what is in the outbox; returns how many were accepted. Run it every few seconds.

    A row leaves the outbox only when its event is stored, or was refused for what it is itself.
    """
    accepted = 0
    for row in OutboxEvent.objects.filter(refused=None).order_by("created_at")[:100]:
        try:
            # When it happened is when it was written, however late it is sent.
            emitter.emit(
                row.event, row.payload, timestamp=row.created_at, idempotency_key=str(row.id)
            )
        except NotAccepted as err:
            logger.warning("the outbox waits: %s", err)
            break  # emitonce is unavailable; the row stays, and is sent again
        except InvalidSetup as err:
            logger.error("the outbox waits for someone to fix the set-up: %s", err)
            break  # nothing is wrong with the row
        except InvalidEvent as err:
            # It would be refused again: kept for a person, and no obstacle for the others.
            logger.error("event %s is refused: %s", row.id, err)
            row.refused = str(err)
            row.save(update_fields=["refused"])
        else:
            row.delete()
            accepted += 1
    return accepted


def create_tables() -> None:
    tables = connection.introspection.table_names()
    with connection.schema_editor() as schema:
        for model in (Order, OutboxEvent):
            if model._meta.db_table not in tables:
                schema.create_model(model)


def main(command: str, *arguments: str) -> None:
    create_tables()
    if command == "order":
        print(create_order(*arguments).id)
    elif command == "relay":
        with HTTPEmitter() as emitter:
            print(relay(emitter))


if __name__ == "__main__":
    main(*sys.argv[1:])
