"""The HTTP API: Meshes' paths and shapes, so that its clients work by changing a base URL.

`create_app(dependencies)` makes the application, `served(dependencies, …)` runs it inside an event
loop for as long as a context is entered.
"""

from starter.api.app import create_app
from starter.api.dependencies import Dependencies
from starter.api.listening import AddressTaken
from starter.api.server import served

__all__ = ["AddressTaken", "Dependencies", "create_app", "served"]
