"""Rules about the way a conversation takes: stages that do not exist, are never reached, never left, or have nothing to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from runner.definition import BACK
from runner.document.names import closest, one_slip, shown
from runner.document.places import Where
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, list_of

FLOWS = "Pipecat 1.14, Flows: a function that leads to an unknown node ends the conversation"
OWN = "the rules of the agent file (README, stages)"


def _no_stages(agent: Agent) -> Iterator[Hit]:
    if not group_of(agent.data.get("stages")):
        for path, target, _ in agent.ways:
            yield Hit(path, {"target": shown(target)}, "value")


def _misspelled(agent: Agent) -> dict[str, str]:
    """Stages that nothing names, by the name that several ways out have for them."""
    names = list(group_of(agent.data.get("stages")))
    targets = Counter(to for _, to, _ in agent.ways)
    found: dict[str, str] = {}
    for target, count in targets.items():
        if count > 1 and target != BACK and target not in names:
            close = [name for name in names if one_slip(target.lower(), name.lower()) and name not in targets]
            if len(close) == 1:
                found[target] = close[0]
    return found


def _stage_misspelled(agent: Agent) -> Iterator[Hit]:
    for target, name in _misspelled(agent).items():
        count = sum(to == target for _, to, _ in agent.ways)
        yield Hit(("stages", name), {"target": shown(target), "name": name, "count": count})


def _no_such_stage(agent: Agent) -> Iterator[Hit]:
    names = list(group_of(agent.data.get("stages")))
    misspelled = _misspelled(agent)
    if agent.stray_stages:
        return
    for path, target, _ in agent.ways:
        if names and target != BACK and target not in names and target not in misspelled:
            close = closest(target, names)
            guess = f' Did you mean "{close}"?' if close else ""
            yield Hit(path, {"target": shown(target), "guess": guess, "names": ", ".join(names)}, "value")


def _two_openings(agent: Agent) -> Iterator[Hit]:
    first = next(iter(agent.stages), None)
    if first is not None and agent.data.get("greeting") and agent.stages[first].get("say"):
        yield Hit(("stages", first, "say"), {"first": first})


def _end_with_next(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        if stage.get("end") is True and stage.get("next"):
            yield Hit(("stages", name, "next"), {"name": name})


def _silent(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        if not stage.get("say") and not stage.get("prompt") and stage.get("end") is not True:
            yield Hit(("stages", name), {"name": name})


def _no_way_out(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        if not stage.get("next") and stage.get("end") is not True and not agent.data.get("anywhere"):
            yield Hit(("stages", name), {"name": name})


def _unreachable(agent: Agent) -> Iterator[Hit]:
    names = list(agent.stages)
    if (
        not names
        or any(to != BACK and to not in names for _, to, _ in agent.ways)
        or agent.lost_ways
        or agent.stray_stages
    ):
        return
    seen = agent.reached()
    for name in names:
        if name not in seen:
            yield Hit(("stages", name), {"name": name})


def _back_from_nowhere(agent: Agent) -> Iterator[Hit]:
    """`back` in the first stage, when no way ever leads into it."""
    first = next(iter(agent.stages), None)
    if first is None or any(to == first for _, to, _ in agent.ways):
        return
    for path, to, start in agent.ways:
        if to == BACK and start == first and agent.stages[first].get("end") is not True:
            yield Hit(path, {"name": first}, "value")


def _waits_without_prompt(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        if not stage.get("say") or stage.get("prompt") or stage.get("end") is True:
            continue
        ways = [group_of(item) for item in list_of(stage.get("next"))]
        if (ways or agent.data.get("anywhere")) and not any("when" in way or "otherwise" in way for way in ways):
            yield Hit(("stages", name), {"name": name})


_DICTATED = re.compile(
    r"\b(?:ask (?:for|the caller for)|get|collect|take down|find out|what is|tell me|spell|give me)\b"
    r"[^.?!\n]{0,40}?\b(e-?mail(?: address)?|(?:tele)?phone number|order number|account number|card number|"
    r"reference number|customer number|tracking number|street address|postal address|zip code|postcode)\b",
    re.I,
)
_LISTEN_FOR = {"mail": "email", "phone": "phone", "number": "number", "address": "address", "code": "number"}


def _dictation_unannounced(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        own = group_of(stage.get("stt"))
        if stage.get("listen_for") or stage.get("end") is True or own.keys() & {"min_turn_silence", "max_turn_silence"}:
            continue
        for key in ("say", "prompt"):
            path: Where = ("stages", name, key)
            text = stage.get(key)
            text = agent.prompts[path][1] if path in agent.prompts else text
            found = _DICTATED.search(text) if isinstance(text, str) else None
            if found:
                kind = next(value for word, value in _LISTEN_FOR.items() if word in found.group(1).lower())
                yield Hit(("stages", name), {"name": name, "what": found.group(1), "kind": kind})
                break


def _listen_for_at_end(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        if stage.get("end") is True and stage.get("listen_for"):
            yield Hit(("stages", name, "listen_for"), {"name": name})


def _earlier_names(agent: Agent) -> Iterator[tuple[str, Where, str]]:
    """Every name in a `renamed_from`: the stage it belongs to, where it stands, and the name."""
    for name, stage in agent.stages.items():
        value = stage.get("renamed_from")
        path: Where = ("stages", name, "renamed_from")
        if isinstance(value, str):
            yield name, path, value
        for at, item in enumerate(list_of(value)):
            if isinstance(item, str):
                yield name, (*path, at), item


def _renamed_from_itself(agent: Agent) -> Iterator[Hit]:
    for name, path, was in _earlier_names(agent):
        if was == name:
            yield Hit(path, {"name": name}, "value")


def _renamed_but_there(agent: Agent) -> Iterator[Hit]:
    for name, path, was in _earlier_names(agent):
        if was != name and was in agent.stages:
            yield Hit(path, {"name": name, "was": shown(was)}, "value")


def _renamed_twice(agent: Agent) -> Iterator[Hit]:
    claimed: dict[str, str] = {}
    for name, path, was in _earlier_names(agent):
        if was in agent.stages:
            continue
        if claimed.setdefault(was, name) != name:
            yield Hit(path, {"name": name, "was": shown(was), "other": claimed[was]}, "value")


RULES = (
    Rule(
        "no-stages",
        "error",
        "to and otherwise",
        'There is no stage "{target}": this file has no stages.',
        "Add it below stages:",
        FLOWS,
        _no_stages,
    ),
    Rule(
        "no-such-stage",
        "error",
        "to and otherwise",
        'There is no stage "{target}".{guess}',
        "The stages are: {names}.",
        FLOWS,
        _no_such_stage,
    ),
    Rule(
        "stage-misspelled",
        "error",
        "names of stages",
        '{count} ways lead to "{target}", but the stage is called "{name}". Did you mean "{target}"?',
        "",
        FLOWS,
        _stage_misspelled,
    ),
    Rule(
        "two-openings",
        "error",
        "greeting and the first stage",
        'The call would open twice: with the greeting and with what "{first}", the first stage, says.',
        "Keep one of the two.",
        OWN,
        _two_openings,
    ),
    Rule(
        "end-with-next",
        "error",
        "stages that end the call",
        '"{name}" ends the call, so nothing can come next.',
        "Remove end or next.",
        OWN,
        _end_with_next,
    ),
    Rule(
        "silent-stage",
        "error",
        "stages",
        'The stage "{name}" has nothing to say.',
        "Give it a prompt, a say, or both.",
        OWN,
        _silent,
    ),
    Rule(
        "no-way-out",
        "warning",
        "stages",
        'No way leads out of the stage "{name}".',
        "Add next: with where to go, or end: true if the call ends here.",
        OWN,
        _no_way_out,
    ),
    Rule(
        "unreachable",
        "warning",
        "stages",
        'No way leads to the stage "{name}".',
        "Name it after a to: of another stage, or remove it.",
        OWN,
        _unreachable,
    ),
    Rule(
        "back-from-nowhere",
        "warning",
        "back",
        '"back" leads nowhere here: "{name}" is the first stage, and no way leads into it.',
        "Name the stage that shall come next.",
        OWN,
        _back_from_nowhere,
    ),
    Rule(
        "waits-without-prompt",
        "warning",
        "stages without a prompt",
        'The stage "{name}" waits for the caller, but nothing tells the model what to do with the answer.',
        "Add a prompt, or a way out with when:",
        "Pipecat 1.14, Flows: a node leads by its task messages",
        _waits_without_prompt,
    ),
    Rule(
        "dictation-unannounced",
        "warning",
        "stages that ask for something dictated",
        'The stage "{name}" asks for: {what}. Callers pause while they dictate.',
        "Add listen_for: {kind} to the stage, so that the agent waits.",
        "AssemblyAI, Universal 3.5 Pro Realtime with Pipecat: Entity splitting tradeoff",
        _dictation_unannounced,
    ),
    Rule(
        "listen-for-at-end",
        "warning",
        "stages that end the call",
        '"listen_for" has no effect here: the call ends with the stage "{name}", and nobody listens any more.',
        "Remove it, or remove end: true.",
        OWN,
        _listen_for_at_end,
    ),
    Rule(
        "renamed-from-itself",
        "error",
        "renamed_from",
        'The stage "{name}" cannot be renamed from its own name.',
        "Write the name it had before, or remove the line.",
        OWN,
        _renamed_from_itself,
    ),
    Rule(
        "renamed-but-there",
        "error",
        "renamed_from",
        '"{was}" is still a stage of this file, so "{name}" is not a new name for it.',
        "Remove the name here, or the stage of that name.",
        OWN,
        _renamed_but_there,
    ),
    Rule(
        "renamed-twice",
        "error",
        "renamed_from",
        'Two stages say that they were called "{was}" before: "{other}" and "{name}".',
        "A call that is in it can go on in one of them only: remove the name from the other.",
        OWN,
        _renamed_twice,
    ),
)
"""The table of the rules about stages."""
