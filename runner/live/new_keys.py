"""New keys of a saved `.env`: tried out as `runner serve` does at its start, before a call uses them.

Comes in: an environment whose `.env` was saved. Goes out: that environment with the keys that are not refused, and what became
of each. Calls go on meanwhile, and with the old key where the new one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from loguru import logger

from runner.definition import AgentDefinition
from runner.environment import TOKEN_VARIABLE, Environment
from runner.live.keys import KeyCheck, check_keys
from runner.live.reload import Agents
from runner.selection import Mode, why_not
from runner.wording import joined


class NewKeys:
    """Of one process. A save of `.env` while an earlier one is tried out takes its place.

    agents: those whose keys are tried. tell: takes a line for people.
    then:   done with the saved files when the environment holds what they say, or as much of it as can be used.
    """

    def __init__(
        self,
        environment: Environment,
        agents: Agents,
        mode: Mode,
        tell: Callable[[str], None],
        then: Callable[[frozenset[Path]], Awaitable[None]],
    ) -> None:
        self._environment, self._agents = environment, agents
        self._mode: Mode = mode
        self._tell, self._then = tell, then
        self._waiting: frozenset[Path] = frozenset()
        self._trial: asyncio.Task[None] | None = None
        self._trials: set[asyncio.Task[None]] = set()

    def saved(self, changed: frozenset[Path]) -> None:
        """Files were saved, a `.env` among them. Returns at once."""
        if self._waiting and self._trial:
            self._trial.cancel()
        self._waiting |= changed
        self._trial = asyncio.create_task(self._try())
        self._trials.add(self._trial)
        self._trial.add_done_callback(self._trials.discard)

    async def _try(self) -> None:
        try:
            agents = [agent.definition for agent in self._agents]
            values, said = await tried(self._environment, agents, self._mode)
            self._environment.use(values)
        except Exception:
            logger.exception("New keys could not be tried out")
            said = ("[problem] .env: Sorry: a fault in runner. The keys of before stay in use.",)
        for line in said:
            self._tell(line)
        changed, self._waiting = self._waiting, frozenset()
        await self._then(changed)


async def tried(
    environment: Environment, agents: Sequence[AgentDefinition], mode: Mode
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """What the environment is to hold after a save of `.env`, and what to tell about it. Takes at most `keys.SECS`."""
    saved = environment.as_saved()
    troubles = [f"[problem] {trouble}" for trouble in saved.troubles]
    if why := why_not(agents, saved.keys, mode):
        return environment.values, (*troubles, f"[problem] .env: the keys of before stay in use. {why}")
    before, after = environment.keys, saved.keys
    new = {name for name in (*before, *after) if before.get(name) != after.get(name)}
    checks = await check_keys(agents, saved, mode, only=new) if new else ()
    refused = {check.variable for check in checks if check.verdict == "wrong"}
    kept = {name: environment.values[name] for name in refused if name in environment.values}
    values = {name: value for name, value in saved.values.items() if name not in refused} | kept
    told = [*troubles, *_refusals(checks, kept), *_news(sorted(new & after.keys() - refused), checks)]
    if gone := sorted(new - after.keys()):
        told.append(f"[saved] .env: the next call has no {joined(gone, 'or')} any more")
    if values.get(TOKEN_VARIABLE) != environment.values.get(TOKEN_VARIABLE):
        told.append(f"[saved] .env: {TOKEN_VARIABLE} counts when runner is started again")
    return values, tuple(told or ["[saved] .env: no key differs"])


def _refusals(checks: Iterable[KeyCheck], kept: Mapping[str, str]) -> Iterator[str]:
    for check in checks:
        if check.verdict == "wrong":
            has = f"the {check.variable} of before" if check.variable in kept else f"no {check.variable}, as before"
            yield f"[problem] .env: {check.said} Running calls and new ones go on with {has}."


def _news(names: Sequence[str], checks: Iterable[KeyCheck]) -> Iterator[str]:
    if names:
        yield f"[saved] .env: the next call uses the new {joined(names)}"
    for check in checks:
        if check.variable in names and check.verdict in ("unsure", "not checked"):
            yield f"        {check.said}"
