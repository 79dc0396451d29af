"""How many rules one event can match at most. Pure; the rules are counted elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RuleCount:
    """`number` rules with this resource and resource id, where None matches any."""

    resource: str | None
    resource_id: str | None
    number: int


def most_matched(counts: Iterable[RuleCount]) -> int:
    """The most rules that any one event matches, whatever its resource and resource id.

    An event with resource R and id I matches n(any, any) + n(R, any) + n(any, I) + n(R, I). The
    last term is zero for all pairs but those that rules name, so only these, and the best R with
    the best I, have to be looked at.
    """
    everywhere = 0
    by_resource: Counter[str] = Counter()
    by_resource_id: Counter[str] = Counter()
    by_both: Counter[tuple[str, str]] = Counter()
    for count in counts:
        if count.resource is None and count.resource_id is None:
            everywhere += count.number
        elif count.resource_id is None and count.resource is not None:
            by_resource[count.resource] += count.number
        elif count.resource is None and count.resource_id is not None:
            by_resource_id[count.resource_id] += count.number
        elif count.resource is not None and count.resource_id is not None:
            by_both[count.resource, count.resource_id] += count.number
    best_apart = max(by_resource.values(), default=0) + max(by_resource_id.values(), default=0)
    best_pair = max(
        (
            by_resource[resource] + by_resource_id[resource_id] + number
            for (resource, resource_id), number in by_both.items()
        ),
        default=0,
    )
    return everywhere + max(best_apart, best_pair)
