"""A save becomes a new version of an agent, for new calls and for running ones.

Comes in: changed files. Goes out: a `Saved` for each agent they concern. A file with problems changes nothing but the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.definition import AgentDefinition, ReloadMode
from runner.document.load import Loaded, agent_files, load
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


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that never was an agent in this process. sources: what has to be saved before it is worth reading again."""

    problems: tuple[Problem, ...]
    sources: frozenset[Path]


class Agents:
    """The agents of this process, and how they take saves.

    reload: what a save does to each of them; None leaves it to their files.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self.reload: ReloadMode | None = None
        self._agents: dict[Path, LiveAgent] = {}
        self.broken: dict[Path, Broken] = {}
        self.refuses: Callable[[AgentDefinition], str | None] = lambda _: None
        """Why an agent that was read well could take no calls here; None when it can."""

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
        self._settle(path, loaded.definition, loaded.problems, frozenset({path, *loaded.sources}))
        return loaded.problems

    def unopened(self, changed: frozenset[Path], folders: frozenset[Path]) -> list[Path]:
        """The files among those saved that may be an agent now: added to one of the folders, or broken until now."""
        worth = {path for path, broken in self.broken.items() if broken.sources & changed}
        worth |= {path for folder in folders for path in agent_files(folder) if path in changed}
        for path in [path for path in self.broken if not path.exists()]:
            del self.broken[path]
        return sorted(path for path in worth if path not in self._agents and path.exists())

    async def meet(self, path: Path) -> tuple[LiveAgent | None, tuple[Problem, ...]]:
        """Read a file that is no agent yet. None for the agent when it is not good; then it is among the `broken`."""
        loaded = await asyncio.to_thread(self._read, path)
        made, problems = self._accepted(path, loaded, self._agents.values())
        self._settle(path, made, problems, frozenset({path, *loaded.sources}))
        return self._agents.get(path), problems

    def _settle(
        self, path: Path, made: AgentDefinition | None, problems: tuple[Problem, ...], sources: frozenset[Path]
    ) -> None:
        self.broken.pop(path, None)
        if made:
            self._agents[path] = LiveAgent(path, made, 1, problems, sources)
        else:
            self.broken[path] = Broken(problems, sources)

    def _accepted(
        self, path: Path, loaded: Loaded, others: Iterable[LiveAgent]
    ) -> tuple[AgentDefinition | None, tuple[Problem, ...]]:
        """The agent that was read, unless its name is taken or it could take no calls here; with all problems."""
        made = loaded.definition
        if made and any(made.name == other.name for other in others):
            return None, (*loaded.problems, _name_taken(path, made.name))
        if made and (why := self.refuses(made)):
            return None, (*loaded.problems, Problem(path, 1, 1, "", "cannot-take-calls", why))
        return made, loaded.problems

    @property
    def files(self) -> frozenset[Path]:
        """Every file that an agent was read from."""
        known = (*self._agents.values(), *self.broken.values())
        return frozenset[Path]().union(*(agent.sources for agent in known))

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
        name = agent.name
        made, agent.problems = self._accepted(agent.path, loaded, [other for other in self if other is not agent])
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
