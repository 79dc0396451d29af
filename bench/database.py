"""An embedded PostgreSQL as a process of its own, durable as in production.

python -m bench.database DIRECTORY
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from starter.dev.postgres import EmbeddedPostgres


async def main(directory: Path) -> None:
    postgres = await EmbeddedPostgres.start(directory)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps({"dsn": postgres.dsn}), flush=True)
    await stop.wait()
    await postgres.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
