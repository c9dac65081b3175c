"""What a schema cannot say: stages that do not exist, names that are no variables, settings that do not go together.

Each rule is a function of the whole file that yields problems; `RULES` is the list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from runner.document.places import Source, Where
from runner.document.rules import services, stages, texts
from runner.document.rules.view import Agent
from runner.problem import Problem

RULES: tuple[Callable[[Agent], Iterator[Problem]], ...] = (
    stages.stage_targets,
    stages.one_opening,
    stages.ends,
    stages.reachable,
    stages.one_otherwise,
    texts.template_names,
    texts.braces_elsewhere,
    texts.lost_text,
    texts.pasted_keys,
    services.model_family,
    services.session_only,
    services.silences,
    services.keyterms,
    services.languages,
    services.answer_length,
)


def lint(
    source: Source, data: object, variables: Mapping[str, str], prompts: Mapping[Where, tuple[Path, str]]
) -> list[Problem]:
    """All problems of all rules. variables: those of `--var`; prompts: the texts of prompt files, by path."""
    if not isinstance(data, dict):
        return []
    agent = Agent(source, cast("dict[str, Any]", data), variables, prompts)
    return [problem for rule in RULES for problem in rule(agent)]
