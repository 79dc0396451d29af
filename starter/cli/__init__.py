"""The command line `emitonce`."""
