"""What a schema cannot say: stages that do not exist, names that are no variables, settings that do not go together.

`RULES` is one table: each row has a code, a severity, what it looks at, a sentence, a hint and the source of the fact. The
rows stand with the functions that find their places, by subject, in `rules/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from runner.document.places import Source, Where
from runner.document.rules import (
    answers,
    callers,
    ears,
    lost,
    providers,
    sound,
    spoken,
    stages,
    templates,
    together,
    turns,
    vocabulary,
    ways,
)
from runner.document.rules.rule import Rule
from runner.document.rules.view import Agent, Group
from runner.problem import Problem

RULES: tuple[Rule, ...] = (
    *stages.RULES,
    *ways.RULES,
    *templates.RULES,
    *lost.RULES,
    *ears.RULES,
    *vocabulary.RULES,
    *callers.RULES,
    *turns.RULES,
    *together.RULES,
    *answers.RULES,
    *sound.RULES,
    *providers.RULES,
    *spoken.RULES,
)

DOUBTFUL = frozenset({"unreachable", "no-way-out", "back-from-nowhere", "unused-variable", "waits-without-prompt"})
"""Rules that see what is missing: a misspelled name elsewhere is the more likely cause, so they wait until there is none."""


def lint(
    source: Source, data: object, variables: Mapping[str, str], prompts: Mapping[Where, tuple[Path, str]]
) -> list[Problem]:
    """All problems of all rules. variables: those of `--var`; prompts: the texts of prompt files, by path."""
    if not isinstance(data, dict):
        return []
    agent = Agent(source, cast("Group", data), variables, prompts)
    return [problem for rule in RULES for problem in rule.problems(agent)]
