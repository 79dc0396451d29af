"""The embedded PostgreSQL keeps its data, is shared, and comes back after any kind of end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from starter.dev.postgres import EmbeddedPostgres, EmbeddedPostgresError
from tests.integration.stack import eventually

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root's runs as another user")


async def ask(server: EmbeddedPostgres, statement: str):
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "pgdata" / "postmaster.pid").read_text().splitlines()[0])


async def test_data_survives_a_restart(tmp_path):
    server = await EmbeddedPostgres.start(tmp_path)
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    await server.stop()
    with pytest.raises(OSError):
        await ask(server, "SELECT 1")
    again = await EmbeddedPostgres.start(tmp_path)
    assert again.dsn == server.dsn
    assert await ask(again, "SELECT value FROM kept") == 7
    await again.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x" * 120, 'blanks and, commas\' "quotes"', "ünïcode"])
async def test_any_path_will_do(tmp_path, name):
    server = await EmbeddedPostgres.start(tmp_path / name / "deeper")
    assert await ask(server, "SELECT 7") == 7
    await server.stop()


async def test_last_one_to_leave_stops_it(tmp_path):
    first = await EmbeddedPostgres.start(tmp_path)
    second = await EmbeddedPostgres.start(tmp_path)
    await first.stop()
    await first.stop()
    assert await ask(second, "SELECT 7") == 7
    await second.stop()
    with pytest.raises(OSError):
        await ask(second, "SELECT 1")


IN_ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from starter.dev.postgres import EmbeddedPostgres

async def main():
    server = await EmbeddedPostgres.start(Path(sys.argv[1]))
    print(server.dsn, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if sys.argv[2] == "stop":
        await server.stop()

asyncio.run(main())
"""


def in_another_process(data_dir: Path, ending: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(data_dir), ending],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
async def test_two_processes_that_start_at_once_share_it(tmp_path):
    others = [in_another_process(tmp_path, "stop") for _ in range(2)]
    dsns = {other.stdout.readline().strip() for other in others}
    server = await EmbeddedPostgres.start(tmp_path)
    assert dsns == {server.dsn}
    for other in others:
        other.communicate("", timeout=30)
    assert await ask(server, "SELECT 7") == 7
    await server.stop()


@pytest.mark.slow
async def test_process_that_forgets_to_stop_it_stops_it_at_its_end(tmp_path):
    other = in_another_process(tmp_path, "forget")
    other.stdout.readline()
    other.communicate("", timeout=30)
    assert not (tmp_path / "pgdata" / "postmaster.pid").exists()


@pytest.mark.slow
async def test_user_that_was_killed_does_not_keep_it_running(tmp_path):
    other = in_another_process(tmp_path, "stop")
    other.stdout.readline()
    other.kill()
    other.communicate()
    server = await EmbeddedPostgres.start(tmp_path)
    assert await ask(server, "SELECT 7") == 7
    await server.stop()
    assert not (tmp_path / "pgdata" / "postmaster.pid").exists()


@pytest.mark.slow
async def test_server_that_was_killed_is_started_again_with_its_data(tmp_path):
    server = await EmbeddedPostgres.start(tmp_path)
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    os.kill(postmaster(tmp_path), signal.SIGKILL)

    async def gone() -> bool:
        try:
            await ask(server, "SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return True
        return False

    await eventually(gone)
    again = await EmbeddedPostgres.start(tmp_path)
    assert await ask(again, "SELECT value FROM kept") == 7
    await again.stop()
    await server.stop()


@pytest.mark.slow
async def test_lock_with_the_pid_of_another_process_is_not_believed(tmp_path):
    """In a container, pids are soon reused: another process may have the dead server's."""
    server = await EmbeddedPostgres.start(tmp_path)
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    lock = tmp_path / "pgdata" / "postmaster.pid"
    text = lock.read_text()
    await server.stop()
    lock.write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1))
    again = await EmbeddedPostgres.start(tmp_path)
    assert await ask(again, "SELECT value FROM kept") == 7
    await again.stop()


async def test_nobody_else_may_enter(tmp_path):
    server = await EmbeddedPostgres.start(tmp_path)
    for name in ("pgdata", "socket"):
        directory = tmp_path / name
        assert not directory.exists() or directory.stat().st_mode & 0o077 == 0
    assert await ask(server, "SHOW listen_addresses") == ""
    await server.stop()


def succeeds(user: str, *command: str) -> bool:
    ran = subprocess.run(command, user=user, extra_groups=[], capture_output=True, check=False)
    return ran.returncode == 0


@pytest.mark.slow
@AS_ROOT
async def test_what_is_closed_to_others_stays_closed_to_them(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = await EmbeddedPostgres.start(home / "data")
    assert await ask(server, "SELECT 7") == 7
    await server.stop()
    assert home.stat().st_mode & 0o007 == 0
    assert succeeds("pgserver", "test", "-x", str(home))
    assert not succeeds("nobody", "test", "-x", str(home))
    for user in ("pgserver", "nobody"):
        assert not succeeds(user, "ls", str(home))


@pytest.mark.slow
@AS_ROOT
async def test_a_directory_closed_meanwhile_is_passed_again(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for _ in range(2):
        server = await EmbeddedPostgres.start(home / "data")
        assert await ask(server, "SELECT 7") == 7
        home.chmod(0o700)
        await server.stop()


async def test_data_of_another_version_is_refused(tmp_path):
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 17.* is 18"):
        await EmbeddedPostgres.start(tmp_path)


@pytest.mark.slow
async def test_half_made_directory_is_made_anew(tmp_path):
    (tmp_path / "pgdata.new").mkdir()
    (tmp_path / "pgdata.new" / "PG_VERSION").write_text("18\n")
    server = await EmbeddedPostgres.start(tmp_path)
    assert await ask(server, "SELECT 7") == 7
    await server.stop()
