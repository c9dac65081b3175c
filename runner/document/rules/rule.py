"""What a rule is: a row of a table. It finds places in an agent file; its sentence and hint say what is wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from runner.document.places import Spot, Where
from runner.document.rules.view import Agent
from runner.problem import Problem, Severity


@dataclass(frozen=True, slots=True)
class Hit:
    """One place a rule speaks about.

    path:     where in the data.
    words:    what fills the braces of the rule's sentence and hint.
    on:       whether the name or the value is underlined.
    spot:     a place of its own instead, inside the value or where no value is.
    text:     the text file and its content when the place is in a prompt's file; `spot` then counts there.
    severity: "" for the rule's own.
    """

    path: Where
    words: Mapping[str, object] = field(default_factory=dict[str, object])
    on: Literal["key", "value"] = "key"
    spot: Spot | None = None
    text: tuple[Path, str] | None = None
    severity: Severity | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    code:     short stable name, the `code` of its problems.
    severity: error when a call would fail or do something else than written, warning for advice.
    looks_at: the part of the file, as a person would say it.
    sentence: what is wrong, hint: what to do; {name} is filled from `Hit.words`, {{ }} are braces.
    source:   where the fact comes from.
    find:     the places.
    """

    code: str
    severity: Severity
    looks_at: str
    sentence: str
    hint: str
    source: str
    find: Callable[[Agent], Iterator[Hit]]

    def problems(self, agent: Agent) -> Iterator[Problem]:
        """What this rule says about one file."""
        for hit in self.find(agent):
            yield self._problem(agent, hit)

    def _problem(self, agent: Agent, hit: Hit) -> Problem:
        message, hint = self.sentence.format_map(hit.words), self.hint.format_map(hit.words)
        severity = hit.severity or self.severity
        if hit.text is not None:
            file, text = hit.text
            spot = hit.spot or Spot(1, 1, 1)
            lines = text.split("\n")
            snippet = lines[spot.line - 1] if spot.line <= len(lines) else ""
            return Problem(file, spot.line, spot.column, "", self.code, message, hint, severity, spot.length, snippet)
        place = agent.source.place(hit.path)
        spot = hit.spot or (place.key if hit.on == "key" else place.value)
        return agent.source.at(spot, self.code, message, hint, severity, hit.path)
