"""A save becomes a new version of an agent, for new calls and for running ones.

Comes in: changed files. Goes out: a `Saved` for each agent they concern. A file with problems changes nothing but the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.definition import AgentDefinition
from runner.document.load import Loaded, load
from runner.effective import Change, file_changes
from runner.problem import Problem

Read = Callable[[Path], Loaded]
ReloadMode = Literal["live", "next-call", "off"]


@dataclass(slots=True)
class LiveAgent:
    """One agent file while runner runs. `definition` is the last good one; `problems` are those of the last save."""

    path: Path
    definition: AgentDefinition
    version: int
    problems: tuple[Problem, ...]
    sources: frozenset[Path]

    @property
    def name(self) -> str:
        return self.definition.name


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did. `changed` is empty when it was bad, or changed nothing that an agent means."""

    agent: LiveAgent
    changed: Change
    good: bool


def reader(variables: Mapping[str, str], settings: Mapping[str, str], env: Callable[[], Mapping[str, str]]) -> Read:
    """`load` with what the command line and the environment add."""

    def read(path: Path) -> Loaded:
        return load(path, variables=variables, settings=settings, env=env())

    return read


class Agents:
    """The agents of this process, and how they take saves."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._agents: dict[Path, LiveAgent] = {}

    def __iter__(self) -> Iterator[LiveAgent]:
        return iter(self._agents.values())

    def __len__(self) -> int:
        return len(self._agents)

    def named(self, name: str | None) -> LiveAgent | None:
        """The agent of that name; the only one there is when no name is given."""
        if name is None:
            return next(iter(self._agents.values())) if len(self._agents) == 1 else None
        return next((agent for agent in self._agents.values() if agent.name == name), None)

    def open(self, path: Path) -> tuple[Problem, ...]:
        """Read an agent for the first time. Returns its problems; with an error among them there is no agent."""
        loaded = self._read(path)
        if loaded.definition:
            self._agents[path] = LiveAgent(
                path, loaded.definition, 1, loaded.problems, frozenset({path, *loaded.sources})
            )
        return loaded.problems

    @property
    def files(self) -> frozenset[Path]:
        """Every file that an agent was read from."""
        return frozenset[Path]().union(*(agent.sources for agent in self._agents.values()))

    async def take(self, changed: frozenset[Path]) -> list[Saved]:
        """Read again the agents that one of these files belongs to."""
        concerned = [agent for agent in self._agents.values() if agent.sources & changed]
        return [await self._take_one(agent, saved=True) for agent in concerned]

    async def read_all_again(self) -> list[Saved]:
        """After `.env` changed."""
        return [await self._take_one(agent, saved=False) for agent in self._agents.values()]

    async def _take_one(self, agent: LiveAgent, *, saved: bool) -> Saved:
        loaded = await asyncio.to_thread(self._read, agent.path)
        agent.problems = loaded.problems
        agent.sources = frozenset({agent.path, *loaded.sources, *(() if loaded.definition else agent.sources)})
        if loaded.definition is None:
            return Saved(agent, Change(), good=False)
        changed = file_changes(agent.definition, loaded.definition)
        if saved or loaded.definition != agent.definition:
            agent.definition = loaded.definition
            agent.version += 1
        return Saved(agent, changed, good=True)
