"""The simulator is an Intercom to Intercom's own Python client, errors included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from intercom import (
    AsyncIntercom,
    CreateContactRequestWithEmail,
    CreateContactRequestWithExternalId,
    CreateDataEventRequestWithUserId,
    MultipleFilterSearchRequest,
    NotFoundError,
    SingleFilterSearchRequest,
    UnauthorizedError,
)
from intercom.core.api_error import ApiError

from destinations.intercom.simulator import EU_TOKEN, TOKEN, VIP, IntercomSimulator
from destinations.simulator import Fault

EMAIL = "test@example.com"
NO_RETRY: Any = {"max_retries": 0}


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[IntercomSimulator]:
    async with IntercomSimulator() as opened:
        yield opened


@pytest_asyncio.fixture
async def client(sim: IntercomSimulator) -> AsyncIterator[AsyncIntercom]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield client_of(sim, http)


def client_of(
    sim: IntercomSimulator, http: httpx.AsyncClient, token: str = TOKEN, region: str = "us"
) -> AsyncIntercom:
    return AsyncIntercom(token=token, base_url=sim.base_urls[region], httpx_client=http)


async def create(client: AsyncIntercom, email: str = EMAIL) -> Any:
    request = CreateContactRequestWithEmail(email=email, role="user", name="Test")
    return await client.contacts.create(request=request, request_options=NO_RETRY)


async def search(client: AsyncIntercom, email: str = EMAIL) -> list[Any]:
    query = MultipleFilterSearchRequest(
        operator="AND",
        value=[
            SingleFilterSearchRequest(field="email", operator="=", value=email),
            SingleFilterSearchRequest(field="role", operator="=", value="user"),
        ],
    )
    pager = await client.contacts.search(query=query)
    return [one async for one in pager]


async def record(client: AsyncIntercom, **changed: Any) -> None:
    given = {"event_name": "signed-up", "created_at": 1795456800, "user_id": "usr_1", **changed}
    await client.events.create(
        request=CreateDataEventRequestWithUserId(**given), request_options=NO_RETRY
    )


async def test_a_contact_is_created_found_and_updated(
    sim: IntercomSimulator, client: AsyncIntercom
) -> None:
    made = await create(client)
    [found] = await search(client, EMAIL.upper())
    assert found.id == made.id
    changed = await client.contacts.update(
        made.id, external_id="usr_1", custom_attributes={"plan": "pro"}
    )
    assert changed.custom_attributes == {"plan": "pro"}
    by_id = await client.contacts.show_contact_by_external_id("usr_1")
    assert (by_id.id, by_id.name) == (made.id, "Test")
    assert len(sim.service.contacts) == 1


async def test_a_search_lags_behind_a_write_and_a_second_contact_is_refused(
    sim: IntercomSimulator, client: AsyncIntercom
) -> None:
    sim.service.lagging = True
    made = await create(client)
    assert await search(client) == []
    assert (await client.contacts.find(made.id)).id == made.id
    with pytest.raises(ApiError) as failure:
        await create(client)
    assert failure.value.status_code == 409
    [error] = failure.value.body["errors"]
    assert error["code"] == "conflict"
    assert error["message"].endswith(f"already exists with id={made.id}")
    sim.service.catch_up()
    assert len(await search(client)) == 1


async def test_an_attribute_that_is_not_defined_is_refused(client: AsyncIntercom) -> None:
    request = CreateContactRequestWithExternalId(
        external_id="usr_1", custom_attributes={"riddle": "x"}
    )
    with pytest.raises(ApiError) as failure:
        await client.contacts.create(request=request)
    assert failure.value.status_code == 400
    assert failure.value.body["errors"][0]["code"] == "parameter_invalid"


async def test_a_contact_is_tagged_once_and_the_tag_taken_off(
    sim: IntercomSimulator, client: AsyncIntercom
) -> None:
    made = await create(client)
    for _ in range(2):
        tag = await client.tags.tag_contact(made.id, tag_id=VIP)
        assert (tag.id, tag.name) == (VIP, "VIP")
    assert sim.service.contacts[made.id].tags == {VIP}
    assert (await client.tags.untag_contact(made.id, VIP)).id == VIP
    assert sim.service.contacts[made.id].tags == set()
    for untag in (client.tags.untag_contact(made.id, VIP), client.tags.untag_contact("x", VIP)):
        with pytest.raises(NotFoundError):
            await untag
    with pytest.raises(NotFoundError):
        await client.tags.tag_contact(made.id, tag_id="404")
    assert [one.name for one in (await client.tags.list()).data] == ["VIP"]


async def test_an_event_is_recorded_once_for_each_person_name_and_second(
    sim: IntercomSimulator, client: AsyncIntercom
) -> None:
    with pytest.raises(ApiError) as failure:
        await record(client)
    assert failure.value.status_code == 404
    made = await create(client)
    await client.contacts.update(made.id, external_id="usr_1")
    await record(client, metadata={f"key{n}": "x" for n in range(11)})
    await record(client)
    assert len(sim.service.occurrences) == 1
    assert len(sim.service.occurrences[0].metadata) == 10
    await record(client, created_at=1795456801)
    await record(client, event_name="paid")
    assert len(sim.service.occurrences) == 3


async def test_own_attributes_are_told_apart(client: AsyncIntercom) -> None:
    listed = (await client.data_attributes.list(model="contact")).data
    assert [one.name for one in listed if one.custom] == ["plan", "seats", "paid"]
    assert "email" in [one.name for one in listed]


@pytest.mark.parametrize(("token", "region"), [("unknown", "us"), (EU_TOKEN, "us"), (TOKEN, "eu")])
async def test_a_token_is_right_in_its_region_only(
    sim: IntercomSimulator, token: str, region: str
) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(UnauthorizedError) as failure:
            await create(client_of(sim, http, token, region))
        assert failure.value.body.errors[0].code == "unauthorized"
        me = await client_of(sim, http, EU_TOKEN, "eu").admins.identify()
        assert me is not None
        assert me.type == "admin"


async def test_too_many_requests_get_429_and_the_time_of_the_reset(sim: IntercomSimulator) -> None:
    sim.service.per_window = 1
    sim.service.now = lambda: 1_795_456_803.5
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        first, second = [await http.get(f"{sim.base_urls['us']}/me") for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 429)
        assert second.headers["x-ratelimit-reset"] == "1795456810"
        assert "retry-after" not in second.headers
        with pytest.raises(ApiError) as failure:
            await create(client_of(sim, http))
        assert failure.value.status_code == 429
        assert "rate_limit_exceeded" in str(failure.value.body)


async def test_a_fault_concerns_the_call_that_it_names(
    sim: IntercomSimulator, client: AsyncIntercom
) -> None:
    sim.fail("tags", fault=Fault(status=400), times=1)
    await create(client)
    with pytest.raises(ApiError):
        await client.tags.list()
    assert len((await client.tags.list()).data) == 1
