"""Text in, data with a line and a column for every key and value out.

YAML is read by its events, so that nothing is lost on the way: duplicate keys, what was typed (`off`, not False) and the
place of everything stay known. Text without quotes stays text; `check.py` makes numbers and true or false of it where the
schema wants them. Broken YAML is mended in memory, so that everything wrong with a file is said at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from runner.document.causes import Fault, cause, glued_lines
from runner.document.mend import Mend, before_parsing
from runner.document.places import Cure, Place, Source, Spot, Style, Where
from runner.document.text import MAX_BYTES, one_newline, size_in_words
from runner.problem import Problem

MAX_VALUES = 20_000


MAX_DEPTH = 30


MAX_MENDS = 40
MAX_LINES_AGAIN = 100_000
"""How many lines may be parsed again after mends, so that a big broken file is answered at once, too."""


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


_EMPTY = ("", "~", "null", "Null", "NULL")


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
    reader = _Reader(source, known)
    try:
        root = reader.parse()
        if root is not None and root.style == "group":
            source.data = reader.settle(root)
        elif root is not None:
            source.problems.append(source.at(root.spot, "not-a-group", *_NO_SETTINGS))
        elif not source.problems:
            source.problems.append(source.at(Spot(1, 1, 1), "empty", *_nothing_in(text)))
    except _UnreadableError:
        if not source.problems:
            source.problems.append(source.at(Spot(1, 1, 1), "unreadable", "This file cannot be read as YAML."))
    return source


def read_value(file: Path, text: str) -> Source:
    """One value as it would stand after a colon (`--set PATH=VALUE`); what is not YAML is text."""
    source = Source(file, [text])
    reader = _Reader(source, frozenset())
    try:
        root = reader.parse()
        source.data = reader.settle(root) if root is not None else None
    except _UnreadableError:
        pass
    if source.problems:
        spot = Spot(1, 1, len(text) or 1)
        return Source(file, [text], text, {(): Place(spot, spot, text, "quoted")})
    return source


def _nothing_in(text: str) -> tuple[str, str]:
    what = "This file holds only comments." if "#" in text else "This file is empty."
    return what, "Every agent needs at least a prompt. A first line could be: prompt: You are a friendly assistant."


@dataclass(slots=True)
class _Node:
    """One thing in the YAML, before aliases are followed."""

    style: Style
    spot: Spot
    text: str = ""
    typed: str = ""
    last_line: int = 0
    items: list[_Node] = field(default_factory=list["_Node"])
    entries: list[tuple[_Node, _Node]] = field(default_factory=list[tuple["_Node", "_Node"]])
    alias: str = ""
    target: _Node | None = None
    circle: bool = False
    flow: bool = False
    open: bool = False


class _UnreadableError(Exception):
    """The file cannot be read any further; the problem is already noted."""


class _Reader:
    """Parses, mends and parses again."""

    def __init__(self, source: Source, known: frozenset[str]) -> None:
        self.source = source
        self.known = known
        self.lines = [re.sub("[\x85\u2028\u2029]", " ", line) for line in source.lines]
        self.shifts: dict[int, list[tuple[int, int]]] = {}
        self.anchors: dict[str, _Node] = {}
        self.count = 0
        self.found: dict[tuple[int, int, str], Problem] = {}

    def parse(self) -> _Node | None:
        """The tree, None for an empty file. Problems of syntax are noted on the way."""
        for number, line in enumerate(self.lines):
            control = _CONTROL.search(line)
            if control:
                self._note(
                    self.source.at(
                        Spot(number + 1, control.start() + 1, 1),
                        "control-character",
                        f"There is an invisible control character (U+{ord(control.group()):04X}) here.",
                        "Delete it and type the text again.",
                    )
                )
                self.lines[number] = _CONTROL.sub(" ", line)
        for mend in before_parsing(self.lines):
            self._apply(mend)
        tries: dict[int, int] = {}
        while True:
            self.anchors = {}
            kept = dict(self.found)
            try:
                root = self._tree()
                glued = glued_lines(self.lines) if root is not None and root.style == "plain" else []
                if not glued:
                    return root
                for mend in glued:
                    self._apply(mend)
            except yaml.MarkedYAMLError as error:
                self.found = kept
                mark, context = error.problem_mark or error.context_mark, error.context_mark
                line, column = (mark.line, mark.column) if mark else (0, 0)
                fault = Fault(
                    min(line, len(self.lines) - 1),
                    column,
                    context.line if context else None,
                    context.column if context else None,
                    f"{error.context or ''} {error.problem or ''}",
                )
                tries[fault.line] = tries.get(fault.line, 0) + 1
                mend = cause(self.lines, fault, self.known, last_resort=tries[fault.line] > 3)
                if mend is None or sum(tries.values()) > min(MAX_MENDS, MAX_LINES_AGAIN // len(self.lines)):
                    raise _UnreadableError from None
                self._apply(mend)
            except yaml.YAMLError:
                self._note(self.source.at(Spot(1, 1, 1), "binary", "This file is not text."))
                raise _UnreadableError from None
            finally:
                self.source.problems = list(self.found.values())

    def _note(self, problem: Problem) -> None:
        self.found.setdefault((problem.line, problem.column, problem.code), problem)

    def _apply(self, mend: Mend) -> None:
        if mend.message and mend.line + 1 not in self.source.broken:
            column = self._original(mend.line, mend.column)
            self._note(self.source.at(Spot(mend.line + 1, column + 1, mend.length), mend.code, mend.message, mend.hint))
            if mend.safe and not any(change.line + 1 in self.source.broken for change in mend.changes):
                edits = tuple((change.line + 1, 1, (change.text,)) for change in mend.changes)
                self.source.cures.append(Cure(mend.code, edits))
        self.source.broken.add(mend.line + 1)
        for change in mend.changes:
            self.lines[change.line] = change.text
            if change.moved:
                self.shifts.setdefault(change.line, []).append((change.at, change.moved))

    def _original(self, line: int, column: int) -> int:
        for at, moved in reversed(self.shifts.get(line, [])):
            if column > at:
                column = max(at, column - moved)
        return column

    def _spot(self, start: Any, end: Any) -> Spot:
        line: int = min(start.line, len(self.lines) - 1)
        last: int = end.column if end.line == start.line else len(self.lines[line].rstrip())
        column = self._original(line, start.column)
        return Spot(line + 1, column + 1, max(1, self._original(line, last) - column))

    def _tree(self) -> _Node | None:
        events: Iterator[Any] = cast("Any", yaml).parse("\n".join(self.lines) + "\n", Loader=_LOADER)
        root: _Node | None = None
        stack: list[_Node] = []
        keys: list[_Node | None] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._note(
                        self.source.at(
                            self._spot(event.start_mark, event.end_mark),
                            "second-part",
                            "--- begins a second file here. One agent is one file.",
                            "Remove the line, or move what follows into a file of its own.",
                        )
                    )
                    break
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                stack.pop().open = False
                keys.pop()
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event)
                if not stack:
                    root = root or node
                elif stack[-1].style == "list":
                    stack[-1].items.append(node)
                elif keys[-1] is None:
                    keys[-1] = node
                else:
                    stack[-1].entries.append((keys[-1], node))
                    keys[-1] = None
                if isinstance(event, yaml.CollectionStartEvent):
                    stack.append(node)
                    keys.append(None)
                    if len(stack) > MAX_DEPTH:
                        self._note(
                            self.source.at(
                                node.spot, "too-deep", f"Groups and lists are nested more than {MAX_DEPTH} deep here."
                            )
                        )
                        raise _UnreadableError
        if root is not None and root.style == "empty":
            return None
        return root

    def _node(self, event: Any) -> _Node:
        start, end = event.start_mark, event.end_mark
        spot = self._spot(start, end)
        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            target = self.anchors.get(anchor)
            return _Node("empty", spot, alias=anchor, target=target, circle=target is not None and target.open)
        if isinstance(event, yaml.ScalarEvent):
            style: Style = "block" if event.style in ("|", ">") else "quoted" if event.style in ("'", '"') else "plain"
            value: str = event.value
            if style == "plain" and value in _EMPTY:
                style = "empty"
            typed = value
            if style == "quoted" and start.line == end.line:
                typed = self.source.lines[spot.line - 1][spot.column - 1 : spot.column - 1 + spot.length]
            node = _Node(style, spot, value, typed, end.line + (1 if end.column else 0))
        else:
            node = _Node(
                "group" if isinstance(event, yaml.MappingStartEvent) else "list", spot, flow=bool(event.flow_style)
            )
        if event.tag is not None and event.tag != "!":
            self._note(
                self.source.at(
                    spot,
                    "exclamation-mark",
                    "A text that begins with ! means something else to YAML.",
                    "Put the whole text in double quotes.",
                )
            )
        if event.anchor:
            self.anchors[event.anchor] = node
        node.open = isinstance(event, yaml.CollectionStartEvent)
        return node

    def settle(self, root: _Node) -> Any:
        """The data under `root`, aliases followed, with places and with the problems that only the tree shows."""
        try:
            return self._settle(root, (), root.spot)
        finally:
            self.source.problems = list(self.found.values())

    def _settle(self, node: _Node, path: Where, key: Spot, depth: int = 0) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or depth > MAX_DEPTH:
            self._note(
                self.source.at(
                    key,
                    "too-many",
                    f"With everything that * repeats, this file has more than {MAX_VALUES} values."
                    if self.anchors
                    else f"This file has more than {MAX_VALUES} values.",
                    "Repeat less.",
                    path=path,
                )
            )
            raise _UnreadableError
        if node.alias:
            if node.target is None:
                self._note(
                    self.source.at(
                        node.spot,
                        "unknown-alias",
                        f"*{node.alias} repeats something named &{node.alias}, but nothing has that name.",
                        "If the text shall begin with *, put it in double quotes.",
                        path=path,
                    )
                )
                self.source.broken.add(node.spot.line)
                self.source.places[path] = Place(key, node.spot, node.alias, "empty")
                return None
            if node.circle:
                self._note(
                    self.source.at(node.spot, "circle", f"*{node.alias} stands inside what it repeats.", path=path)
                )
                raise _UnreadableError
            return self._settle(node.target, path, key, depth + 1)
        typed = node.typed if node.style in ("plain", "quoted", "block") else ""
        self.source.places[path] = Place(key, node.spot, typed, node.style, node.last_line)
        if node.style == "group":
            return self._settle_group(node, path, depth)
        if node.style == "list":
            return [self._settle(item, (*path, number), item.spot, depth + 1) for number, item in enumerate(node.items)]
        return None if node.style == "empty" else node.text

    def _settle_group(self, node: _Node, path: Where, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        seen: dict[str, _Node] = {}
        merged: list[_Node] = []
        for key, value in node.entries:
            if key.style == "plain" and key.text == "<<":
                merged.append(value)
                continue
            if key.style in ("group", "list") or key.alias:
                self._note(
                    self.source.at(
                        key.spot,
                        "odd-key",
                        "Brackets cannot be the name of a setting.",
                        "If this is text, put it in double quotes.",
                        path=path,
                    )
                )
                continue
            name = key.text
            if name in seen:
                self._note(
                    self.source.at(
                        key.spot,
                        "twice",
                        f'"{name}" is written twice: here and in line {seen[name].spot.line}.',
                        "Keep one of the two.",
                        path=(*path, name),
                    )
                )
                continue
            if node.flow and value.style == "empty" and not value.alias and data:
                before = next(reversed(data))
                if isinstance(data[before], str):
                    self._note(
                        self.source.at(
                            key.spot,
                            "cut-by-comma",
                            f'The comma before "{name}" ended the text of "{before}": inside {{ }} a comma separates '
                            "settings.",
                            "Put the whole text in double quotes, or write each setting on a line of its own.",
                            path=(*path, before),
                        )
                    )
                    data[before] += f", {name}"
                    continue
            seen[name] = key
            data[name] = self._settle(value, (*path, name), key.spot, depth + 1)
        for value in merged:
            self._merge(value, path, data, depth)
        return data

    def _merge(self, value: _Node, path: Where, data: dict[str, Any], depth: int) -> None:
        """`<<: *name` and `<<: [*a, *b]`: what is written here wins over what is repeated."""
        target = value.target or value
        for part in target.items if target.style == "list" else [value]:
            kept = {p: place for p, place in self.source.places.items() if p[: len(path)] == path}
            shared = self._settle(part, path, part.spot, depth + 1)
            self.source.places.update(kept)
            if isinstance(shared, dict):
                for name, inner in shared.items():  # pyright: ignore[reportUnknownVariableType]
                    data.setdefault(name, inner)  # pyright: ignore[reportUnknownArgumentType]
            else:
                self._note(self.source.at(part.spot, "odd-merge", "<< can only repeat a group.", path=path))
