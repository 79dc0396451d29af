"""Encryption of the secrets that the catalog stores, and which keys are in use."""
