"""The HTTP API: Meshes' paths and shapes, so that its clients work by changing a base URL.

`create_app(parts)` makes the application, `serve(parts, …)` runs it inside an event loop.
"""

from starter.api.app import create_app
from starter.api.parts import Parts
from starter.api.server import AddressTaken, serve

__all__ = ["AddressTaken", "Parts", "create_app", "serve"]
