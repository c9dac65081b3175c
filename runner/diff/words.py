"""How one value became another, in words: durations, numbers, lists and texts. Pure; no file, no service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import cast

from runner.wording import joined

MAX_PLACES = 4
"""How many changed places of one text are named; the rest is counted."""

MAX_QUOTE = 80
"""The longest quotation, in characters."""


def quoted(text: str) -> str:
    """Text in quotation marks, on one line, shortened in the middle."""
    line = " ".join(text.split())
    if len(line) > MAX_QUOTE:
        line = f"{line[: MAX_QUOTE - 25].rstrip()} ... {line[-20:].lstrip()}"
    return f'"{line}"'


def shown(value: object, unit: str = "") -> str:
    """A value as a person would write it: `1.5 s`, `on`, `A, B`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return duration(value, unit) if unit in ("s", "ms") else f"{number(value)}{f' {unit}' if unit else ''}"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:@+-]{1,60}", value) else quoted(value)
    if isinstance(value, Sequence):
        return joined([shown(item) for item in cast("Sequence[object]", value)]) or "nothing"
    return quoted(str(value))


def number(value: float) -> str:
    """`0.2`, never `0.20000000000000001`."""
    return f"{value:.10g}"


def duration(value: float, unit: str) -> str:
    """`800 ms`, `1.5 s`, `15 min`, `2 h`. unit: `s` or `ms`, what the value is in."""
    secs = value / 1000 if unit == "ms" else value
    if secs and secs < 1:
        return f"{number(round(secs * 1000, 4))} ms"
    for size, name in ((3600, "h"), (60, "min")):
        if secs >= size and (secs / size).is_integer():
            return f"{number(secs / size)} {name}"
    return f"{number(round(secs, 7))} s"


def at_path(record: object, path: str) -> object:
    """What stands at a dotted path of a record, None below something that is None."""
    for name in path.split("."):
        record = getattr(record, name, None)
    return record


def list_change(before: Sequence[object], after: Sequence[object]) -> tuple[list[str], list[str]]:
    """What came and what went, as they would be written; both empty when only the order differs."""
    came = [shown(item) for item in after if item not in before]
    return came, [shown(item) for item in before if item not in after]


def text_change(before: str, after: str) -> str:
    """`says "formal" instead of "friendly", adds "Be brief."`; the words that changed, not the whole text."""
    old, new = before.split(), after.split()
    if old == new:
        return "has other spaces or line breaks"
    said: list[str] = []
    for a, b, c, d in _changed_places(old, new):
        gone, come = " ".join(old[a:b]), " ".join(new[c:d])
        if gone and come:
            said.append(f"says {quoted(come)} instead of {quoted(gone)}")
        else:
            said.append(f"adds {quoted(come)}" if come else f"leaves out {quoted(gone)}")
    more = len(said) - MAX_PLACES
    if more > 0:
        said = [*said[:MAX_PLACES], f"changes in {more} more {'place' if more == 1 else 'places'}"]
    return joined(said)


def _changed_places(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The places in which two lists of words differ; those with at most two words between them are one place."""
    places: list[tuple[int, int, int, int]] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=len(old) > 2000).get_opcodes():
        if kind == "equal":
            continue
        if places and a - places[-1][1] <= 2:
            a, c = places.pop()[::2]
        places.append((a, b, c, d))
    return places
