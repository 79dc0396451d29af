"""The console: the product's tour in a browser, rendered on the server.

`Console(parts, …)` is called with the application that it adds its pages to, at `/`.
"""

from starter.console.console import Console
from starter.console.development import DevelopmentKey, development_key

__all__ = ["Console", "DevelopmentKey", "development_key"]
