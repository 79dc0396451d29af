"""Starts an event with Temporal's Python SDK alone: the workflow by its name, one JSON object.

pip install temporalio
EMITONCE_WORKSPACE=<id> python start_event.py
"""

import asyncio
import os
import uuid

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy


async def main() -> None:
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"),
        namespace=os.environ.get("TEMPORAL_NAMESPACE", "default"),
    )
    # The workflow's id is the event's. Made of your own row's id, the same row is one event.
    event_id = str(
        uuid.uuid5(uuid.NAMESPACE_URL, f"orders/{os.environ.get('ORDER', uuid.uuid4())}")
    )
    await client.start_workflow(
        "DeliverEvent",
        {
            "workspace": os.environ["EMITONCE_WORKSPACE"],
            "event": "user.signup",
            "payload": {"userId": "usr_python", "email": "python@example.com"},
        },
        id=event_id,
        task_queue=os.environ.get("EMITONCE_TASK_QUEUE", "deliveries"),
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    print(event_id)


asyncio.run(main())
