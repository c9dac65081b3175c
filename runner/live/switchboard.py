"""Takes calls: knows the keys, starts what runs on this machine, and makes a `Call` for whoever rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger

from runner.catalog import PROVIDERS, Part
from runner.compiler.conversation import Chooser
from runner.compiler.pipeline import Carrier, Writer
from runner.compiler.services import Here, generic, openai
from runner.definition import AgentDefinition
from runner.environment import Environment
from runner.events import Event
from runner.live.admission import Admission, Gate
from runner.live.call import Call
from runner.live.line import DIRECT, Line
from runner.live.reload import LiveAgent
from runner.selection import Choice, Mode, choose_services, providers_of

if TYPE_CHECKING:
    from runner.local.meaning import Meaning
    from runner.local.model import LocalModel

OnEvent = Callable[[Call, Event], None]


class Switchboard:
    """All calls of this process.

    mode: `auto`, `cloud` or `local` (DESIGN: two ways to run).
    on_event: told of everything that happens in any call.
    limit: how many calls at once, None for any number.
    """

    def __init__(self, mode: Mode, environment: Environment, on_event: OnEvent, *, limit: int | None = None) -> None:
        self.gate = Gate(limit)
        self._mode: Mode = mode
        self._environment = environment
        self._on_event = on_event
        self._model: LocalModel | None = None
        self._meaning: Meaning | None = None
        self._calls: set[Call] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._preparing = asyncio.Lock()

    def admit(self) -> Admission:
        """A place for a call, before anything is made for it: `with switchboard.admit() as admission: ...`.

        Raises:
            NotAdmitted: the limit is reached, or no new calls are taken. A route lets it through: it answers 503.
        """
        return self.gate.admit()

    @property
    def calls(self) -> frozenset[Call]:
        return frozenset(self._calls)

    def choices(self, agent: AgentDefinition) -> tuple[Choice, ...]:
        return choose_services(agent, self._environment.keys, self._mode)

    def describe(self, choice: Choice) -> str:
        """Who does this part, for people."""
        if not choice.local:
            return choice.vendor
        if choice.part == "stt":
            return "Whisper base, on this machine"
        if choice.part == "tts":
            return "Hibari, on this machine"
        return self._model.describe() if self._model else "a model on this machine"

    async def prepare(self, agents: Sequence[AgentDefinition], *, spoken: bool = True) -> None:
        """Load what the agents' calls will need, side by side, so that the first caller does not wait."""
        async with self._preparing:
            wanted = {choice.part for agent in agents for choice in self.choices(agent) if choice.local}
            work = [asyncio.to_thread(openai.warm)]
            work += [asyncio.to_thread(generic.warm, *named) for named in self._generic(agents, spoken)]
            if spoken:
                from runner.compiler.turns.strategies import warm as warm_turns

                work.append(asyncio.to_thread(warm_turns))
            if "stt" in wanted and spoken:
                from runner.local import ears

                work.append(ears.warm())
            if "tts" in wanted and spoken:
                from runner.local import voice

                work.append(voice.warm())
            if "llm" in wanted and self._model is None:
                work.append(self._start_model())
            await asyncio.gather(*work)

    async def place(
        self,
        agent: LiveAgent,
        carrier: Carrier,
        carrier_name: str,
        *,
        writer: Writer | None = None,
        pinned: bool = False,
        admission: Admission | None = None,
        line: Line = DIRECT,
    ) -> Call:
        """Make a call with the agent's version of now and run it in the background. pinned: no save changes it.

        admission: the place it was given by `admit`; without one it is taken here. line: what the carrier decides.

        Raises:
            NotAdmitted: there is no place.
        """
        with admission or self.admit() as place:
            call, work = await self._make(agent, carrier, carrier_name, writer, pinned, line)
            place.use()
            work.add_done_callback(lambda _: place.give_back())
        return call

    async def _make(
        self, agent: LiveAgent, carrier: Carrier, carrier_name: str, writer: Writer | None, pinned: bool, line: Line
    ) -> tuple[Call, asyncio.Task[None]]:
        while True:
            prepared = agent.definition
            await self.prepare([prepared], spoken=writer is None)
            if prepared is agent.definition:  # no save came meanwhile
                break
        choices = {choice.part: choice for choice in self.choices(prepared)}
        here = Here(
            stt=choices["stt"].local,
            tts=choices["tts"].local,
            model=self._model.address if self._model and choices["llm"].local else None,
        )

        def tell(event: Event) -> None:
            self._on_event(call, event)

        call = Call(
            prepared,
            agent.version,
            carrier,
            carrier_name=carrier_name,
            keys=self._environment.keys,
            here=here,
            choose=self._chooser() if choices["llm"].local else None,
            listener=tell,
            writer=writer,
            forget=self._calls.discard,
            pinned=pinned,
            line=line,
        )
        self._calls.add(call)
        task = asyncio.create_task(call.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return call, task

    @property
    def environment(self) -> Environment:
        """Keys, and whatever else the environment and `.env` hold now."""
        return self._environment

    def see_off(self, work: asyncio.Task[Any]) -> None:
        """What a carrier still has to do after a call (delete its room): `close` waits for it a moment."""
        self._running.add(work)
        work.add_done_callback(self._running.discard)

    async def close(self, reason: str, *, patience: float = 1.0) -> None:
        """End every call politely, one that nobody has come to at once, and stop what was started."""
        calls = self.calls
        await asyncio.gather(*((c.end if c.conversation.begun else c.cancel)(reason) for c in calls))
        if self._running:
            await asyncio.wait(self._running, timeout=patience)
        if self._model:
            await self._model.close()

    def _generic(self, agents: Sequence[AgentDefinition], spoken: bool) -> set[tuple[Part, str]]:
        """The providers in the cloud whose packages are imported with the first call, by part."""
        named: set[tuple[Part, str]] = {
            (choice.part, name)
            for agent in agents
            for choice in self.choices(agent)
            if not choice.local and (spoken or choice.part == "llm")
            for name in providers_of(agent, choice.part, self._environment.keys)
        }
        return {at for at in named if PROVIDERS[at].service}

    def _chooser(self) -> Chooser | None:
        return self._meaning.choose if self._meaning else None

    async def _start_model(self) -> None:
        from runner.local.meaning import Meaning
        from runner.local.model import LocalModel

        model, meaning = LocalModel(), Meaning()
        await asyncio.gather(model.start(), meaning.warm())
        self._model, self._meaning = model, meaning
        logger.debug(f"Local model: {model.describe()}")
