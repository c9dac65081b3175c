"""A save becomes a new version of an agent, for new calls and for running ones.

Comes in: changed files. Goes out: a `Saved` for each agent they concern. A file with problems changes nothing but the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.definition import AgentDefinition, ReloadMode
from runner.document.load import Loaded, load
from runner.effective import Change, file_changes
from runner.problem import Problem

Read = Callable[[Path], Loaded]


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
    """What a save did. `changed` is empty when it was bad, or changed nothing that an agent means.

    name_before: what the agent was called until then.
    """

    agent: LiveAgent
    changed: Change
    good: bool
    name_before: str


def reader(variables: Mapping[str, str], settings: Mapping[str, str], env: Callable[[], Mapping[str, str]]) -> Read:
    """`load` with what the command line and the environment add."""

    def read(path: Path) -> Loaded:
        return load(path, variables=variables, settings=settings, env=env())

    return read


class Agents:
    """The agents of this process, and how they take saves.

    reload: what a save does to each of them; None leaves it to their files.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self.reload: ReloadMode | None = None
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

    def mode(self, agent: LiveAgent) -> ReloadMode:
        """What a save does to this agent."""
        return self.reload or agent.definition.reload

    def deaf(self, changed: frozenset[Path]) -> list[LiveAgent]:
        """The agents that one of these files belongs to and that take no saves."""
        return [agent for agent in self if agent.sources & changed and self.mode(agent) == "off"]

    @property
    def why_off(self) -> str:
        """Who says that saves are not applied."""
        return "--reload off" if self.reload == "off" else "its file says reload: off"

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
        """Read again the agents that one of these files belongs to. Each is a save, also where nothing differs."""
        return [
            await self._take_one(agent)
            for agent in self._agents.values()
            if agent.sources & changed and self.mode(agent) != "off"
        ]

    async def look_again(self, *, besides: frozenset[Path] = frozenset()) -> list[Saved]:
        """Read again the agents of which no file is in `besides`, because something else that they depend on may differ:
        `.env`, or a file that was saved before anybody watched it. Only what came out otherwise is reported.
        """
        others = [agent for agent in self if not agent.sources & besides and self.mode(agent) != "off"]
        before = [(agent.definition, agent.problems) for agent in others]
        saves = [await self._take_one(agent, only_if_different=True) for agent in others]
        return [s for s, was in zip(saves, before, strict=True) if was != (s.agent.definition, s.agent.problems)]

    async def _take_one(self, agent: LiveAgent, *, only_if_different: bool = False) -> Saved:
        loaded = await asyncio.to_thread(self._read, agent.path)
        name, made = agent.name, loaded.definition
        agent.problems = loaded.problems
        if made and any(made.name == other.name for other in self._agents.values() if other is not agent):
            agent.problems, made = (*loaded.problems, _name_taken(agent.path, made.name)), None
        agent.sources = frozenset({agent.path, *loaded.sources, *(() if made else agent.sources)})
        if made is None:
            return Saved(agent, Change(), good=False, name_before=name)
        changed = file_changes(agent.definition, made)
        if not only_if_different or made != agent.definition:
            agent.definition = made
            agent.version += 1
        return Saved(agent, changed, good=True, name_before=name)


def _name_taken(path: Path, name: str) -> Problem:
    return Problem(
        path, 1, 1, "name", "name-taken", f'Another agent is called "{name}" too.', "Give one of them another name."
    )
