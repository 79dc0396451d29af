"""The domain, pure: events, rules, mapping, identity, messages, outcomes, the delivery log.

Nothing here does I/O, reads a clock or imports another of our packages, so all of it can run inside
a workflow and be tested in milliseconds.
"""
