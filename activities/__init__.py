"""Side effects: each activity with its declared retry policy and timeouts."""
