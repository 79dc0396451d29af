"""Destinations: what each one is, how its messages are built and sent. One folder for each."""
