"""Lists from files: `keyterms: {file: words.txt}` in, the words as if they stood in the agent's file out.

A file has one word or sentence a line. Empty lines are left out, and so is what follows a # at the beginning of a line or
between two spaces (` # `). Each word keeps its line, so that whatever is wrong with it is said there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from runner.document.check import schema_at, settings_of, types
from runner.document.folder import Folder
from runner.document.places import Place, Source, Spot, Where
from runner.problem import Problem

Group = dict[str, Any]

MAX_WORDS = 1000
"""Lines with a word in them that one file may have."""

_COMMENT = re.compile(r"(^|\s)#(\s.*|$)|^\s*#.*")
_DASH = re.compile(r"[-*•](\s+)(?=\S)")
_QUOTED = re.compile(r"""(["'])(.*)\1""")


def lists_from_files(source: Source, folder: Folder) -> None:
    """Put the words of every list that is a file into the data and the places of `source`.

    A list whose file cannot be used is taken out, so that nothing else is said about it; why is in `folder.problems`.
    """
    for path in list(_named(source.data)):
        node = schema_at(source.data, path)
        if node is None or "array" not in types(node) or "file" not in settings_of(node, {}):
            continue
        group = cast("Group", _at(source.data, path))
        found = folder.read(source, (*path, "file"), group["file"], "list-file")
        words = read_list(*found) if found else None
        if words is not None and not words.data:
            folder.problems.extend(words.problems)
            if not words.problems:
                empty = f'The file "{group["file"]}" has no words in it.'
                folder.problems.append(
                    source.on_value(
                        (*path, "file"), "list-file", empty, "Write one on each line, or remove the setting."
                    )
                )
        if words is None or not words.data:
            _drop(source.data, path[:-1] if path[-1] == "only" else path)
            continue
        folder.problems.extend(words.problems)
        _at(source.data, path[:-1])[path[-1]] = words.data
        for (number,), place in words.places.items():
            source.places[(*path, number)] = place


def without_only(source: Source) -> None:
    """At the top of a file, `keyterms: {only: [...]}` means no words of the file that it extends: a list like any other."""
    group = cast("Group", source.data).get("stt")
    terms = cast("Group", group).get("keyterms") if isinstance(group, dict) else None
    if not isinstance(terms, dict) or list(cast("Group", terms)) != ["only"] or not isinstance(terms["only"], list):
        return
    at: Where = ("stt", "keyterms")
    cast("Group", group)["keyterms"] = terms["only"]
    for number in range(len(cast("list[Any]", terms["only"]))):
        source.places[(*at, number)] = source.places[(*at, "only", number)]


def read_list(file: Path, text: str) -> Source:
    """The words of one file: `data` is a list of texts, `places` has one for each."""
    words = Source(file, text.split("\n"), [])
    for number, line in enumerate(words.lines, 1):
        comment = _COMMENT.search(line)
        word = (line[: comment.start()] if comment else line).strip()
        if not word:
            continue
        if len(words.data) == MAX_WORDS:
            words.problems.append(
                words.at(
                    Spot(number, 1, len(line)), "too-many", f"This list goes on after {MAX_WORDS} lines, the most."
                )
            )
            break
        spot = Spot(number, line.index(word) + 1, len(word))
        words.problems.extend(_yaml_habits(words, spot, word))
        words.places[(len(words.data),)] = Place(spot, spot, word, "block", number, words)
        words.data.append(word)
    return words


def _yaml_habits(words: Source, spot: Spot, word: str) -> Iterator[Problem]:
    """A dash before the word and quotes around it belong into YAML; here they would be taken for a part of it."""
    dash, quoted = _DASH.match(word), _QUOTED.fullmatch(word)
    if dash:
        mark = Spot(spot.line, spot.column, 1)
        yield words.at(
            mark,
            "dash-in-list",
            "A line of this file is taken as it stands, with its dash.",
            f"Write: {word[dash.end() :]}",
        )
    elif quoted and quoted.group(2):
        said = "A line of this file is taken as it stands, with its quotes."
        yield words.at(spot, "quotes-in-list", said, f"Write: {quoted.group(2)}")


def _named(value: object, path: Where = ()) -> Iterator[Where]:
    """Every group that has nothing but `file: name` in it."""
    if isinstance(value, dict):
        group = cast("Group", value)
        name = group.get("file")
        if len(group) == 1 and isinstance(name, str) and name and path:
            yield path
        for key, inner in group.items():
            yield from _named(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(cast("list[Any]", value)):
            yield from _named(inner, (*path, number))


def _at(data: Any, path: Where) -> Any:
    for part in path:
        data = data[part]
    return data


def _drop(data: Any, path: Where) -> None:
    around = _at(data, path[:-1])
    if isinstance(around, dict):
        around.pop(path[-1], None)  # pyright: ignore[reportUnknownMemberType]
