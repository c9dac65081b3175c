"""YAML text in, a tree of what stands in it out, with the place of everything; broken YAML is mended in memory on the way.

YAML is read by its events, so that nothing is lost: duplicate keys, what was typed (`off`, not False), aliases as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from runner.document.causes import Fault, cause, glued_lines
from runner.document.mend import Mend, before_parsing
from runner.document.places import Cure, Source, Spot, Style
from runner.problem import Problem

MAX_DEPTH = 30
MAX_MENDS = 40
MAX_LINES_AGAIN = 100_000
"""How many lines may be parsed again after mends, so that a big broken file is answered at once, too."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_EMPTY = ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class Node:
    """One thing in the YAML, before aliases are followed."""

    style: Style
    spot: Spot
    text: str = ""
    typed: str = ""
    last_line: int = 0
    items: list[Node] = field(default_factory=list["Node"])
    entries: list[tuple[Node, Node]] = field(default_factory=list[tuple["Node", "Node"]])
    alias: str = ""
    target: Node | None = None
    circle: bool = False
    flow: bool = False
    open: bool = False


class UnreadableError(Exception):
    """The file cannot be read any further; the problem is already noted."""


class Reader:
    """Parses, mends and parses again."""

    def __init__(self, source: Source, known: frozenset[str]) -> None:
        self.source = source
        self.known = known
        self.lines = [re.sub("[\x85\u2028\u2029]", " ", line) for line in source.lines]
        self.shifts: dict[int, list[tuple[int, int]]] = {}
        self.anchors: dict[str, Node] = {}
        self.found: dict[tuple[int, int, str], Problem] = {}

    def parse(self) -> Node | None:
        """The tree, None for an empty file. Problems of syntax are noted on the way."""
        for number, line in enumerate(self.lines):
            control = _CONTROL.search(line)
            if control:
                self.note(
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
                    raise UnreadableError from None
                self._apply(mend)
            except yaml.YAMLError:
                self.note(self.source.at(Spot(1, 1, 1), "binary", "This file is not text."))
                raise UnreadableError from None
            finally:
                self.source.problems = list(self.found.values())

    def note(self, problem: Problem) -> None:
        """The first of several at one place and of one kind counts."""
        self.found.setdefault((problem.line, problem.column, problem.code), problem)

    def _apply(self, mend: Mend) -> None:
        if mend.message and mend.line + 1 not in self.source.broken:
            column = self._original(mend.line, mend.column)
            self.note(self.source.at(Spot(mend.line + 1, column + 1, mend.length), mend.code, mend.message, mend.hint))
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

    def _tree(self) -> Node | None:
        events: Iterator[Any] = cast("Any", yaml).parse("\n".join(self.lines) + "\n", Loader=_LOADER)
        root: Node | None = None
        stack: list[Node] = []
        keys: list[Node | None] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.note(
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
                        self.note(
                            self.source.at(
                                node.spot, "too-deep", f"Groups and lists are nested more than {MAX_DEPTH} deep here."
                            )
                        )
                        raise UnreadableError
        if root is not None and root.style == "empty":
            return None
        return root

    def _node(self, event: Any) -> Node:
        start, end = event.start_mark, event.end_mark
        spot = self._spot(start, end)
        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            target = self.anchors.get(anchor)
            return Node("empty", spot, alias=anchor, target=target, circle=target is not None and target.open)
        if isinstance(event, yaml.ScalarEvent):
            style: Style = "block" if event.style in ("|", ">") else "quoted" if event.style in ("'", '"') else "plain"
            value: str = event.value
            if style == "plain" and value in _EMPTY:
                style = "empty"
            typed = value
            if style == "quoted" and start.line == end.line:
                typed = self.source.lines[spot.line - 1][spot.column - 1 : spot.column - 1 + spot.length]
            node = Node(style, spot, value, typed, end.line + (1 if end.column else 0))
        else:
            node = Node(
                "group" if isinstance(event, yaml.MappingStartEvent) else "list", spot, flow=bool(event.flow_style)
            )
        if event.tag is not None and event.tag != "!":
            self.note(
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
