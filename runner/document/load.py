"""The hallway: a path in, an agent's definition or the problems of its files out. It raises for nothing a person wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runner.definition import AgentDefinition
from runner.document.check import faults, fit, known_names
from runner.document.explain import explain
from runner.document.lint import lint
from runner.document.make import made
from runner.document.overrides import set_all
from runner.document.places import Cure, Source, Where
from runner.document.source import read
from runner.document.text import read_file
from runner.problem import Problem, in_order

MAX_PROBLEMS = 100

Group = dict[str, Any]


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
    source = read(file, text, known_names())
    problems.extend(source.problems)
    if source.data is None:
        return Loaded(None, _readable(problems), (file,), tuple(source.cures))
    problems.extend(set_all(source, settings or {}))
    data, missing = fit(source, os.environ if env is None else env)
    found = missing + explain(source, data, faults(data))
    prompts = _prompt_files(source, data)
    refused = {problem.line for problem in found}
    advice = lint(source, data, variables or {}, prompts.texts)
    found += prompts.problems
    found += [p for p in advice if p.is_error or p.file != file or p.line not in refused]
    found = [p for p in found if p.file != file or p.line not in source.broken]
    if source.broken:
        found = [p for p in found if p.is_error]
    problems.extend(found)
    sources = (file, *prompts.files)
    ordered = _readable(problems)
    if any(problem.is_error for problem in ordered):
        return Loaded(None, ordered, sources, tuple(source.cures))
    agent = made(file, data, variables or {}, prompts.texts, sources)
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


def _readable(problems: list[Problem]) -> tuple[Problem, ...]:
    """In order, each once, and not more than anybody reads."""
    ordered = in_order({(p.file, p.line, p.column, p.code, p.message): p for p in problems}.values())
    if len(ordered) <= MAX_PROBLEMS:
        return tuple(ordered)
    more = ordered[MAX_PROBLEMS]
    said = f"There are {len(ordered) - MAX_PROBLEMS} more problems from here on."
    return (*ordered[:MAX_PROBLEMS], Problem(more.file, more.line, 1, "", "more", said, "Mend those above first."))


@dataclass(frozen=True, slots=True)
class _Prompts:
    texts: dict[Where, tuple[Path, str]]
    problems: list[Problem]
    files: list[Path]


def _prompt_files(source: Source, data: Any) -> _Prompts:
    """The texts of all `prompt: {file: ...}`, by the path of the prompt."""
    found = _Prompts({}, [], [])
    for path in _prompt_places(data):
        value: Any = data
        for part in path:
            value = value[part]
        name = cast("Group", value).get("file")
        if not isinstance(name, str) or not name:
            continue
        file = Path(os.path.normpath(source.file.parent / Path(name).expanduser()))
        if file not in found.files:
            found.files.append(file)
        text, problems = read_file(file)
        if text is None:
            problem = problems[0]
            why = "There is no such file" if problem.code == "no-file" else problem.message.rstrip(".")
            at = (*path, "file")
            found.problems.append(
                source.on_value(at, "prompt-file", f'The file "{name}" cannot be used. {why}.', problem.hint)
            )
            continue
        if not text.strip():
            found.problems.append(source.on_value((*path, "file"), "prompt-file", f'The file "{name}" is empty.'))
        found.problems.extend(problems)
        found.texts[path] = (file, text)
    return found


def _prompt_places(data: Any) -> list[Where]:
    if not isinstance(data, dict):
        return []
    group = cast("Group", data)
    places: list[Where] = [("prompt",)] if isinstance(group.get("prompt"), dict) else []
    stages = group.get("stages")
    if isinstance(stages, dict):
        for name, stage in cast("Group", stages).items():
            if isinstance(stage, dict) and isinstance(cast("Group", stage).get("prompt"), dict):
                places.append(("stages", name, "prompt"))
    return places
