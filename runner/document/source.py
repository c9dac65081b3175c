"""Text in, data with a line and a column for every key and value out.

Text without quotes stays text; `check.py` makes numbers and true or false of it where the schema wants them. Broken YAML is
mended in memory (`tree.py`), so that everything wrong with a file is said at once.
"""

from __future__ import annotations

from pathlib import Path

from runner.document.places import Place, Source, Spot
from runner.document.settle import settle
from runner.document.text import MAX_BYTES, one_newline, size_in_words
from runner.document.tree import Reader, UnreadableError

_NO_SETTINGS = (
    "An agent file is a group of settings, each with a name, a colon and a value.",
    "A first line could be: name: support",
)


def read(file: Path, text: str, known: frozenset[str] = frozenset()) -> Source:
    """YAML text to data, places and the problems of the YAML itself. Never raises for what the text contains.

    known: the names of settings; they tell a setting without its colon from a line of text.
    """
    text = one_newline(text)
    source = Source(file, text.split("\n"))
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        spot = Spot(1, 1, 1)
        source.problems.append(source.at(spot, "too-big", f"This text is longer than {size_in_words(MAX_BYTES)}."))
        return source
    reader = Reader(source, known)
    try:
        root = reader.parse()
        if root is not None and root.style == "group":
            source.data = settle(reader, root)
        elif root is not None:
            source.problems.append(source.at(root.spot, "not-a-group", *_NO_SETTINGS))
        elif not source.problems:
            source.problems.append(source.at(Spot(1, 1, 1), "empty", *_nothing_in(text)))
    except UnreadableError:
        if not source.problems:
            source.problems.append(source.at(Spot(1, 1, 1), "unreadable", "This file cannot be read as YAML."))
    return source


def read_value(file: Path, text: str) -> Source:
    """One value as it would stand after a colon (`--set PATH=VALUE`); what is not YAML is text."""
    source = Source(file, [text])
    reader = Reader(source, frozenset())
    try:
        root = reader.parse()
        source.data = settle(reader, root) if root is not None else None
    except UnreadableError:
        pass
    if source.problems:
        spot = Spot(1, 1, len(text) or 1)
        return Source(file, [text], text, {(): Place(spot, spot, text, "quoted")})
    return source


def _nothing_in(text: str) -> tuple[str, str]:
    what = "This file holds only comments." if "#" in text else "This file is empty."
    return what, "Every agent needs at least a prompt. A first line could be: prompt: You are a friendly assistant."
