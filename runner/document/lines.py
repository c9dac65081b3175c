"""One line of YAML taken apart, whether or not it is right: indent, dashes, key, value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

INVISIBLE = "\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff\u3000"
"""Characters that look like a space, or like nothing, and are neither to YAML."""


_KEY = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s"'#\[\]{},|>&*!%@`:-](?:[^:#]|:(?=\S)|(?<=\S)#)*?)\s*:(?=\s|$)""")


_LONGEST_KEY = 300
_SPACE = " \t" + INVISIBLE
_INDENT = re.compile(f"[{_SPACE}]*")
_DASHES = re.compile(f"(?:-[{_SPACE}]+(?=[^{_SPACE}]))*")
BLOCK = re.compile(r"(?:[&!]\S+\s+)*[|>][0-9+-]*\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class Parts:
    """One line taken apart. start: column of the key or text, after the indent and the dashes; value_at: column of the value."""

    indent: int
    start: int
    key: str | None
    value_at: int
    value: str


@lru_cache(maxsize=8192)
def parts(line: str) -> Parts:
    """`  - to: goodbye  # x` -> indent 2, start 4, key `to`, value `goodbye`."""
    indent = _INDENT.match(line).end()  # pyright: ignore[reportOptionalMemberAccess]: it matches nothing, too
    start = _DASHES.match(line, indent).end()  # pyright: ignore[reportOptionalMemberAccess]
    if line[start:].rstrip(_SPACE) == "-":
        return Parts(indent, start, None, len(line), "")
    found = _KEY.match(line, start, start + _LONGEST_KEY)
    key = found.group("key").strip("\"'") if found else None
    at = found.end() if found else start
    at += len(line[at:]) - len(line[at:].lstrip(" \t"))
    return Parts(indent, start, key, at, without_comment(line[at:]).rstrip())


def without_comment(value: str) -> str:
    if value.startswith("#"):
        return ""
    cut = re.search(r"\s#", value)
    return value[: cut.start()] if cut and value[:1] not in "\"'" else value


def block_lines(lines: list[str]) -> set[int]:
    """The lines that are text below `|` or `>`: whatever stands in them is right."""
    inside: set[int] = set()
    owner: int | None = None
    for number, line in enumerate(lines):
        if owner is not None:
            if not line.strip() or len(line) - len(line.lstrip(" ")) > owner:
                inside.add(number)
                continue
            owner = None
        part = parts(line)
        if BLOCK.match(line[part.value_at :]):
            owner = part.start if part.key is not None else part.indent
    return inside


def end_of_quote(line: str, at: int) -> int | None:
    quote = line[at]
    position = at + 1
    while position < len(line):
        if quote == '"' and line[position] == "\\":
            position += 2
            continue
        if line[position] == quote:
            if quote == "'" and line[position + 1 : position + 2] == "'":
                position += 2
                continue
            return position
        position += 1
    return None


def said(line: str) -> bool:
    """Whether a line says anything: it is neither empty nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def line_above(lines: list[str], number: int) -> int | None:
    for n in range(number - 1, -1, -1):
        if lines[n].strip() and not lines[n].lstrip().startswith("#"):
            return n
    return None
