"""The word for each state of an event or delivery: the same on the console and in the terminal."""

from __future__ import annotations

from delivery.result import Status

HELD = "Held"

WORDS = {
    Status.PENDING: "Pending",
    Status.PROCESSING: "In progress",
    Status.RETRYING: "Retrying",
    Status.COMPLETED: "Delivered",
    Status.FAILED: "Failed",
    Status.CANCELED: "Canceled",
}
