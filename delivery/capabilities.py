"""What a release knows, so that releases running side by side use only what all of them know.

Every change in what is sent or recorded gets a name. It is used once every live worker knows it,
and recorded with the run that uses it. A release that reads a name it doesn't know fails the
workflow task, which Temporal retries until a worker that knows the name runs it.
"""

from __future__ import annotations

from typing import TypeVar

from delivery.frozen_model import FrozenModel
from delivery.rule import MatchResult

T = TypeVar("T")


class UnknownToThisRelease(Exception):
    """A newer release recorded this run. The event has not failed: another worker can continue."""


class Capabilities(FrozenModel):
    """The versions of builders, the destination types and the features that a release knows."""

    builds: tuple[int, ...]
    destination_types: tuple[str, ...]
    features: tuple[str, ...] = ()

    @property
    def newest_build(self) -> int:
        return max(self.builds)

    def common(self, other: Capabilities) -> Capabilities:
        """Return what both know."""
        return Capabilities(
            builds=_both(self.builds, other.builds),
            destination_types=_both(self.destination_types, other.destination_types),
            features=_both(self.features, other.features),
        )

    def lacks(self, used: Capabilities) -> tuple[str, ...]:
        """Describe, in words, what in `used` is unknown here."""
        return (
            *(f"build {build}" for build in used.builds if build not in self.builds),
            *(
                f"destination type {type}"
                for type in used.destination_types
                if type not in self.destination_types
            ),
            *(f"feature {feature}" for feature in used.features if feature not in self.features),
        )

    def check(self, matched: MatchResult, carried: tuple[int, ...] = ()) -> None:
        """Check that this release can continue a run.

        `carried` are the builds of messages that are sent again.

        Raises:
            UnknownToThisRelease: a release that knows more recorded the run.
        """
        used = Capabilities(
            builds=tuple({rule.build for rule in matched.rules}.union(carried)),
            destination_types=tuple({rule.integration_type for rule in matched.rules}),
            features=matched.features,
        )
        if unknown := self.lacks(used):
            raise UnknownToThisRelease(
                f"recorded by a newer release, with {', '.join(unknown)}: only a worker of that "
                "release can continue this run"
            )


def _both(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(one for one in first if one in second)
