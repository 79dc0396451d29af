"""The workflows: deterministic code that decides what happens, step by step."""
