"""Every vendor has a simulator, and clients that are pointed to it reach it."""

from __future__ import annotations

import httpx

from destinations.clients import make_clients
from destinations.http.exchange import Http
from destinations.registry import BY_TYPE
from destinations.simulators import base_urls, open_simulators
from settings import Settings


async def test_each_type_but_webhooks_has_one_and_settings_can_name_it() -> None:
    async with open_simulators() as simulators, Http() as http:
        assert simulators.keys() == BY_TYPE.keys() - {"webhook"}
        named = Settings(base_urls=base_urls(simulators)).urls_by_type()
        assert named == {type: one.base_urls for type, one in simulators.items()}
        assert make_clients(http, named, agent="emitonce").keys() == BY_TYPE.keys()


async def test_each_can_be_looked_at_steered_and_reset_from_outside() -> None:
    async with open_simulators() as simulators, httpx.AsyncClient(trust_env=False) as http:
        for simulator in simulators.values():
            sim, fault = simulator.control_url, {"fault": {"status": 503}, "times": 1}
            for path in ("*", *simulator.calls):
                done = await http.post(f"{sim}faults", json=fault | {"path": path})
                assert done.status_code == 200
            refused = await http.post(f"{sim}faults", json=fault | {"path": "riddle"})
            assert (refused.status_code, refused.json()["error"][:5]) == (400, "path:")
            url = simulator.base_urls[simulator.regions[0]]
            assert (await http.post(f"{url}/anything")).status_code == 503
            seen = (await http.get(f"{sim}requests")).json()
            assert [(one["path"][-9:], one["status"]) for one in seen] == [("/anything", 503)]
            assert (await http.get(f"{sim}state")).json() == simulator.state()
            await http.post(f"{sim}reset")
            assert (await http.get(sim)).json()["requests"] == 0
