"""The cookbook's code works as it stands on the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.api.caller import Api
from tests.clients.conftest import ROOT, run

PAGE = (ROOT / "docs" / "cookbook.md").read_text()


def snippet(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_node_emits_once_however_often_it_is_asked(api: Api, tmp_path: Path) -> None:
    await api.stack.rule(event="order.paid")
    emits = 'await emit("order.paid", {userId: "usr_node"}, "order-17");'
    (tmp_path / "emit.mjs").write_text(f"{snippet('js')}\n{emits}\n{emits}\n")
    settings = {
        "EMITONCE_URL": api.url,
        "EMITONCE_TOKEN": api.machine.token(),
        "EMITONCE_WORKSPACE": api.stack.workspace,
    }
    ran = await run("node", "emit.mjs", cwd=tmp_path, **settings)
    assert ran.code == 0, ran.out
    await api.stack.sim.until(lambda: len(api.stack.calls(user="usr_node")) == 2)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_node_says_why_an_event_is_not_accepted(api: Api, tmp_path: Path) -> None:
    emits = 'await emit(" ", {userId: "usr_node"}, "order-18");'
    (tmp_path / "emit.mjs").write_text(f"{snippet('js')}\n{emits}\n")
    settings = {
        "EMITONCE_URL": api.url,
        "EMITONCE_TOKEN": api.machine.token(),
        "EMITONCE_WORKSPACE": api.stack.workspace,
    }
    ran = await run("node", "emit.mjs", cwd=tmp_path, **settings)
    assert ran.code != 0
    assert "not accepted" in ran.out


@pytest.mark.skipif(shutil.which("ruby") is None, reason="ruby is not installed")
async def test_ruby_can_be_parsed(tmp_path: Path) -> None:
    (tmp_path / "emit.rb").write_text(snippet("ruby"))
    ran = await run("ruby", "-c", "emit.rb", cwd=tmp_path)
    assert ran.code == 0, ran.out
