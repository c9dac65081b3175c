"""Problems in, annotation lines for GitHub out: a workflow that prints them shows each problem beside its line.

The form and its escapes are GitHub's workflow commands (`::error file=...,line=...::message`).
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.problem import Problem, short_path


def as_annotations(problems: Iterable[Problem]) -> str:
    """One line for each problem, "" for none. No newline at the end."""
    return "\n".join(map(_line, problems))


def _line(problem: Problem) -> str:
    level = "error" if problem.is_error else "warning"
    about = {
        "file": short_path(problem.file),
        "line": str(problem.line),
        "col": str(problem.column),
        "endColumn": str(problem.column + problem.length),
        "title": problem.code,
    }
    values = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in about.items())
    message = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
    return f"::{level} {values}::{_escaped(message, '')}"


def _escaped(text: str, more: str) -> str:
    """GitHub reads %XX for what would end a command or one of its values."""
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
