"""What a schema cannot say: stages that do not exist, names that are no variables, settings that do not go together.

Each rule is a function of the whole file that yields problems; `RULES` is the list of them. Rules see data that the schema may
have refused, so they look before they reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runner.definition import BACK
from runner.document.check import Schema, inside, known_names, resolved, schema
from runner.document.explain import closest, shown
from runner.document.source import Path_, Source, Spot
from runner.problem import Problem, Severity

Group = dict[str, Any]

U3_FAMILY = ("universal-3-5-pro", "universal-3-6-pro", "u3-rt-pro")
"""AssemblyAI's models that know turn detection, context and steering (AssemblyAI's model comparison; Pipecat 1.14)."""

DEFAULT_MODEL = "universal-3-5-pro"

U3_ONLY: dict[str, Severity] = {
    "about": "error",
    "mode": "error",
    "interruption_delay": "warning",
    "continuous_partials": "warning",
    "language_codes": "warning",
    "voice_focus": "warning",
    "voice_focus_threshold": "warning",
    "agent_context": "warning",
    "previous_context_n_turns": "warning",
}
"""Settings of the U3 family. error: AssemblyAI or Pipecat refuses the call; warning: the setting is not sent."""

_PASTED_KEY = re.compile(r"\b(sk-[A-Za-z0-9_-]{16,}|sk_car_[A-Za-z0-9]{8,})")


@dataclass(frozen=True, slots=True)
class Agent:
    """One file as the rules see it. texts: everything that is a template, by path, with the file it stands in."""

    source: Source
    data: Group
    given: Mapping[str, str]
    prompts: Mapping[Path_, tuple[Path, str]]

    @property
    def stages(self) -> dict[str, Group]:
        return {name: stage for name, stage in _group(self.data.get("stages")).items() if isinstance(stage, dict)}

    @property
    def variables(self) -> dict[str, str]:
        own = {name: str(value) for name, value in _group(self.data.get("variables")).items() if value is not None}
        return {**own, **self.given}

    def stt(self, stage: str | None = None) -> Group:
        """What holds for the ear: the agent's settings, and over them those of a stage."""
        own = _group(self.data.get("stt"))
        return {**own, **_group(self.stages.get(stage, {}).get("stt"))} if stage else own

    def ears(self) -> Iterator[tuple[Path_, Group, Group]]:
        """Every `stt` of the file: its path, what it says itself, what holds there."""
        yield ("stt",), self.stt(), self.stt()
        for name, stage in self.stages.items():
            if isinstance(stage.get("stt"), dict):
                yield ("stages", name, "stt"), stage["stt"], self.stt(name)

    def texts(self) -> Iterator[tuple[Path_, str, Schema]]:
        """Every text of the file with its path and its part of the schema."""
        yield from _texts(self.data, schema(), ())

    def templates(self) -> Iterator[tuple[Path_, str, Path | None]]:
        """Every text that is filled in, and the file it comes from when it is not this one."""
        for path, text, node in self.texts():
            if node.get("x-template"):
                yield path, text, None
        for path, (file, text) in self.prompts.items():
            yield path, text, file


def lint(
    source: Source, data: object, variables: Mapping[str, str], prompts: Mapping[Path_, tuple[Path, str]]
) -> list[Problem]:
    """All problems of all rules. variables: those of `--var`; prompts: the texts of prompt files, by path."""
    if not isinstance(data, dict):
        return []
    agent = Agent(source, cast("Group", data), variables, prompts)
    return [problem for rule in RULES for problem in rule(agent)]


