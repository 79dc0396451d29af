"""Slack as a destination: one message to one channel."""
