"""The check for words finds them where prose stands, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import words
from tools.words import findings

PROSE = {
    "docstring": '"""Deliver it anew."""\n',
    "docstring over two lines": '"""The text is\nno JSON."""\n',
    "comment": "x = 1  # while the vendor is away\n",
    "comment over two lines": "# the text is\n# no JSON\n",
    "text": 'raise ValueError("the behaviour is unknown")\n',
    "joined text": 'x = f"{x} is " "no UUID"\n',
}


@pytest.mark.parametrize("source", PROSE.values(), ids=PROSE)
def test_a_word_to_avoid_is_found(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert len(list(findings(path))) == 1


def test_a_word_to_avoid_is_found_in_a_template(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<p class="away">{{ begin }}</p>\n<p>Mend it.</p>\n')
    [found] = findings(path)
    assert f"{path}:2: “Mend”" in found


@pytest.mark.parametrize(
    "source",
    [
        '"""Read `told` right away; there is no limit, and it stands alone."""\n',
        'fields = {"begin": tell, "told": alone}\n',
        "def away(begin: str) -> None: ...\n",
    ],
)
def test_names_and_idioms_are_left_in_peace(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert list(findings(path)) == []


def test_a_word_that_is_right_in_one_place_can_be_allowed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""Keep what was taken away."""\n"""It is away."""\n')
    monkeypatch.setattr(words, "ALLOWED", frozenset({(str(path), "taken away")}))
    [found] = findings(path)
    assert "It is away" in found


def test_a_package_that_was_renamed_does_not_go_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "CHECKED", ("delivery", "no_such_package"))
    with pytest.raises(SystemExit, match="nothing to check in no_such_package"):
        words.main()
