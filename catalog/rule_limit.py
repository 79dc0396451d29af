"""Calculate how many rules one event can match at most. Pure; rules are counted elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def most_matched(counts: Mapping[tuple[str | None, str | None], int]) -> int:
    """Return the most rules that any one event matches, whatever its resource and resource id.

    `counts` are the numbers of rules by resource and resource id, where None matches any. An event
    with resource R and id I matches n(any, any) + n(R, any) + n(any, I) + n(R, I). The last term is
    zero for all pairs but those that rules name, so only these, and the best R with the best I,
    have to be looked at.
    """
    number = Counter(counts)
    resources = {resource for resource, _ in counts if resource is not None}
    ids = {id for _, id in counts if id is not None}
    best_resource = max((number[resource, None] for resource in resources), default=0)
    best_id = max((number[None, id] for id in ids), default=0)
    pairs = [(resource, id) for resource, id in counts if None not in (resource, id)]
    best_pair = max(
        (
            number[resource, None] + number[None, id] + number[resource, id]
            for resource, id in pairs
        ),
        default=0,
    )
    return number[None, None] + max(best_resource + best_id, best_pair)
