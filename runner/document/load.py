"""The hallway: a path in, an agent's definition or the problems of its files out. Nothing raises for what a person wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runner.definition import (
    AgentDefinition,
    Greeting,
    Idle,
    Limits,
    Only,
    Service,
    Setting,
    Stage,
    Transition,
    Turns,
    Vad,
)
from runner.document.check import Schema, faults, fit, inside, known_names, schema, settings_of
from runner.document.explain import explain
from runner.document.lint import lint
from runner.document.source import Path_, Source, read, read_file, read_value
from runner.problem import Problem, in_order

Group = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one agent file.

    definition: None when there is an error among the problems.
    problems:   in reading order.
    sources:    every file that was read or looked for, absolute, the agent file first; also when loading failed.
    """

    definition: AgentDefinition | None
    problems: tuple[Problem, ...]
    sources: tuple[Path, ...]


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
        return Loaded(None, tuple(in_order(problems)), (file,))
    problems.extend(_set_all(source, settings or {}))
    data, missing = fit(source, os.environ if env is None else env)
    found = missing + explain(source, data, faults(data))
    prompts = _prompt_files(source, data)
    found += prompts.problems
    found += lint(source, data, variables or {}, prompts.texts)
    found = [p for p in found if p.file != file or p.line not in source.broken]
    if source.broken:
        found = [p for p in found if p.is_error]
    problems.extend(found)
    sources = (file, *prompts.files)
    ordered = tuple(in_order(_once(problems)))
    if any(problem.is_error for problem in ordered):
        return Loaded(None, ordered, sources)
    return Loaded(_Maker(file, data, variables or {}, prompts.texts, sources).agent(), ordered, sources)


def _once(problems: list[Problem]) -> list[Problem]:
    return list({(p.file, p.line, p.column, p.code, p.message): p for p in problems}.values())


# --set


def _set_all(source: Source, settings: Mapping[str, str]) -> list[Problem]:
    """Put the values of `--set` into the data; the paths that lead nowhere come back as problems."""
    problems: list[Problem] = []
    for where, value in settings.items():
        origin = f"--set {where}={value}"
        parts = [int(p) if p.isdigit() else p for p in re.split(r"\.|\[|\]\.?", where) if p]
        inner = read_value(source.file, value)
        target: Any = source.data
        for number, part in enumerate(parts[:-1]):
            target = _step(target, part, make={})
            if not isinstance(target, dict | list):
                what = ".".join(map(str, parts[: number + 1]))
                message = f'{origin}: "{what}" has no settings of its own.'
                problems.append(Problem(source.file, 1, 1, where, "bad-set", message))
                break
        else:
            if not parts:
                message = f"{origin}: a path is missing before the =, for example stt.mode=balanced."
                problems.append(Problem(source.file, 1, 1, "", "bad-set", message))
            elif not _put(target, parts[-1], inner.data):
                message = f"{origin}: there is no item {parts[-1]} in that list."
                problems.append(Problem(source.file, 1, 1, where, "bad-set", message))
            else:
                path: Path_ = tuple(parts)
                source.origins[path] = origin
                for at, place in inner.places.items():
                    source.places[(*path, *at)] = place
                for end in range(1, len(path)):
                    source.places.setdefault(path[:end], inner.place(()))
    return problems


def _step(target: Any, part: str | int, make: Any) -> Any:
    if isinstance(target, dict):
        group = cast("Group", target)
        if group.get(str(part)) is None:
            group[str(part)] = make
        return group[str(part)]
    if isinstance(target, list) and isinstance(part, int) and part < len(cast("list[Any]", target)):
        return cast("list[Any]", target)[part]
    return None


def _put(target: Any, part: str | int, value: Any) -> bool:
    if isinstance(target, dict):
        cast("Group", target)[str(part)] = value
        return True
    items = cast("list[Any]", target)
    if not isinstance(part, int) or part >= len(items):
        return False
    items[part] = value
    return True


# prompt files


@dataclass(frozen=True, slots=True)
class _Prompts:
    texts: dict[Path_, tuple[Path, str]]
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
        found.problems.extend(problems)
        found.texts[path] = (file, text)
    return found


def _prompt_places(data: Any) -> list[Path_]:
    if not isinstance(data, dict):
        return []
    group = cast("Group", data)
    places: list[Path_] = [("prompt",)] if isinstance(group.get("prompt"), dict) else []
    stages = group.get("stages")
    if isinstance(stages, dict):
        for name, stage in cast("Group", stages).items():
            if isinstance(stage, dict) and isinstance(cast("Group", stage).get("prompt"), dict):
                places.append(("stages", name, "prompt"))
    return places


