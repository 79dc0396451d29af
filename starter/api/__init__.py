"""The HTTP API. It has Meshes' paths and shapes, so that Meshes' clients need only its base URL.

`create_app(dependencies)` creates the application; `served(dependencies, …)` serves it inside an
event loop until its context is left.
"""

from starter.api.app import create_app
from starter.api.dependencies import Dependencies
from starter.api.listening import AddressTaken
from starter.api.server import served

__all__ = ["AddressTaken", "Dependencies", "create_app", "served"]
