"""Rules about texts: names that are no variables, braces that nobody fills in, words that YAML swallowed, pasted keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from runner.document.check import known_names
from runner.document.names import closest, shown
from runner.document.places import PASTED_KEY, Spot, Where
from runner.document.rules.view import Agent, group_of
from runner.problem import Problem
from runner.prompts import PromptError, render, undeclared


def template_names(agent: Agent) -> Iterator[Problem]:
    """Undefined names and templates that cannot be filled in."""

    known = agent.variables
    used: set[str] = set()
    for path, text, file in agent.templates():
        if "{" not in text:
            continue
        try:
            names = undeclared(text)
            used.update(name.name for name in names)
            missing = {name.name: name.line for name in names if name.name not in known}
            for name, line in missing.items():
                yield _undefined(agent, path, text, file, name, line)
            if not missing:
                render(text, known)
        except PromptError as error:
            yield _in_text(agent, path, text, file, error.line, "", "bad-template", error.message)
    for name, value in agent.given.items():
        if name not in used and name not in group_of(agent.data.get("variables")):
            close = closest(name, [*group_of(agent.data.get("variables")), *used])
            guess = f' Did you mean "{close}"?' if close else ""
            said = f'--var {name}={shown(value)}: this file has no variable "{name}".{guess}'
            yield Problem(agent.source.file, 1, 1, f"variables.{name}", "no-such-variable", said)


def _undefined(agent: Agent, path: Where, text: str, file: Path | None, name: str, line: int) -> Problem:
    close = closest(name, agent.variables)
    if close:
        message, hint = f'"{name}" is not a variable. Did you mean "{close}"?', ""
    else:
        message = f'"{name}" is not a variable.'
        hint = f"Add it below variables: with its text, for example {name}: ..."
    return _in_text(agent, path, text, file, line, name, "unknown-variable", message, hint)


def _in_text(
    agent: Agent,
    path: Where,
    text: str,
    file: Path | None,
    line: int,
    name: str,
    code: str,
    message: str,
    hint: str = "",
) -> Problem:
    """A problem at a name inside a text, in the agent file or in a prompt file."""
    if file is not None:
        shown_line = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
        column = max(0, _name_at(shown_line, name))
        return Problem(file, line, column + 1, "", code, message, hint, length=len(name) or 1, snippet=shown_line)
    place = agent.source.place(path)
    start = place.value.line + (line if place.style == "block" else 0)
    for number in range(start, max(place.last_line, start) + 1):
        at = _name_at(agent.source.lines[number - 1], name) if 0 < number <= len(agent.source.lines) else -1
        if at >= 0:
            return agent.source.at(Spot(number, at + 1, len(name) or 2), code, message, hint, path=path)
    return agent.source.on_value(path, code, message, hint)


def _name_at(line: str, name: str) -> int:
    found = re.search(rf"\{{[{{%].*?(?<!\w)(?P<name>{re.escape(name)})(?!\w)" if name else r"(?P<name>\{[{%])", line)
    return found.start("name") if found else -1


def braces_elsewhere(agent: Agent) -> Iterator[Problem]:
    for path, text, node in agent.texts():
        if not node.get("x-template") and ("{{" in text or "{%" in text):
            yield agent.source.on_value(
                path,
                "braces-not-filled",
                f'{{{{ }}}} is not filled in here; "{shown(text)}" would be taken as it stands.',
                "Variables work in prompt, greeting, say and goodbye. Write the words themselves here.",
            )


def lost_text(agent: Agent) -> Iterator[Problem]:
    """What follows ` #` in a line of prose, and settings glued to the text above them."""
    for path, _, node in agent.texts():
        place = agent.source.places.get(path)
        if place is None or place.style != "plain" or agent.source.origin(path):
            continue
        line = agent.source.lines[place.value.line - 1]
        if node.get("x-prose") and place.last_line == place.value.line:
            end = place.value.column - 1 + place.value.length
            cut = re.match(r" #(.*)", line[end:])
            if cut and cut.group(1).strip():
                glued = not cut.group(1).startswith(" ")
                yield agent.source.at(
                    Spot(place.value.line, end + 2, len(line.rstrip()) - end - 1),
                    "cut-by-hash",
                    f'The text ends before " #": "{shown(cut.group(0).strip())}" is taken for a comment and gets lost.',
                    "Put the whole text in double quotes. If it is a comment, put two spaces before the #.",
                    "error" if glued else "warning",
                    path,
                )
        for number in range(place.value.line + 1, place.last_line + 1):
            stuck = re.match(r"\s*([A-Za-z_]\w*):(\S.*)", agent.source.lines[number - 1])
            if stuck and stuck.group(1) in known_names():
                agent.source.broken.update(range(place.value.line, number))
                yield agent.source.at(
                    Spot(number, stuck.start(1) + 1, len(stuck.group(1)) + 1),
                    "space-after-colon",
                    f'There is no space after the colon of "{stuck.group(1)}", so this line became a part of the text above.',
                    f"Write: {stuck.group(1)}: {stuck.group(2)}",
                    path=path,
                )


def pasted_keys(agent: Agent) -> Iterator[Problem]:
    for path, text, _ in agent.texts():
        if PASTED_KEY.search(text):
            yield agent.source.on_value(
                path,
                "key-in-file",
                "This looks like a secret key. Keys are never written into an agent file.",
                "Write it into the file .env, and make a new key if others have seen this one.",
            )