def _group(value: object) -> Group:
    return cast("Group", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _texts(value: object, node: Schema, path: Path_) -> Iterator[tuple[Path_, str, Schema]]:
    if isinstance(value, str):
        yield path, value, resolved(node)
        return
    pairs: Any = cast("Group", value).items() if isinstance(value, dict) else enumerate(_list(value))
    for key, inner in pairs:
        part = inside(node, key, value)
        if part is not None:
            yield from _texts(inner, part, (*path, key))


# stages


def _ways(agent: Agent) -> Iterator[tuple[Path_, str, str | None]]:
    """Every stage named by a way out: its path, its name, the stage it leads out of (None: anywhere)."""
    for number, item in enumerate(_list(agent.data.get("anywhere"))):
        if isinstance(_group(item).get("to"), str):
            yield ("anywhere", number, "to"), item["to"], None
    for name, stage in agent.stages.items():
        for number, item in enumerate(_list(stage.get("next"))):
            for key in ("to", "otherwise"):
                if isinstance(_group(item).get(key), str):
                    yield ("stages", name, "next", number, key), item[key], name


def stage_targets(agent: Agent) -> Iterator[Problem]:
    names = list(_group(agent.data.get("stages")))
    for path, target, _ in _ways(agent):
        if target == BACK and names:
            continue
        if not names:
            yield agent.source.on_value(
                path,
                "no-stages",
                f'There is no stage "{shown(target)}": this file has no stages.',
                "Add it below stages:",
            )
        elif target not in names:
            close = closest(target, names)
            guess = f' Did you mean "{close}"?' if close else ""
            yield agent.source.on_value(
                path,
                "no-such-stage",
                f'There is no stage "{shown(target)}".{guess}',
                f"The stages are: {', '.join(names)}.",
            )


def one_opening(agent: Agent) -> Iterator[Problem]:
    first = next(iter(agent.stages), None)
    if first is not None and agent.data.get("greeting") and agent.stages[first].get("say"):
        yield agent.source.on_key(
            ("stages", first, "say"),
            "two-openings",
            f'The call would open twice: with the greeting and with what "{first}", the first stage, says.',
            "Keep one of the two.",
        )


def ends(agent: Agent) -> Iterator[Problem]:
    for name, stage in agent.stages.items():
        at: Path_ = ("stages", name)
        if stage.get("end") is True and stage.get("next"):
            yield agent.source.on_key(
                (*at, "next"),
                "end-with-next",
                f'"{name}" ends the call, so nothing can come next.',
                "Remove end or next.",
            )
        if not stage.get("say") and not stage.get("prompt") and stage.get("end") is not True:
            yield agent.source.on_key(
                at, "silent-stage", f'The stage "{name}" has nothing to say.', "Give it a prompt, a say, or both."
            )
        if not stage.get("next") and stage.get("end") is not True and not agent.data.get("anywhere"):
            yield agent.source.on_key(
                at,
                "no-way-out",
                f'No way leads out of the stage "{name}".',
                "Add next: with where to go, or end: true if the call ends here.",
                "warning",
            )


def reachable(agent: Agent) -> Iterator[Problem]:
    names = list(agent.stages)
    if not names:
        return
    seen = {names[0]}
    ways = list(_ways(agent))
    if any(target != BACK and target not in names for _, target, _ in ways):
        return
    grown = True
    while grown:
        found = {target for _, target, start in ways if target in names and (start is None or start in seen)} - seen
        seen |= found
        grown = bool(found)
    for name in names:
        if name not in seen:
            yield agent.source.on_key(
                ("stages", name),
                "unreachable",
                f'No way leads to the stage "{name}".',
                "Name it after a to: of another stage, or remove it.",
                "warning",
            )


def one_otherwise(agent: Agent) -> Iterator[Problem]:
    for name, stage in agent.stages.items():
        found = [n for n, item in enumerate(_list(stage.get("next"))) if "otherwise" in _group(item)]
        for number in found[1:]:
            yield agent.source.on_key(
                ("stages", name, "next", number, "otherwise"),
                "twice",
                f'The stage "{name}" has "otherwise" twice; only the first would ever be taken.',
                "Keep one of the two.",
            )


# templates


def template_names(agent: Agent) -> Iterator[Problem]:
    """Undefined names and templates that cannot be filled in."""
    from runner.prompts import PromptError, render, undeclared

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
        if name not in used and name not in _group(agent.data.get("variables")):
            close = closest(name, [*_group(agent.data.get("variables")), *used])
            guess = f' Did you mean "{close}"?' if close else ""
            said = f'--var {name}={shown(value)}: this file has no variable "{name}".{guess}'
            yield Problem(agent.source.file, 1, 1, f"variables.{name}", "no-such-variable", said)


def _undefined(agent: Agent, path: Path_, text: str, file: Path | None, name: str, line: int) -> Problem:
    close = closest(name, agent.variables)
    if close:
        message, hint = f'"{name}" is not a variable. Did you mean "{close}"?', ""
    else:
        message = f'"{name}" is not a variable.'
        hint = f"Add it below variables: with its text, for example {name}: ..."
    return _in_text(agent, path, text, file, line, name, "unknown-variable", message, hint)


def _in_text(
    agent: Agent,
    path: Path_,
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


# text that got lost


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
        if _PASTED_KEY.search(text):
            place = agent.source.place(path)
            line = agent.source.lines[place.value.line - 1]
            yield Problem(
                agent.source.file,
                place.value.line,
                place.value.column,
                "",
                "key-in-file",
                "This looks like a secret key. Keys are never written into an agent file.",
                "Write it into the file .env, and make a new key if others have seen this one.",
                snippet=_PASTED_KEY.sub("...", line),
            )


# the ear


def model_family(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        model = whole.get("model", DEFAULT_MODEL)
        if not isinstance(model, str):
            continue
        stage_changes_model = len(path) > 1 and "model" in own
        if model in U3_FAMILY:
            if "end_of_turn_confidence_threshold" in own:
                yield agent.source.on_key(
                    (*path, "end_of_turn_confidence_threshold"),
                    "no-effect",
                    f'"end_of_turn_confidence_threshold" has no effect with {model}.',
                    "Only the universal-streaming models use it.",
                    "warning",
                )
            continue
        if not model.startswith("universal-streaming"):
            continue
        family = "It needs universal-3-5-pro, universal-3-6-pro or u3-rt-pro."
        if whole.get("turn_detection") == "assemblyai" and (len(path) == 1 or stage_changes_model):
            at = (*path, "turn_detection") if len(path) == 1 else (*path, "model")
            yield agent.source.on_value(
                at,
                "model-cannot",
                f"{model} has no turn detection of its own, so turn_detection must be pipecat.",
                family,
            )
        for name, severity in U3_ONLY.items():
            if name in own or (stage_changes_model and name in whole):
                at = (*path, name) if name in own else (*path, "model")
                what = f"{model} does not take it" if severity == "error" else f"it has no effect with {model}"
                yield agent.source.on_key(
                    at, "model-cannot", f'"{name}" does not go with this model: {what}.', family, severity
                )


def silences(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        low, high = whole.get("min_turn_silence"), whole.get("max_turn_silence")
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            name = "min_turn_silence" if "min_turn_silence" in own else "max_turn_silence"
            if name in own:
                yield agent.source.on_value(
                    (*path, name),
                    "min-over-max",
                    f"min_turn_silence ({low} ms) is longer than max_turn_silence ({high} ms).",
                    "The first must be the shorter one.",
                )
        by_pipecat = whole.get("turn_detection", "pipecat") == "pipecat"
        dictation = len(path) > 1 and agent.stages[str(path[1])].get("listen_for")
        if by_pipecat and "max_turn_silence" in own and not dictation:
            yield agent.source.on_key(
                (*path, "max_turn_silence"),
                "no-effect",
                '"max_turn_silence" has no effect while turn_detection is pipecat.',
                "Use turn_detection: assemblyai, or set listen_for in the stage that has to wait.",
                "warning",
            )


def keyterms(agent: Agent) -> Iterator[Problem]:
    own = _list(agent.stt().get("keyterms"))
    for name, stage in agent.stages.items():
        added = _list(_group(stage.get("stt")).get("keyterms"))
        total = len({*map(str, own), *map(str, added)})
        if added and len(own) <= 100 and len(added) <= 100 and total > 100:
            yield agent.source.on_key(
                ("stages", name, "stt", "keyterms"),
                "too-many",
                f"Together with the agent's {len(own)}, these are {total} keyterms. The most is 100.",
                "Remove some, or write only: before the list to use just these.",
            )


def languages(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        codes = _list(own.get("language_codes"))
        if "multi" in codes and len(codes) > 1:
            yield agent.source.on_value(
                (*path, "language_codes", codes.index("multi")),
                "not-alone",
                '"multi" must stand alone.',
                "Remove the others.",
            )
        if own.get("voice_focus_threshold") is not None and whole.get("voice_focus") is None:
            yield agent.source.on_key(
                (*path, "voice_focus_threshold"),
                "no-effect",
                '"voice_focus_threshold" has no effect without "voice_focus".',
                "Add voice_focus: near-field or far-field.",
                "warning",
            )


# the model


def answer_length(agent: Agent) -> Iterator[Problem]:
    places: list[Path_] = [("llm",), *(("stages", name, "llm") for name in agent.stages)]
    for path in places:
        group = _group(agent.data.get("llm")) if len(path) == 1 else _group(agent.stages[str(path[1])].get("llm"))
        if "max_tokens" in group and "max_completion_tokens" in group:
            yield agent.source.on_key(
                (*path, "max_completion_tokens"),
                "either-or",
                '"max_tokens" and "max_completion_tokens" cannot stand together.',
                "Newer models use max_completion_tokens; keep that one.",
            )


RULES: tuple[Callable[[Agent], Iterator[Problem]], ...] = (
    stage_targets,
    one_opening,
    ends,
    reachable,
    one_otherwise,
    template_names,
    braces_elsewhere,
    lost_text,
    pasted_keys,
    model_family,
    silences,
    keyterms,
    languages,
    answer_length,
)
