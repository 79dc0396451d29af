"""Real processes, what can go wrong with each, and one oracle for what became of every event."""
