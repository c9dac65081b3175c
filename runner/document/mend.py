"""A line that is not YAML in; the cause in plain words, and the line mended out.

Here are the words for it, and the causes that are certain without a parser. What only shows when parsing fails is in
`causes.py`. A mend changes lines in memory only, never the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.document.lines import INVISIBLE, block_lines, parts

_NAMES = {"\u00a0": "no-break space", "\u202f": "no-break space", "\u2007": "no-break space", "\u3000": "wide space"}


_OPENING = "“„«‘‚"


_CLOSING = {"“": "”“", "„": "“”", "«": "»", "‘": "’", "‚": "‘’"}


@dataclass(frozen=True, slots=True)
class Change:
    """The new text of a line; everything after column `at` moved by `moved` characters."""

    line: int
    text: str
    at: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Mend:
    """A cause, with line and column from 0, and the lines as they have to be to read on.

    safe: the lines mean what was meant, so `check --fix` may write them.
    """

    line: int
    column: int
    length: int
    code: str
    message: str
    hint: str
    changes: list[Change] = field(default_factory=list[Change])
    safe: bool = False


def before_parsing(lines: list[str]) -> Iterator[Mend]:
    """Causes that are certain without a parser, many of which it would swallow in silence."""
    inside = block_lines(lines)
    tabs = [n for n, line in enumerate(lines) if n not in inside and re.match(r" *\t\s*[^\s#]", line)]
    if tabs:
        yield _tabs(lines, tabs)
    for number, line in enumerate(lines):
        if number in inside or line.lstrip().startswith("#"):
            continue
        mend = _invisible(number, line) or _curly(number, line) or _template(number, line)
        if mend:
            yield mend


def _tabs(lines: list[str], tabs: list[int]) -> Mend:
    widths = [len(m.group()) for line in lines if (m := re.match(r" +(?=\S)", line))]
    unit = " " * (min(widths) if widths and min(widths) in (2, 4) else 2)
    changes: list[Change] = []
    for number in tabs:
        line = lines[number]
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        spaces = indent.replace("\t", unit)
        changes.append(Change(number, spaces + line[len(indent) :], len(indent), len(spaces) - len(indent)))
    first = tabs[0]
    others = len(tabs) - 1
    also = "" if not others else f" So does {others} more." if others == 1 else f" So do {others} more."
    return Mend(
        first,
        lines[first].index("\t"),
        1,
        "tab",
        f"This line begins with a tab.{also} YAML wants spaces.",
        "Replace each tab with two spaces; most editors can do it for the whole file.",
        changes,
        safe=True,
    )


def _invisible(number: int, line: str) -> Mend | None:
    part = parts(line)
    head = re.match(rf"[\s{INVISIBLE}]*(?:-[\s{INVISIBLE}]+)*[\w-]*:?[\s{INVISIBLE}]*", line)
    reach = head.end() if head else 0
    at = next((i for i, c in enumerate(line[:reach]) if c in INVISIBLE), None)
    if at is None:
        return None
    del part
    char = line[at]
    what = _NAMES.get(char, "invisible character")
    fixed = "".join(" " if c in INVISIBLE else c for c in line[:reach]) + line[reach:]
    return Mend(
        number,
        at,
        1,
        "invisible-character",
        f"There is a {what} here (U+{ord(char):04X}). It looks like an ordinary space, but YAML does not take it for one."
        if what != "invisible character"
        else f"There is an invisible character here (U+{ord(char):04X}).",
        "Delete it and type an ordinary space." if what != "invisible character" else "Delete it.",
        [Change(number, fixed)],
        safe=True,
    )


def _curly(number: int, line: str) -> Mend | None:
    part = parts(line)
    for at, text in ((part.start, line[part.start : part.start + 1]), (part.value_at, part.value)):
        if not text or text[0] not in _OPENING:
            continue
        end = next((i for i in range(at + 1, len(line)) if line[i] in _CLOSING[line[at]]), None)
        after = line[end + 1 :].lstrip() if end is not None else ""
        if end is None or (after and not after.startswith((":", "#"))):
            continue
        typed = line[at : end + 1]
        quote = "'" if '"' in typed or "\\" in typed else '"'
        inner = typed[1:-1].replace("'", "’") if quote == "'" else typed[1:-1]
        return Mend(
            number,
            at,
            1,
            "curly-quotes",
            f"{typed[0]} and {typed[-1]} are curly quotes. YAML takes them for a part of the text.",
            'Type straight quotes: "',
            [Change(number, line[:at] + quote + inner + quote + line[end + 1 :])],
            safe=True,
        )
    return None


def _template(number: int, line: str) -> Mend | None:
    part = parts(line)
    if not part.value.startswith(("{{", "{%")):
        return None
    if re.fullmatch(r"\{\{[^{}]*\}\}|\{%[^{}]*%\}", part.value):
        example = f': "{part.value}"' if part.key is not None else f': - "{part.value}"'
    else:
        example = "."
    return Mend(
        number,
        part.value_at,
        len(part.value),
        "unquoted-braces",
        f"A text that begins with {part.value[:2]} needs quotes around it.",
        f"Put the whole text in double quotes{example}",
        [quoted(number, line, part.value_at, part.value)],
        safe=True,
    )


def quoted(number: int, line: str, at: int, value: str) -> Change:
    """The line with quotes around its value, double ones unless the text itself has some."""
    inner = value.replace("'", "''") if '"' in value or "\\" in value else value
    quote = "'" if '"' in value or "\\" in value else '"'
    return Change(number, f"{line[:at]}{quote}{inner}{quote}{line[at + len(value) :]}", at, 1)


def blanked(number: int, line: str) -> Change:
    indent = len(line) - len(line.lstrip())
    return Change(number, line[:indent] + "#" + line[indent + 1 :] if line.strip() else "#")
