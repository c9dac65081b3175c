"""What differs about the people on the line and their languages, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from runner.catalog import LANGUAGE_NAMES
from runner.diff.words import number, quoted, text_change
from runner.wording import joined

_MODES = {
    "together": "all speakers share one conversation",
    "separate": "each speaker has a conversation of its own",
    "first_only": "only the first speaker is answered",
}


def callers_said(path: str, before: object, after: object) -> str:
    """A sentence about one value at `speakers...` or `languages...`."""
    parts = path.split(".")
    if path == "speakers.mode":
        return _MODES.get(str(after), f"speakers are treated as {after}")
    if parts[0] == "speakers":
        return _person(parts[2], ".".join(parts[3:]), before, after)
    return _language(LANGUAGE_NAMES.get(parts[1], parts[1]), parts[2:], before, after)


def _person(letter: str, field: str, before: object, after: object) -> str:
    if field == "prompt":
        return f"what the model is told for speaker {letter} {_texts(before, after)}"
    if after is None:
        return f"speaker {letter} has no name of its own any more (before: {before})"
    return f"speaker {letter} is called {after}" + (f" instead of {before}" if before else "")


def _language(name: str, field: list[str], before: object, after: object) -> str:
    match field:
        case ["prompt"]:
            return f"what the model is told in {name} {_texts(before, after)}"
        case ["voice"] if after is None:
            return f"{name} has no voice of its own any more (before: {before})"
        case ["voice"]:
            return f"{name} is spoken with the voice {after}" + (f" instead of {before}" if before else "")
        case ["confidence" | "words" as key]:
            what = "how sure the ear must be" if key == "confidence" else "how many words it takes"
            steps = [number(float(cast("float", value))) for value in (after, before) if value is not None]
            return f"{what} to go over to {name} is {' instead of '.join(steps)}"
        case ["say", *stage]:
            return f"what {stage[0] if stage else 'a stage'} says in {name} {_lines(before, after)}"
        case [*_, "say" | "warning" | "goodbye"]:
            return f"{'.'.join(field)} in {name} {_texts(before, after)}"
        case _:
            return f"{name} is {'gone' if after is None else 'new'}"


def _lines(before: object, after: object) -> str:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = cast("Mapping[str, str]", before or {}), cast("Mapping[str, str]", after or {})
        return f"differs ({joined([name for name in {**old, **new} if old.get(name) != new.get(name)])})"
    return _texts(before, after)


def _texts(before: object, after: object) -> str:
    if before is None:
        return f"is new: {quoted(str(after))}"
    return "is gone" if after is None else text_change(str(before), str(after))
