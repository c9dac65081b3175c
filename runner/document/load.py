"""The hallway: a path in, an agent's definition or the problems of its files out. It raises for nothing a person wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.definition import AgentDefinition
from runner.document.check import faults, fit
from runner.document.explain import explain
from runner.document.family import read_family
from runner.document.folder import Folder
from runner.document.lint import DOUBTFUL, lint
from runner.document.make import made
from runner.document.places import Cure, Source, written
from runner.document.prompt_files import prompt_texts
from runner.document.text import read_file
from runner.problem import Problem, each_once, in_order

MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one agent file.

    definition: None when there is an error among the problems.
    problems:   in reading order.
    sources:    every file that was read or looked for, absolute, the agent file first; also when loading failed.
    cures:      what `check --fix` may do about the problems of the agent file itself.
    """

    definition: AgentDefinition | None
    problems: tuple[Problem, ...]
    sources: tuple[Path, ...]
    cures: tuple[Cure, ...] = ()


def load(
    path: Path,
    *,
    variables: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> Loaded:
    """Read one agent file.

    variables: `--var NAME=VALUE`, they win over the file's.
    settings:  `--set PATH=VALUE`: dotted path to a value as it would stand in the file.
    env:       where `${NAME}` is looked up; the process's environment when None.
    text:      read this instead of the file's own text.
    """
    file = path.absolute()
    problems: list[Problem] = []
    if text is None:
        text, problems = read_file(file)
    if text is None:
        return Loaded(None, tuple(problems), (file,))
    folder = Folder(file)
    source = read_family(file, text, folder, settings or {})
    problems.extend(source.problems)
    if source.data is None:
        return Loaded(None, _readable(problems), (file,), tuple(source.cures))
    data, missing = fit(source, os.environ if env is None else env)
    found = missing + explain(source, data, faults(data))
    prompts = prompt_texts(source, data, folder)
    advice = lint(source, data, variables or {}, prompts)
    problems.extend(_causes(source, found + folder.problems, advice))
    sources = (file, *(other for other in folder.looked if other != file))
    ordered = _readable(problems)
    if any(problem.is_error for problem in ordered):
        return Loaded(None, ordered, sources, tuple(source.cures))
    agent = replace(made(file, data, variables or {}, prompts, sources), written=written(source))
    return Loaded(agent, ordered, sources, tuple(source.cures))


def agent_files(path: Path) -> list[Path]:
    """The agents of a folder, sorted: every `*.yaml` and `*.yml` but `_*` and `*.tests.yaml`. A file is itself."""
    if not path.is_dir():
        return [path]
    found = [
        file
        for file in path.iterdir()
        if file.suffix in (".yaml", ".yml")
        and not file.name.startswith(("_", "."))
        and not file.stem.endswith(".tests")
        and not file.is_dir()
    ]
    return sorted(found)


def agents_of(file: Path) -> list[Path]:
    """The agents that a file stands for: itself, but for a shared part (`_base.yaml`) the agents that are made of it.

    They are looked for in its folder and in the folder above.
    """
    if not file.name.startswith("_"):
        return [file]
    part = file.absolute()
    near = [*agent_files(part.parent), *agent_files(part.parent.parent)]
    return [
        file.parent / agent.name if agent.parent == part.parent else agent
        for agent in near
        if part in load(agent).sources
    ]


def _causes(source: Source, found: list[Problem], advice: list[Problem]) -> list[Problem]:
    """Without what only follows from something else; what stands in another file names the agent that is made of it."""
    if source.partial:
        found, advice = [problem for problem in found if problem.code != "missing"], []
    refused = {(problem.file, problem.line) for problem in found}
    around = {problem.path.rpartition(".")[0] for problem in found} - {""}
    advice = [p for p in advice if p.path not in around and not (found and p.code in DOUBTFUL)]
    found = found + [p for p in advice if p.is_error or (p.file, p.line) not in refused]
    broken = {(one.file, line) for one in source.family() for line in one.broken}
    found = [p for p in found if (p.file, p.line) not in broken and (p.is_error or not broken)]
    bases = {one.file for one in source.family()} - {source.file}
    note = f"{source.file.name} extends this file."
    return [replace(p, hint=f"{p.hint} {note}".strip()) if p.file in bases else p for p in found]


def _readable(problems: list[Problem]) -> tuple[Problem, ...]:
    """In order, each once, and not more than anybody reads: advice gives way to errors."""
    ordered = in_order(each_once(problems))
    if len(ordered) <= MAX_PROBLEMS:
        return tuple(ordered)
    by_weight = sorted(ordered, key=lambda problem: not problem.is_error)
    more = by_weight[MAX_PROBLEMS]
    said = f"There are {len(ordered) - MAX_PROBLEMS} more problems from here on."
    last = Problem(more.file, more.line, 1, "", "more", said, "Mend those above first.", more.severity)
    return (*in_order(by_weight[:MAX_PROBLEMS]), last)
