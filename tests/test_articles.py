"""Two articles, row by row: what the table says of a key or a message is so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli import main
from runner.document.load import load
from runner.explaining.articles import Row, articles, articles_page
from tests.document.test_schema import EVERYTHING
from tests.running import PROJECT

ROWS = [(name, row) for name, article in articles().items() for row in article.rows]
KEYS = {path.removeprefix(".").replace("[]", "") for path in EVERYTHING}
PAGES = [PROJECT / "runner" / "page" / place / "articles.html" for place in ("source/public", "static")]


@pytest.mark.parametrize(
    "row", [row for _, row in ROWS if row.tried], ids=lambda row: f"{row.where}: {row.theirs}"[:70]
)
def test_lines_of_a_row_are_right_or_told_as_the_row_says(row: Row) -> None:
    loaded = load(PROJECT / "agents" / "row.yaml", text=f"prompt: Say hello.\n{row.tried}")
    found = [f"{problem.message} {problem.hint}" for problem in loaded.problems]
    if row.told:
        assert [text for text in found if row.told in text], found
    else:
        assert not found


def test_every_row_names_a_key_or_a_command_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (PROJECT / "README.md").read_text()
    named = {row.here for _, row in ROWS if row.here}
    keys = {here for here in named if here in KEYS or any(key.endswith(f".{here}") for key in KEYS)}
    assert not {here for here in named - keys if not all(word in readme for word in here.split())}


def test_each_article_has_its_bot() -> None:
    for article in articles().values():
        assert load(PROJECT / "agents" / f"{article.example}.yaml").definition


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.parent.name)
def test_page_is_the_table(file: Path) -> None:
    """Written by `python -c "from runner.explaining.articles import articles_page; print(articles_page(), end='')"`."""
    assert file.read_text() == articles_page()


@pytest.mark.parametrize("name", list(articles()))
def test_command_line_tells_an_article(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--from", name]) == 0
    text = capsys.readouterr().out
    assert main(["explain", "--from", name, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == sum(of == name for of, _ in ROWS)
    assert all(row["theirs"] in text for row in rows)
