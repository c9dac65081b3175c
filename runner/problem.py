"""A problem in a file and how it is printed.

Every complaint about what a person wrote is a `Problem`; nothing else in the house writes such sentences to the screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


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
