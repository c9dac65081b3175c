"""What two articles promise, row by row, and what does it here.

The articles: "How to Build a Real-Time Voice Agent with Pipecat" (the tutorial) and AssemblyAI's guide "Universal 3.5 Pro
Realtime on Pipecat" (the guide). Where they are older than Pipecat 1.14 or than the vendor, the row says what holds now.
Comes in: `articles.yaml` beside this file. Goes out: the tables, for `runner explain --from` and as a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Row:
    """One promise.

    where:  the article's heading.
    theirs: what the article says or sets, in its own words.
    here:   the key of the agent file or the command that does it; "" for what always happens.
    says:   what to know.
    tried:  an agent file's lines that try it, below a prompt; "" where there is nothing to write.
    told:   part of what `runner check` answers to these lines; "" when they are right.
    """

    where: str
    theirs: str
    here: str
    says: str
    tried: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """title: its name. example: the agent file in `agents/` that is its bot."""

    title: str
    example: str
    rows: tuple[Row, ...]


def articles() -> dict[str, Article]:
    """Both, by the names that `--from` takes."""
    found = yaml.safe_load(Path(__file__).with_name("articles.yaml").read_text(encoding="utf-8"))
    return {name: _article(**article) for name, article in found.items()}


def _article(title: str, example: str, rows: list[dict[str, str]]) -> Article:
    made = (
        Row(row["where"], row["theirs"], row.get("here", ""), row["says"], row.get("try", ""), row.get("told", ""))
        for row in rows
    )
    return Article(title, example, tuple(made))


def article_text(article: Article) -> str:
    """The table for a terminal."""
    lines = [f"{article.title} -> here", f"Its bot: agents/{article.example}.yaml"]
    for where, rows in groupby(article.rows, lambda row: row.where):
        lines += ["", where]
        lines += [f"  {row.theirs}\n      {f'{row.here}: ' if row.here else ''}{row.says}" for row in rows]
    return "\n".join(lines)


def articles_page() -> str:
    """The tables as a page, without a script."""
    parts = [_HEAD]
    for article in articles().values():
        parts.append(f"<h2>{escape(article.title)}</h2>")
        parts.append(f"<p>Its bot: <code>agents/{article.example}.yaml</code></p>\n<table>")
        parts.append("<tr><th>Where</th><th>The article</th><th>Here</th><th>What to know</th></tr>")
        for row in article.rows:
            here = f"<code>{escape(row.here)}</code>" if row.here else "always"
            cells = (escape(row.where), escape(row.theirs), here, escape(row.says))
            parts.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        parts.append("</table>")
    return "\n".join([*parts, "</html>", ""])


_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>runner: two articles, row by row</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; color: #1c1e21; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #ddd; }
code { font-size: .92em; }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #16181b; } th, td { border-color: #333; } }
</style>
<h1>Two articles, row by row</h1>
<p>Which key of an agent file, or which command, does what these articles promise. Where they are older than the vendors, the
row says what holds now.</p>"""
