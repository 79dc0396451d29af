"""What a release knows, so that several releases side by side use only what all of them know.

Whatever changes in what is sent or recorded gets a name here. It is used once every live worker
knows it, and recorded with the run that uses it; a release that reads a name it doesn't know
fails the workflow task, which is retried until a worker that knows it takes it.
"""

from __future__ import annotations

from typing import TypeVar

from delivery.rule import MatchResult
from delivery.values import Value

T = TypeVar("T")


class UnknownToThisRelease(Exception):
    """Recorded by a newer release. Not a failure of the event: another worker can go on."""


class Capabilities(Value):
    """The versions of builders, the destination types and the features that a release knows."""

    builds: tuple[int, ...]
    destination_types: tuple[str, ...]
    features: tuple[str, ...] = ()

    @property
    def newest_build(self) -> int:
        return max(self.builds)

    def common(self, other: Capabilities) -> Capabilities:
        """What both know."""
        return Capabilities(
            builds=_both(self.builds, other.builds),
            destination_types=_both(self.destination_types, other.destination_types),
            features=_both(self.features, other.features),
        )

    def lacks(self, used: Capabilities) -> tuple[str, ...]:
        """What of `used` isn't known, in words."""
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
        """Make sure that a run can be gone on with here.

        `carried` are the builds of messages that are sent again.

        Raises:
            UnknownToThisRelease: it was recorded by a release that knows more.
        """
        used = Capabilities(
            builds=tuple({rule.build for rule in matched.rules}.union(carried)),
            destination_types=tuple({rule.integration_type for rule in matched.rules}),
            features=matched.features,
        )
        if unknown := self.lacks(used):
            raise UnknownToThisRelease(
                f"recorded by a newer release, with {', '.join(unknown)}: a worker of that "
                "release must go on with this run"
            )


def _both(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(one for one in first if one in second)
