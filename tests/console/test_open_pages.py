"""Pages that are left open ask again and again; that costs no more the more of them there are."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionAsyncIterator,
)

from tests.console.site import open_site, sign_in
from tests.integration.stack import Stack


class Counting(Interceptor):
    """Counts the lists that Temporal is asked for."""

    lists = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        counting = self

        class Outbound(OutboundInterceptor):
            def list_workflows(self, input: Any) -> WorkflowExecutionAsyncIterator:
                counting.lists += 1
                return super().list_workflows(input)

        return Outbound(next)


async def test_ten_pages_that_show_the_same_list_cost_one_list(stack: Stack) -> None:
    counting = Counting()
    config = stack.client.config()
    client = Client(**{**config, "interceptors": [*config["interceptors"], counting]})
    await stack.ended(await stack.emit())
    await stack.listed(1)
    async with (
        open_site(stack, client=client) as watched,
        httpx.AsyncClient(base_url=watched.url) as http,
    ):
        await sign_in(http, watched.access_key, watched.secret_key)

        async def polled(pages: int, address: str) -> set[str]:
            counting.lists = 0
            answers = await asyncio.gather(*(http.get(watched.at(address)) for _ in range(pages)))
            assert {answer.status_code for answer in answers} == {200}
            return {answer.text for answer in answers}

        await polled(1, "/events/rows?tests=include")
        one = counting.lists
        assert one > 0
        (rows,) = await polled(10, "/events/rows")
        assert counting.lists < 5 * one  # on a busy machine ten requests take more than a second
        assert "user.signup" in rows

        (others,) = await polled(10, "/events/rows?event=page.view")
        assert "No events match these filters" in others
