"""What stored mappings promise."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from catalog.errors import (
    Conflict,
    InvalidValue,
    VersionConflict,
)
from delivery.mapping_schema import (
    LiteralSource,
    MappedField,
    MappingSchema,
)
from destinations.customerio.build import DEFAULT_MAPPING


@pytest.fixture
def database(shared_database: str) -> str:
    return shared_database


async def test_mapping_counts_its_versions_and_refuses_a_late_writer(tenant):
    mappings = tenant.catalog.mappings
    owned = (tenant.organization, tenant.connection.id)
    assert await mappings.default(*owned) is None
    with pytest.raises(VersionConflict, match="none is stored"):
        await mappings.put_default(*owned, schema=DEFAULT_MAPPING, expected_version=2)

    first = await mappings.put_default(*owned, schema=DEFAULT_MAPPING)
    second = await mappings.put_default(
        *owned, schema=MappingSchema(fields=()), name="Empty", expected_version=2
    )
    assert (first.version, second.version) == (2, 3)
    assert second.mapping_id == first.mapping_id
    assert await mappings.default(*owned) == second
    with pytest.raises(VersionConflict, match=r"version 2.* version 3") as caught:
        await mappings.put_default(*owned, schema=DEFAULT_MAPPING, expected_version=2)
    assert (caught.value.expected, caught.value.current) == (2, 3)
    with pytest.raises(Conflict, match="another default mapping"):
        await mappings.put_default(*owned, schema=DEFAULT_MAPPING, mapping_id=str(uuid.uuid4()))


async def test_of_writers_at_once_with_the_same_expectation_one_wins(tenant):
    owned = (tenant.organization, tenant.connection.id)
    await tenant.catalog.mappings.put_default(*owned, schema=DEFAULT_MAPPING)
    results = await asyncio.gather(
        *(
            tenant.catalog.mappings.put_default(*owned, schema=DEFAULT_MAPPING, expected_version=2)
            for _ in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, VersionConflict) for result in results) == 1


@pytest.mark.parametrize("value", ["nul\0", "nul\0 within"])
async def test_mapping_with_what_postgres_cannot_hold_is_refused(tenant, value):
    schema = MappingSchema(
        fields=(MappedField(dest="plan", source=LiteralSource(type="literal", value=value)),)
    )
    with pytest.raises(InvalidValue):
        await tenant.catalog.mappings.put_default(
            tenant.organization, tenant.connection.id, schema=schema
        )
