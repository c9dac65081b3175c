"""What was read and where it stands: the words that reading, checking and explaining share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.definition import Written
from runner.problem import Problem, Severity

Where = tuple[str | int, ...]
"""Where a value sits in the data: ("stages", "email", "next", 0, "to")."""


PASTED_KEY = re.compile(r"\b(sk-[A-Za-z0-9_-]{16,}|sk_car_[A-Za-z0-9]{8,})")
"""OpenAI's and Cartesia's keys by their looks. No problem ever repeats one."""

Style = Literal["plain", "quoted", "block", "group", "list", "empty"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A piece of one line: line and column from 1, length in characters."""

    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key and its value stand. For an item of a list `key` is the item itself.

    typed: the value as written, "" for groups and lists.
    last_line: the line the value ends on, from 1.
    home:  the file it stands in, None for the one it was asked of (see `Source.home`).
    """

    key: Spot
    value: Spot
    typed: str
    style: Style
    last_line: int = 0
    home: Source | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cure:
    """What makes a problem go away without a doubt: whole lines and what takes their place.

    edits: (line from 1, how many lines go, what comes instead); 0 lines gone means that something is put in before it.
    """

    code: str
    edits: tuple[tuple[int, int, tuple[str, ...]], ...]


@dataclass(slots=True)
class Source:
    """One file as it was read, or an agent's file together with those it extends.

    lines:    the file as it stands, without line ends.
    data:     groups as dict, lists as list, text as str, nothing as None.
    places:   one for every path in `data`.
    problems: what was wrong with the YAML itself.
    broken:   lines (from 1) that were mended; whatever else is said about them is a consequence.
    origins:  what to name instead of a place in the file (`--set stt.mode=fast`), by path.
    cures:    what `check --fix` may do about the problems.
    base:     what was merged into `data` and `places` from the file that this one extends.
    partial:  a file that this one extends could not be read, so what seems to be missing may stand there.
    """

    file: Path
    lines: list[str] = field(default_factory=list[str])
    data: Any = None
    places: dict[Where, Place] = field(default_factory=dict[Where, Place])
    problems: list[Problem] = field(default_factory=list[Problem])
    broken: set[int] = field(default_factory=set[int])
    origins: dict[Where, str] = field(default_factory=dict[Where, str])
    base: Source | None = None
    partial: bool = False
    cures: list[Cure] = field(default_factory=list[Cure])

    def place(self, path: Where) -> Place:
        """The place of `path`, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path) or Place(Spot(1, 1, 1), Spot(1, 1, 1), "", "empty")

    def home(self, path: Where) -> Source:
        """The file in which the value at `path` stands: its `lines` are the ones that `place(path)` counts."""
        return self.place(path).home or self

    def family(self) -> Iterator[Source]:
        """This file, the one it extends, the one that extends, ..."""
        one: Source | None = self
        while one is not None:
            yield one
            one = one.base

    def origin(self, path: Where) -> str:
        """`--set ...` when the value at `path` was given there, else ""."""
        return next((text for at, text in self.origins.items() if path[: len(at)] == at), "")

    def at(
        self, spot: Spot, code: str, message: str, hint: str = "", severity: Severity = "error", path: Where = ()
    ) -> Problem:
        """A problem at a spot of the file in which `path` stands."""
        message, hint = PASTED_KEY.sub("...", message), PASTED_KEY.sub("...", hint)
        origin = PASTED_KEY.sub("...", self.origin(path))
        if origin:
            return Problem(self.file, 1, 1, dotted(path), code, f"{origin}: {message}", hint, severity, 1, "")
        home = self.home(path)
        snippet = home.lines[spot.line - 1] if 0 < spot.line <= len(home.lines) else ""
        column = min(spot.column, len(snippet) + 1)
        length = max(1, min(spot.length, len(snippet) - column + 1))
        masked = PASTED_KEY.sub("...", snippet)
        if masked != snippet:
            length = 1
        return Problem(home.file, spot.line, column, dotted(path), code, message, hint, severity, length, masked)

    def cure(self, path: Where, code: str, spot: Spot, text: str) -> None:
        """Note that putting `text` in the place of `spot` cures a problem of the value at `path`."""
        home = self.home(path)
        if self.origin(path) or not 0 < spot.line <= len(home.lines):
            return
        line = home.lines[spot.line - 1]
        new = line[: spot.column - 1] + text + line[spot.column - 1 + spot.length :]
        home.cures.append(Cure(code, ((spot.line, 1, (new,)),)))

    def on_key(self, path: Where, code: str, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem at the key of `path`."""
        return self.at(self.place(path).key, code, message, hint, severity, path)

    def on_value(self, path: Where, code: str, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem at the value of `path`."""
        return self.at(self.place(path).value, code, message, hint, severity, path)


def written(source: Source) -> dict[str, Written]:
    """Where each setting of a service stands, by its dotted path: of the agent, of a stage, of a fallback, of a language."""
    return {
        dotted(path): Written(source.home(path).file, place.key.line, PASTED_KEY.sub("...", source.origin(path)))
        for path, place in source.places.items()
        if _is_of_service(path)
    }


def _is_of_service(path: Where) -> bool:
    match path:
        case ("stt" | "llm" | "tts", *_) | ("stages", _, "stt" | "llm" | "tts", *_) | ("languages", _, "voice"):
            return True
        case _:
            return False


def dotted(path: Where) -> str:
    """`stages.email.stt.keyterms[2]`"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
