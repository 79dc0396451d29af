"""What a key of the Customer.io Pipelines API may look like."""

from __future__ import annotations

MAX_KEY = 200


def check_api_key(text: str) -> str:
    """The key without surrounding blanks.

    Customer.io publishes no format, so only what cannot be sent as the user name of Basic
    authentication, or is plainly a mistake in copying, is refused.

    Raises:
        ValueError: says what is wrong, never quoting the key.
    """
    key = text.strip()
    if not key:
        raise ValueError("the API key is blank; copy it from the Customer.io API source")
    if len(key) > MAX_KEY:
        raise ValueError(f"the API key is {len(key):,} characters long, the limit is {MAX_KEY}")
    if not key.isascii():
        raise ValueError("the API key holds characters other than ASCII; copy it again")
    if any(character.isspace() for character in key):
        raise ValueError("the API key holds a blank or a line break; copy it again")
    if not key.isprintable():
        raise ValueError("the API key holds a control character; copy it again")
    if ":" in key:
        raise ValueError(
            "the API key holds a colon; it is one word, not the Track API's site id and key"
        )
    return key
