"""A save reaches the running calls: what each will notice is said before, and which of them run the new version after.

Comes in: the agent as saved, what saves do to it, and its running calls. Goes out: sentences for the terminal and the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loguru import logger

from runner.definition import ReloadMode
from runner.effective import Change
from runner.live.call import Call
from runner.live.reload import LiveAgent
from runner.wording import counted, from_the_next_call


@dataclass(frozen=True, slots=True)
class Plan:
    """What one save means. changes: one sentence for every group of calls that notice the same. takes: the calls that take
    the new version."""

    changes: tuple[str, ...]
    takes: tuple[Call, ...]


def plan(agent: LiveAgent, changed: Change, mode: ReloadMode, calls: Sequence[Call]) -> Plan:
    """What will happen, before it does. changed: what the save changed in the file. Calls that have the version are left out."""
    behind = sorted(
        (call for call in calls if call.version < agent.version and not call.is_over), key=lambda call: call.number
    )
    if not behind:
        return Plan(tuple(from_the_next_call(changed)), ())
    groups: dict[str, list[Call]] = {}
    takes: list[Call] = []
    for call in behind:
        if call.keeps:
            said = _stays(call)
        elif mode != "live":
            said = f"{_keep(call)} (reload: {mode})"
        else:
            takes.append(call)
            said = "; ".join(call.notices(agent.definition)) or "nothing differs for it"
        groups.setdefault(said, []).append(call)
    sentences = [f"{_who(those, alone=len(groups) == 1)}{_many(said, len(those))}" for said, those in groups.items()]
    if not takes:
        sentences += from_the_next_call(changed)
    return Plan(tuple(sentences), tuple(takes))


async def hand_over(agent: LiveAgent, planned: Plan) -> list[str]:
    """Let the calls take the version, each on its own. Returns what came of it, one sentence for every group."""
    definition, version = agent.definition, agent.version
    results = await asyncio.gather(
        *(call.take_version(definition, version) for call in planned.takes), return_exceptions=True
    )
    groups: dict[str, list[Call]] = {}
    for call, result in zip(planned.takes, results, strict=True):
        if isinstance(result, BaseException):
            logger.opt(exception=result).error("A call could not take a version")
            groups.setdefault(f"{_keep(call)}: a fault in runner", []).append(call)
        elif call.version >= version:
            groups.setdefault(f" now run version {call.version}", []).append(call)
        elif call.is_over:
            groups.setdefault(" ended meanwhile", []).append(call)
        elif call.awaits is not None:
            groups.setdefault(f" will run version {call.awaits} when connected", []).append(call)
        else:
            groups.setdefault(_stays(call), []).append(call)
    return [f"{_who(those, alone=len(groups) == 1)}{_many(said, len(those))}" for said, those in groups.items()]


def _keep(call: Call) -> str:
    return f" keep version {call.version}"


def _stays(call: Call) -> str:
    return f" are {call.keeps}" if call.pinned else f"{_keep(call)}: ending"


def _who(calls: Sequence[Call], *, alone: bool) -> str:
    """`2 calls`, and which, where others fare otherwise."""
    which = "" if alone else f" ({_numbers(calls)})"
    return f"{counted(len(calls))}{which}"


def _many(said: str, number: int) -> str:
    """What is said of calls: a sentence goes on after their number, a list of changes after a colon."""
    if not said.startswith(" "):
        return f": {said}"
    if number == 1:
        for many, one in ((" keep ", " keeps "), (" are ", " is "), (" now run ", " now runs ")):
            said = said.replace(many, one, 1) if said.startswith(many) else said
    return said


def _numbers(calls: Sequence[Call]) -> str:
    return ", ".join(_ranges(sorted(call.number for call in calls)))


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """`1`, `3-5`: numbers that follow each other as one range, from three on."""
    at = 0
    while at < len(numbers):
        end = at
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        if end - at >= 2:
            yield f"{numbers[at]}-{numbers[end]}"
        else:
            yield from map(str, numbers[at : end + 1])
        at = end + 1
