"""Where a vendor's API is: its own base URLs, or those that an operator has set instead."""

from __future__ import annotations

from collections.abc import Mapping

from destinations.http.exchange import read_url


def read_base_urls(
    label: str, vendor: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return them by region, without a slash at the end. A vendor without regions has one: `""`.

    Raises:
        ValueError: one of `given` is not a base URL, or the vendor has no such region.
    """
    for region in given.keys() - vendor.keys():
        raise ValueError(f"base URL of region {region!r}: {label} has no such region")
    return {region: _read(region, url) for region, url in {**vendor, **given}.items()}


def _read(region: str, text: str) -> str:
    try:
        url = read_url(text)
    except ValueError as err:
        raise ValueError(f"base URL of region {region!r} {err}") from None
    if url.userinfo or url.query or url.fragment:
        raise ValueError(f"base URL of region {region!r} must have no user, query or fragment")
    return text.rstrip("/")
