"""A day in a time zone is the same on every worker: zones come from one pinned package."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
import tzdata

from delivery.transforms import TransformError, zone

# `<hash> <zone>` for each zone a mapping can name, as what was sent and recorded was built with.
RECORDED = Path(__file__).parent / "time_zones.txt"


@pytest.fixture
def other_zone_files(tmp_path: Path) -> Iterator[None]:
    """A machine whose own zone files say something else than the package's."""
    tokyo = files(tzdata).joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    for name in ("Andorra", "Atlantis"):
        (tmp_path / "Europe" / name).write_bytes(tokyo)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath((str(tmp_path),))
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(before)
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("other_zone_files")
def test_a_zone_is_the_same_whatever_the_machine_has() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=zone("Europe/Andorra"))
    assert noon.isoformat() == "2026-11-23T12:00:00+01:00"
    with pytest.raises(TransformError, match="unknown time zone"):
        zone("Europe/Atlantis")


def test_zones_are_those_that_builds_so_far_were_made_with() -> None:
    recorded = dict(reversed(line.split(" ")) for line in RECORDED.read_text().splitlines())
    today = fingerprints()
    differ = [name for name in recorded | today if recorded.get(name) != today.get(name)]
    assert not differ, (
        f"tzdata {tzdata.IANA_VERSION} differs in {len(differ)} zones: {', '.join(differ[:20])}. A "
        "mapping that names one would change what a recorded run sends. Keep the pinned version; "
        "or make a new build that reads the new one, let the builds before it go on reading these "
        "zones' old files, and record the new ones: python -m tests.unit.test_time_zones"
    )


def fingerprints() -> dict[str, str]:
    names = files(tzdata).joinpath("zones").read_text().split()
    return {
        name: sha256(files(tzdata).joinpath("zoneinfo", *name.split("/")).read_bytes()).hexdigest()[
            :16
        ]
        for name in names
    }


if __name__ == "__main__":
    RECORDED.write_text("".join(f"{value} {name}\n" for name, value in fingerprints().items()))
