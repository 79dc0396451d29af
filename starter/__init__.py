"""What accepts events and shows them: API, console and CLI, and the modules that they share."""
