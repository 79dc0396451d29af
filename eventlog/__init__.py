"""The delivery log, read back from Temporal's history: one event, lists, counts, export."""
