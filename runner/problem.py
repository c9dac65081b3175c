"""A problem in a file and how it is printed, and what else a person can mend.

Every complaint about what a person wrote is a `Problem`; nothing else in the house writes such sentences to the screen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


class Mendable(Exception):
    """Why a command cannot go on, where a person can mend it: the command line prints its text and ends with exit code 1.

    Everything that is raised and is not one of these is a fault of ours. Light on purpose: the heavy rooms' errors are known
    without importing those rooms.

    with_options: what to add to the command line so that it works, "" when that would not help.
    """

    def __init__(self, why: str, *, with_options: str = "") -> None:
        super().__init__(why)
        self.with_options = with_options


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file.

    file:     the file that causes it (a prompt file has its own problems).
    line:     from 1.
    column:   from 1, counted in characters.
    path:     where in the data, dotted (`stages.email.stt.keyterms[2]`), "" for the whole file.
    code:     short stable name, kebab-case (`unknown-key`).
    message:  what was typed and what was expected, one or two plain sentences.
    hint:     what to do, "" when the message already says it.
    length:   how many characters the caret line underlines.
    snippet:  the source line as it stands in the file, "" when there is none.
    """

    file: Path
    line: int
    column: int
    path: str
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    length: int = 1
    snippet: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    def as_json(self) -> dict[str, object]:
        """The form of `runner check --format json` and of the page."""
        return {
            "file": str(self.file),
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sorted the way a person reads: file, line, column."""
    return sorted(problems, key=lambda p: (str(p.file), p.line, p.column, p.code))


def each_once(problems: Iterable[Problem]) -> list[Problem]:
    """Without repetitions: what is wrong with a file that several agents share is said once."""
    found: dict[tuple[Path, int, int, str, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.file, problem.line, problem.column, problem.code, problem.message), problem)
    return list(found.values())


def print_problems(problems: Sequence[Problem], *, color: bool) -> str:
    """The problems as a person reads them, and a line that counts them. No newline at the end.

    A file below the working folder is named from there, any other by its whole path. color: with terminal colours.
    """
    blocks = [_block(problem, _Paint(color)) for problem in problems]
    return "\n\n".join([*blocks, counted(problems)])


def without_quotes(problems: Iterable[Problem]) -> list[str]:
    """A line for each problem that says where and what kind, and nothing of what stands in the file: for logs."""
    listed = list(problems)
    lines = [
        f"{short_path(p.file)}:{p.line}:{p.column}: {'problem' if p.is_error else 'warning'} {p.code}" for p in listed
    ]
    files = dict.fromkeys(short_path(problem.file) for problem in listed)
    return [*lines, f"In full: runner check {' '.join(files)}"]


def counted(problems: Sequence[Problem]) -> str:
    """ "1 problem.", "3 problems and 1 warning.", "No problems." """
    errors = sum(problem.is_error for problem in problems)
    warnings = len(problems) - errors
    said = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((errors, "problem"), (warnings, "warning"))
        if number
    ]
    return (" and ".join(said) or "No problems") + "."


_SIGNS = {"\t": "→", "\u00a0": "␣", "\u202f": "␣", "\u2007": "␣", "\u3000": "␣"}
"""What is drawn for characters that nobody could see; a dot for all others."""


@dataclass(frozen=True, slots=True)
class _Paint:
    on: bool

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def _block(problem: Problem, paint: _Paint) -> str:
    shade = "31" if problem.is_error else "33"
    lines = [paint("1", f"{short_path(problem.file)}:{problem.line}:{problem.column}")]
    if problem.snippet.strip():
        snippet, column, length = _window(problem)
        number = f"{problem.line:>5} | "
        lead = "".join(_wide(c) * " " for c in snippet[: column - 1])
        carets = "^" * max(1, sum(map(_wide, snippet[column - 1 : column - 1 + length])))
        lines.append(paint("2", number) + "".join(_visible(c) for c in snippet))
        lines.append(" " * len(number) + lead + paint(shade, carets))
    lines.append(("" if problem.is_error else "Warning: ") + problem.message)
    if problem.hint:
        lines.append(problem.hint)
    return "\n".join(lines)


def _window(problem: Problem) -> tuple[str, int, int]:
    """The part of a long line around the problem: at most 110 characters; with the column and length in it."""
    snippet, column = problem.snippet.rstrip(), problem.column
    if len(snippet) > 110:
        start = max(0, column - 40)
        end = start + 104
        before, after = "..." if start else "", "..." if end < len(snippet) else ""
        snippet, column = before + snippet[start:end] + after, column - start + len(before)
    return snippet, column, max(1, min(problem.length, len(snippet) - column + 1))


def _visible(char: str) -> str:
    return char if char.isprintable() else _SIGNS.get(char, "·")


def _wide(char: str) -> int:
    if not char.isprintable():
        return 1
    return 2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1


def short_path(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)
