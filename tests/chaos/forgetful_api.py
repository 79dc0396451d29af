"""The API with broken code: it gives each request an event of its own, whatever its key says."""

from __future__ import annotations

import uuid

from emitonce import start
from starter.cli.main import main

if __name__ == "__main__":
    start.event_id_for = lambda *_, **__: str(uuid.uuid4())
    main()
