"""Rules about {{ names }}: unknown ones, unused ones, and braces that nobody fills in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from runner.document.names import closest, one_slip, shown
from runner.document.places import Spot, Where
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of
from runner.prompts import Name, PromptError, render, undeclared

JINJA = "Jinja2: StrictUndefined refuses names without a value"
OWN = "the rules of the agent file (README, variables)"


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[tuple[Name, ...], PromptError | None]:
    """The names a text needs, or why it cannot be read."""
    if "{" not in text:
        return (), None
    try:
        return tuple(undeclared(text)), None
    except PromptError as error:
        return (), error


def _names(text: str) -> tuple[Name, ...]:
    return _read(text)[0]


def _misspelled(agent: Agent) -> dict[str, str]:
    """Variables that no text uses, by the name that several texts have for them."""
    counts = Counter(name for _, text, _ in agent.templates for name in {found.name for found in _names(text)})
    unused = [name for name in group_of(agent.data.get("variables")) if name not in counts]
    found: dict[str, str] = {}
    for name, count in counts.items():
        if count > 1 and name not in agent.variables:
            close = [own for own in unused if one_slip(name.lower(), own.lower())]
            if len(close) == 1:
                found[name] = close[0]
    return found


def _variable_misspelled(agent: Agent) -> Iterator[Hit]:
    for name, own in _misspelled(agent).items():
        yield Hit(("variables", own), {"name": name, "own": own})


def _unknown(agent: Agent) -> Iterator[Hit]:
    known = {**agent.variables, **_misspelled(agent)}
    for path, text, file in agent.templates:
        missing = {name.name: name.line for name in _names(text) if name.name not in known}
        for name, line in missing.items():
            close = closest(name, known)
            guess = f' Did you mean "{close}"?' if close else ""
            advice = "" if close else f"Add it below variables: with its text, for example {name}: ..."
            if name == "language":
                guess, advice = "", "With language_detection: true below stt it is the language that the caller speaks."
            yield _at(agent, path, text, file, line, name, {"name": name, "guess": guess, "advice": advice})


def _broken(agent: Agent) -> Iterator[Hit]:
    for path, text, file in agent.templates:
        if "{" not in text:
            continue
        names, why = _read(text)
        try:
            if why is None and all(name.name in agent.variables for name in names):
                render(text, agent.variables)
        except PromptError as error:
            why = error
        if why is not None:
            yield _at(agent, path, text, file, why.line, "", {"why": why.message})


def _at(agent: Agent, path: Where, text: str, file: Path | None, line: int, name: str, words: dict[str, object]) -> Hit:
    """A hit at a name inside a text, in the agent file or in a prompt file."""
    if file is not None:
        shown_line = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
        spot = Spot(line, max(0, _name_at(shown_line, name)) + 1, len(name) or 1)
        return Hit(path, words, spot=spot, text=(file, text))
    place, lines = agent.source.place(path), agent.source.home(path).lines
    start = place.value.line + (line if place.style == "block" else 0)
    for number in range(start, max(place.last_line, start) + 1):
        at = _name_at(lines[number - 1], name) if 0 < number <= len(lines) else -1
        if at >= 0:
            return Hit(path, words, spot=Spot(number, at + 1, len(name) or 2))
    return Hit(path, words, "value")


def _name_at(line: str, name: str) -> int:
    found = re.search(rf"\{{[{{%].*?(?<!\w)(?P<name>{re.escape(name)})(?!\w)" if name else r"(?P<name>\{[{%])", line)
    return found.start("name") if found else -1


def _given_unused(agent: Agent) -> Iterator[Hit]:
    own = group_of(agent.data.get("variables"))
    for name, value in agent.given.items():
        used = {found.name for _, text, _ in agent.templates for found in _names(text)}
        if name not in used and name not in own:
            close = closest(name, [*own, *used])
            guess = f' Did you mean "{close}"?' if close else ""
            words = {"name": name, "value": shown(value), "guess": guess}
            yield Hit(("variables", name), words, spot=Spot(0, 1, 1))


def _unused(agent: Agent) -> Iterator[Hit]:
    """Variables in no text. Where a text has a name that is unknown, that is the cause, and nothing is said here."""
    own = [name for name in group_of(agent.data.get("variables")) if name not in agent.given]
    if not own or _misspelled(agent) or any(True for _ in _unknown(agent)) or any(True for _ in _broken(agent)):
        return
    texts = " ".join(text for _, text, _ in agent.templates if "{" in text)
    used = set(re.findall(r"\w+", " ".join(re.findall(r"\{[{%].*?[}%]\}", texts, re.S))))
    for name in own:
        if name not in used:
            yield Hit(("variables", name), {"name": name})


def _not_filled(agent: Agent) -> Iterator[Hit]:
    for path, text, node in agent.texts:
        if not node.get("x-template") and path[0] != "variables" and ("{{" in text or "{%" in text):
            yield Hit(path, {"text": shown(text)}, "value")


def _in_variable(agent: Agent) -> Iterator[Hit]:
    for name, value in group_of(agent.data.get("variables")).items():
        if isinstance(value, str) and re.search(r"\{\{.*\}\}|\{%.*%\}", value):
            yield Hit(("variables", name), {"name": name}, "value")


def _other_brackets(agent: Agent) -> Iterator[Hit]:
    """`{company}`, `<company>`, `[company]`, `$company`: what other tools fill in."""
    names = "|".join(map(re.escape, agent.variables))
    if not names:
        return
    single = re.compile(
        rf"(?<![{{$]){{ ?({names}) ?}}(?!}})|<({names})>|\[({names})\]|\$\{{?({names})\b\}}?|%({names})%"
    )
    for path, text, file in agent.templates:
        for found in single.finditer(text):
            name = next(group for group in found.groups() if group)
            spot = agent.spot_in(path, text, found.start(), len(found.group()), file)
            words = {"typed": found.group(), "name": name}
            yield Hit(path, words, "value", spot, (file, text) if file else None)


RULES = (
    Rule(
        "unknown-variable",
        "error",
        "{{ }} in texts",
        '"{name}" is not a variable.{guess}',
        "{advice}",
        JINJA,
        _unknown,
    ),
    Rule(
        "variable-misspelled",
        "error",
        "variables",
        'Several texts use "{name}", but the variable is called "{own}". Did you mean "{name}"?',
        "",
        JINJA,
        _variable_misspelled,
    ),
    Rule("bad-template", "error", "{{ }} and {% %} in texts", "{why}", "", "Jinja2, Template Designer", _broken),
    Rule(
        "no-such-variable",
        "error",
        "--var",
        '--var {name}={value}: this file has no variable "{name}".{guess}',
        "",
        OWN,
        _given_unused,
    ),
    Rule(
        "unused-variable",
        "warning",
        "variables",
        'No text uses the variable "{name}".',
        "Write {{{{ {name} }}}} where it belongs, or remove it.",
        OWN,
        _unused,
    ),
    Rule(
        "braces-not-filled",
        "error",
        "texts that are no templates",
        '{{{{ }}}} is not filled in here; "{text}" would be taken as it stands.',
        "Variables work in prompt, greeting, say and goodbye. Write the words themselves here.",
        OWN,
        _not_filled,
    ),
    Rule(
        "braces-in-variable",
        "error",
        "variables",
        'The variable "{name}" holds braces itself; a variable is a plain text, and they would be spoken.',
        "Write the words themselves here.",
        OWN,
        _in_variable,
    ),
    Rule(
        "other-brackets",
        "warning",
        "names of variables in other brackets",
        '"{typed}" stays as it is: the variable "{name}" is filled in between two braces.',
        "Write: {{{{ {name} }}}}",
        "Jinja2, Template Designer: {{ }} prints a value",
        _other_brackets,
    ),
)
"""The table of the rules about variables."""
