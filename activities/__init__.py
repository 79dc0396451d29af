"""The activities: side effects, each declared with its timeouts and retry policy."""