# data that is known to be good -> the definition


class _Maker:
    """Builds the definition. The data has passed the schema: nothing is checked again here."""

    def __init__(
        self,
        file: Path,
        data: Group,
        variables: Mapping[str, str],
        prompts: Mapping[Path_, tuple[Path, str]],
        sources: tuple[Path, ...],
    ) -> None:
        self.file = file
        self.data = data
        self.variables = variables
        self.prompts = prompts
        self.sources = sources

    def agent(self) -> AgentDefinition:
        data = self.data
        return AgentDefinition(
            name=data.get("name") or self.file.stem,
            file=self.file,
            prompt=self._prompt(data["prompt"], ("prompt",)),
            stt=self._service("stt"),
            llm=self._service("llm"),
            tts=self._service("tts"),
            description=data.get("description", ""),
            variables={**data.get("variables", {}), **self.variables},
            greeting=self._greeting(),
            turns=self._turns(),
            limits=Limits(max_call=_seconds(data.get("limits", {}).get("max_call"))),
            anywhere=tuple(map(_transition, data.get("anywhere", []))),
            stages={name: self._stage(name, stage) for name, stage in data.get("stages", {}).items()},
            sources=self.sources,
        )

    def _prompt(self, value: str | Group, path: Path_) -> str:
        return value if isinstance(value, str) else self.prompts[path][1]

    def _service(self, name: str) -> Service:
        node = inside(schema(), name, self.data) or {}
        given = cast("Group", self.data.get(name, {}))
        filled = _defaults(settings_of(node, given), given)
        provider, endpoint = filled.pop("provider"), filled.pop("endpoint", None)
        return Service(
            provider,
            {key: _setting(value) for key, value in filled.items()},
            endpoint,
            given=tuple(key for key in given if key not in ("provider", "endpoint")),
        )

    def _greeting(self) -> Greeting | None:
        value = self.data.get("greeting")
        if value is None:
            return None
        return Greeting(text=value) if isinstance(value, str) else Greeting(prompt=value["prompt"])

    def _turns(self) -> Turns:
        node = inside(schema(), "turns", self.data) or {}
        parts = settings_of(node, {})
        given = _defaults(parts, cast("Group", self.data.get("turns", {})))
        vad = _defaults(settings_of(parts["vad"], {}), given.get("vad", {}))
        smart = given["smart_turn"]
        stop = _defaults(settings_of(parts["smart_turn"], {}), smart if isinstance(smart, dict) else {})["stop_secs"]
        idle: Idle | None = None
        if "idle" in given:
            wait = _defaults(settings_of(parts["idle"], {}), given["idle"])
            idle = Idle(float(wait["after"]), wait["say"], wait["tries"], wait.get("goodbye"))
        return Turns(
            barge_in=given["barge_in"],
            vad=Vad(**{name: float(value) for name, value in vad.items()}),
            smart_turn=bool(smart) if isinstance(smart, bool) else True,
            smart_turn_stop_secs=float(stop),
            idle=idle,
        )

    def _stage(self, name: str, stage: Group) -> Stage:
        prompt = stage.get("prompt")
        return Stage(
            name=name,
            prompt=None if prompt is None else self._prompt(prompt, ("stages", name, "prompt")),
            say=stage.get("say"),
            listen_for=stage.get("listen_for"),
            stt=_delta(stage.get("stt", {})),
            llm=_delta(stage.get("llm", {})),
            tts=_delta(stage.get("tts", {})),
            next=tuple(map(_transition, stage.get("next", []))),
            end=stage.get("end", False),
        )


def _defaults(parts: Mapping[str, Schema], given: Group) -> Group:
    """What was given, and the schema's default where nothing was."""
    made: Group = {}
    for name, part in parts.items():
        if name in given:
            made[name] = given[name]
        else:
            value = inside({"properties": {name: part}}, name, {}) or {}
            if "default" in value:
                made[name] = value["default"]
    return made


def _delta(group: Group) -> dict[str, Setting]:
    return {name: _setting(value) for name, value in group.items()}


def _setting(value: Any) -> Setting:
    if isinstance(value, list):
        return tuple(map(str, cast("list[Any]", value)))
    if isinstance(value, dict):
        return Only(tuple(map(str, cast("Group", value)["only"])))
    return value


def _transition(item: Group) -> Transition:
    if "otherwise" in item:
        return Transition(to=item["otherwise"], otherwise=True)
    return Transition(
        to=item["to"],
        when=item.get("when", ""),
        examples=tuple(item.get("examples", ())),
        after_tries=item.get("after_tries"),
    )


def _seconds(value: float | int | None) -> float | None:
    return None if value is None else float(value)
