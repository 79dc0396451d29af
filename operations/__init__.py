"""What operators do: redeliver, resume, cancel, erase, check, and what alerts them."""
