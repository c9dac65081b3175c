"""Rules about the way a conversation takes: stages that do not exist, are never reached or never left."""

from __future__ import annotations

from collections.abc import Iterator

from runner.definition import BACK
from runner.document.names import closest, shown
from runner.document.places import Where
from runner.document.rules.view import Agent, group_of, list_of
from runner.problem import Problem


def _ways(agent: Agent) -> Iterator[tuple[Where, str, str | None]]:
    """Every stage named by a way out: its path, its name, the stage it leads out of (None: anywhere)."""
    for number, item in enumerate(list_of(agent.data.get("anywhere"))):
        if isinstance(group_of(item).get("to"), str):
            yield ("anywhere", number, "to"), item["to"], None
    for name, stage in agent.stages.items():
        for number, item in enumerate(list_of(stage.get("next"))):
            for key in ("to", "otherwise"):
                if isinstance(group_of(item).get(key), str):
                    yield ("stages", name, "next", number, key), item[key], name


def stage_targets(agent: Agent) -> Iterator[Problem]:
    names = list(group_of(agent.data.get("stages")))
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
        at: Where = ("stages", name)
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
        found = [n for n, item in enumerate(list_of(stage.get("next"))) if "otherwise" in group_of(item)]
        for number in found[1:]:
            yield agent.source.on_key(
                ("stages", name, "next", number, "otherwise"),
                "twice",
                f'The stage "{name}" has "otherwise" twice; only the first would ever be taken.',
                "Keep one of the two.",
            )
