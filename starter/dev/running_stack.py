"""Find a running development stack by its data directory, as other commands do."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from key_provider import private_folder
from settings import SettingsError


@dataclass(frozen=True)
class DevPorts:
    """The ports of a stack; 0 is any free one."""

    temporal: int = 7233
    ui: int = 8233
    simulator: int = 9100
    http: int = 8080


def running_stack(data_dir: Path) -> dict[str, Any] | None:
    """Return the addresses of the stack that runs on this directory; None if there is none."""
    try:
        with (data_dir / "dev.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((data_dir / "dev.json").read_text()))
    except OSError:
        pass
    return None


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Hold the directory. Raises `SettingsError` if another stack holds it."""
    private_folder(data_dir)
    with (data_dir / "dev.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"a stack already runs on {data_dir}: stop it, or set EMITONCE_DATA_DIR"
            ) from None
        yield


@contextmanager
def announced(data_dir: Path, addresses: dict[str, Any]) -> Iterator[None]:
    """Write the addresses where `running_stack` finds them, until the context is left."""
    path = data_dir / "dev.json"
    path.write_text(json.dumps(addresses))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
