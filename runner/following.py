"""Where a running call goes on when a save renames, removes or adds stages. Pure.

Comes in: the agent as the call holds it, its stage, and the agent as saved. Goes out: the agent it holds from then on, and the
stage it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from runner.definition import BACK, AgentDefinition, Stage, Transition

Fate = Literal["same", "renamed", "removed", "without stages"]
"""What became of the call's stage. `without stages`: the call began as one conversation, and the file has stages now."""


@dataclass(frozen=True, slots=True)
class Following:
    """How one call goes on.

    agent: what the call holds from now on: the saved agent, and the old text of the call's stage where that is gone.
    stage: where it is then. names: earlier name of a stage -> its new name, of those that were renamed.
    """

    agent: AgentDefinition
    stage: str | None
    fate: Fate
    names: Mapping[str, str]


def renames(before: AgentDefinition, after: AgentDefinition) -> dict[str, str]:
    """Stages of `before` that `after` has under another name by `renamed_from`: earlier name -> new name."""
    return {
        was: name
        for name, stage in after.stages.items()
        for was in stage.renamed_from
        if was in before.stages and was not in after.stages
    }


def follow(held: AgentDefinition, stage: str | None, after: AgentDefinition) -> Following:
    """How a call that holds `held` and is in `stage` goes on with `after`.

    A stage that is gone keeps its old text for this call until it leaves. Of its ways out, those to renamed stages lead to the
    new names, those to stages that are gone to the beginning; in a file without stages there are none.
    """
    names = renames(held, after)
    if stage is None:
        if after.first_stage is None:
            return Following(after, None, "same", names)
        return Following(replace(after, stages=dict[str, Stage](), anywhere=()), None, "without stages", names)
    if stage in after.stages:
        return Following(after, stage, "same", names)
    if stage in names:
        return Following(after, names[stage], "renamed", names)
    old = held.stages[stage]
    ways = tuple(_led(way, names, after, stage) for way in old.next if after.stages or way.to in (stage, BACK))
    stages = {**after.stages, stage: replace(old, next=ways)}
    variables = {**held.variables, **after.variables}  # the old text may use some that are gone
    return Following(replace(after, stages=stages, variables=variables), stage, "removed", names)


def _led(way: Transition, names: Mapping[str, str], after: AgentDefinition, kept: str) -> Transition:
    to = names.get(way.to, way.to)
    return replace(way, to=to if to in (BACK, kept) or to in after.stages else after.first_stage or to)


def with_new_names(before: AgentDefinition, after: AgentDefinition) -> tuple[AgentDefinition, dict[str, str]]:
    """`before` with its stages called as `after` calls them, for comparing the two; and the renames."""
    names = renames(before, after)
    if not names:
        return before, names

    def led(ways: tuple[Transition, ...]) -> tuple[Transition, ...]:
        return tuple(replace(way, to=names.get(way.to, way.to)) for way in ways)

    stages: dict[str, Stage] = {}
    for was, stage in before.stages.items():
        name = names.get(was, was)
        stages.setdefault(name, replace(stage, name=name, next=led(stage.next)))
    return replace(before, stages=stages, anywhere=led(before.anywhere)), names
