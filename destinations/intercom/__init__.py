"""Intercom as a destination: a contact is found and stored, then tagged or given an event."""
