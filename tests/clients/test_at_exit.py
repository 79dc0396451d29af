"""A program whose last act is an emit ends with 0, however late Temporal's client lets go of it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.clients.conftest import ROOT, run
from tests.integration.stack import Stack

# The thread that hands the answer over stays in its last step for 0.2 s; the interpreter, once it
# takes itself down, needs 0.5 s. Where nobody waits for the thread, it comes back in the middle of
# that and takes the process with it.
PROGRAM = """
import sys, time
from asyncio.selector_events import BaseSelectorEventLoop

wake = BaseSelectorEventLoop._write_to_self

def wake_and_linger(loop):
    wake(loop)
    time.sleep(0.2)

class SlowToEnd:
    def __del__(self, sleep=time.sleep):
        sleep(0.5)

BaseSelectorEventLoop._write_to_self = wake_and_linger
sys.kept = SlowToEnd()
"""
BLOCKING = """
from emitonce import SyncEmitter
emitter = SyncEmitter(task_queue=sys.argv[1], workspace=sys.argv[2])
print(emitter.emit("user.signup", {"userId": "usr_7"}))
"""
ON_A_LOOP = """
import asyncio
from emitonce import Emitter

async def main():
    emitter = await Emitter.connect(task_queue=sys.argv[1], workspace=sys.argv[2])
    print(await emitter.emit("user.signup", {"userId": "usr_7"}))

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""


async def test_after_an_emit_of_the_blocking_emitter(stack: Stack, tmp_path: Path) -> None:
    await ends_well(BLOCKING, stack, tmp_path)


async def test_after_an_emit_on_an_event_loop(stack: Stack, tmp_path: Path) -> None:
    await ends_well(ON_A_LOOP, stack, tmp_path)


async def ends_well(emits: str, stack: Stack, folder: Path) -> None:
    (folder / "backend.py").write_text(PROGRAM + emits)
    ran = await run(
        *(sys.executable, "backend.py", stack.task_queue, stack.workspace),
        cwd=folder,
        TEMPORAL_ADDRESS=stack.client.service_client.config.target_host,
        PYTHONPATH=str(ROOT),
    )
    assert ran.code == 0, ran.out
    await stack.client.get_workflow_handle(ran.out.strip()).result()
