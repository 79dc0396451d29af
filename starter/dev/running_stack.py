"""Whether a development stack is up, and where: other commands find it by its data directory."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import SettingsError, private_folder


@dataclass(frozen=True)
class DevPorts:
    """0 means any free one."""

    temporal: int = 7233
    ui: int = 8233
    simulator: int = 9100
    http: int = 8080


def running_stack(data_dir: Path) -> dict[str, Any] | None:
    """The addresses of the stack that is up on this directory; None when none is."""
    try:
        with (data_dir / "dev.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        pass
    except OSError:
        return None
    try:
        found: dict[str, Any] = json.loads((data_dir / "dev.json").read_text())
    except (OSError, ValueError):
        return None
    return found


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Hold the directory. Raises `SettingsError` when another stack does."""
    private_folder(data_dir)
    with (data_dir / "dev.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"a stack is up on {data_dir} already: end it, or set EMITONCE_DATA_DIR"
            ) from None
        yield


@contextmanager
def announced(data_dir: Path, addresses: dict[str, Any]) -> Iterator[None]:
    """Leave the addresses for `running_stack` of other processes to find."""
    path = data_dir / "dev.json"
    path.write_text(json.dumps(addresses))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
