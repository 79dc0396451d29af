"""A run of the tests that is killed leaves none of its servers behind."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.command import ROOT

RUN = """
import signal
import subprocess
from tests.left_behind import not_left_behind

signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
server = subprocess.Popen(["sleep", "60"], start_new_session=True)
with not_left_behind(server.pid):
    print("started", flush=True)
    server.wait()
"""


def test_server_ends_with_the_tests_that_were_killed() -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    run.kill()
    run.communicate(timeout=30)  # the server has inherited the output, which it would keep open
