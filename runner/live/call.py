"""One call: a compiled pipeline while it runs, from the caller's arrival to the last word.

Comes in: a definition, a carrier, keys. Goes out: events. A call holds one frozen definition; `take_version` swaps it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from loguru import logger
from pipecat.frames.frames import CancelFrame, ErrorFrame, LLMMessagesAppendFrame, TTSSpeakFrame
from pipecat.observers.user_bot_latency_observer import LatencyBreakdown, MeasuredFrom, UserBotLatencyObserver
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import AssistantTurnStoppedMessage, UserBackchannelMessage
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.workers.runner import WorkerRunner

from runner.compiler.callers.said import Words
from runner.compiler.conversation import Chooser, Conversation
from runner.compiler.fallback.relay import TookOverFrame
from runner.compiler.pipeline import Carrier, Writer, compile_call
from runner.compiler.services import Here
from runner.compiler.services.refused import RefusedChangeFrame
from runner.definition import AgentDefinition
from runner.effective import variables_of
from runner.events import (
    AgentSaid,
    Backchannel,
    CallEnded,
    CallerSaid,
    CallStarted,
    Event,
    Listener,
    Trouble,
    TurnLatency,
)
from runner.live.clock import Clock
from runner.live.history import History
from runner.live.idle import Idleness
from runner.live.lifeline import Lifeline
from runner.live.line import DIRECT, Line
from runner.live.page_messages import as_message
from runner.live.vendors import Vendors
from runner.logs import CallTag, of_call
from runner.prompts import render
from runner.reach import Place, reach

_KEY_OF_OWNER = {
    "config: VAD stop_secs": "turns.vad.stop_secs",
    "config: user turn strategies": "turns.smart_turn",
}
"""Pipecat 1.14's names for settings that take time, and the keys of the agent file that change them."""

_NUMBERS = itertools.count(1)

_POLITE_SECS = 0.3
"""How long an ending call may take to speak its last word and close its sessions before it is cut."""


class Call:
    """One conversation, whatever carries it.

    carrier_name: for people: `web`, `websocket`, `daily`, `typed`.
    pinned: it keeps the version it began with.
    number: its place among the calls of this process, from 1.
    here, choose: what runs on this machine instead of in the cloud, and how ways out are chosen then.
    nobody_listens: the client is gone and may come back (`away.py`); the caller's silence does not count meanwhile.
    forget: called once when the call is over.
    line: what the carrier decides about the call, whatever the file says.
    """

    def __init__(
        self,
        agent: AgentDefinition,
        version: int,
        carrier: Carrier,
        *,
        carrier_name: str,
        keys: Mapping[str, str],
        here: Here,
        choose: Chooser | None,
        listener: Listener,
        writer: Writer | None = None,
        forget: Callable[[Call], None] | None = None,
        pinned: bool = False,
        line: Line = DIRECT,
    ) -> None:
        agent = line.definition(agent)
        self._line = line
        self.agent_name = agent.name
        self.number = next(_NUMBERS)
        self.pinned = pinned
        self.carrier_name = carrier_name
        self._carrier = carrier
        self._listener = listener
        self._forget = forget
        self._history = History()
        self.nobody_listens = False
        self._last_trouble = ""
        self._awaits_caller = False
        self._newest: tuple[AgentDefinition, int] | None = None
        self._over = asyncio.Event()
        self._ready = asyncio.Event()
        self._given_up = False
        self.conversation = Conversation(agent, version=version, listener=self._tell, choose=choose)
        latency = UserBotLatencyObserver()
        self._compiled = compile_call(
            self.conversation,
            carrier,
            keys=keys,
            here=here,
            writer=writer,
            observers=[latency],
            sample_rates=(agent.audio.in_sample_rate, agent.audio.out_sample_rate),
            placed=line.placed,
        )
        self._vendors = Vendors(self._compiled, self.conversation, keys)
        self._runner = WorkerRunner(handle_sigint=False, handle_sigterm=False, check_dangling_tasks=False)
        self._tag = CallTag(self.number, lambda: self.agent_name, lambda: self.conversation.version)
        self._connect_events(latency)
        self._clock = Clock(
            limits=lambda: self.conversation.now.limits,
            say=self._say,
            finish=self._finish,
            spawn=self._spawn,
            caller=self._compiled.pair.user(),
        )
        self._idleness = Idleness(
            idle=lambda: self.conversation.now.turns.idle,
            counts=self._silence_is_the_callers,
            again=lambda: self._compiled.wait_for_caller(self.conversation.now),
            say=self._say,
            finish=self._finish,
        )
        self._lifeline = Lifeline(
            self._compiled,
            now=lambda: self.conversation.now,
            vendor=self._vendors.at_work,
            plain=self._vendors.sentence,
            on_this_machine=self._compiled.here.parts,
            listener=self._compiled.pair.user(),
            output=carrier.output(),
            cut=self._compiled.worker.queue_frame,
            cancel=self.cancel,
            tell=self._tell,
            version=lambda: self.version,
            spawn=self._spawn,
        )

    @property
    def worker(self) -> PipelineWorker:
        return self._compiled.worker

    @property
    def opens(self) -> bool:
        """Whether the agent speaks first."""
        return self.conversation.now.opens

    async def run(self) -> None:
        """Until the call is over. Never raises for what happens inside the call."""
        with of_call(self._tag):
            await self._run()

    async def _run(self) -> None:
        try:
            await self._runner.add_workers(self._compiled.worker)
            await self._runner.run()
        except Exception as error:
            logger.exception("A call broke off")
            self._compiled.reason = f"it broke off: {error}"
        finally:
            self._clock.close()
            self._over.set()
            self._ready.set()
            self._lifeline.close()
            await self._compiled.last_corrections()
            self._tell(CallEnded(self._compiled.reason, self.version))
            await self._compiled.close()
            if self._forget:
                self._forget(self)

    async def begin(self) -> None:
        """The caller is there and can hear. Safe to call more than once."""
        await self._ready.wait()
        if self._over.is_set() or self._given_up:
            return
        if not self._clock.runs:
            self._clock.begin()
            self._lifeline.begun()
        if (machine := self._compiled.machine) and not machine.is_person:
            machine.answered()  # and a person's answer comes back here
            return
        with of_call(self._tag):
            await self.conversation.begin(self._compiled.context)

    def await_caller(self, seconds: float, key: str = "") -> None:
        """The caller is about to come: get ready for it, and end the call when nobody has come after so many seconds.

        key: of the agent file, which holds these seconds.
        """
        self._awaits_caller = True

        def nobody_came() -> None:
            if not self.conversation.begun:
                self._spawn(self.cancel(f"nobody came within {seconds:g} s ({key})" if key else "nobody came"))

        asyncio.get_running_loop().call_later(seconds, nobody_came)

    async def hear_typed(self, text: str, speaker: str | None = None, language: str | None = None) -> None:
        """A turn the caller typed, as if the ear had told who it was and in which language."""
        if speaker or language:
            sure = 1.0 if language else None
            self._compiled.callers.said.note(Words(text, speaker=speaker, language=language, confidence=sure))
        await self._compiled.worker.queue_frame(
            LLMMessagesAppendFrame(messages=[{"role": "user", "content": text}], run_llm=True)
        )

    def notices(self, agent: AgentDefinition) -> tuple[str, ...]:
        """What this call would notice of another version of its file, and when, in plain words."""
        parts = self._compiled
        conversation = self.conversation
        place = Place(
            conversation.agent,
            conversation.now.stage,
            begun=conversation.begun,
            typed=not parts.spoken,
            seconds=self._clock.seconds,
            local=parts.here.parts,
            built=parts.providers,
            held=conversation.held,
            language=conversation.language,
        )
        return reach(place, self._line.definition(agent))

    @property
    def keeps(self) -> str:
        """Why this call takes no other version; "" when it does."""
        if self.pinned:
            return f"pinned to version {self.version}"
        return "ending" if self._compiled.ending or self.conversation.ending else ""

    async def take_version(self, agent: AgentDefinition, version: int) -> None:
        """Go on with another version of the file; `version` tells whether it does. Safe at any moment: before the call is
        connected the newest version waits for that, an older one is never taken after a newer, and a call that is pinned or
        ending keeps its own."""
        if self._over.is_set() or self.keeps:
            return
        if not self._ready.is_set():
            if self._newest is None or self._newest[1] < version:
                self._newest = (agent, version)
            return
        with of_call(self._tag):
            told = await self.conversation.take_version(self._line.definition(agent), version, self.notices(agent))
        if told and any(field.path.startswith("limits.") for field in told.fields):
            self._clock.follow()

    @property
    def version(self) -> int:
        """The version of the file that the call runs."""
        return self.conversation.version

    @property
    def awaits(self) -> int | None:
        """The version that the call takes as soon as it is connected, None for none."""
        return self._newest[1] if self._newest else None

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    @property
    def reason(self) -> str:
        """Why it ended, or will."""
        return self._compiled.reason

    async def end(self, reason: str) -> None:
        """Let what is being said out, close the sessions; cut after a moment. A call that ends already keeps its reason."""
        if self._over.is_set():
            return
        if not self._compiled.ending:
            await self._compiled.finish(reason)
        try:
            await asyncio.wait_for(self._over.wait(), _POLITE_SECS)
        except TimeoutError:
            await self.cancel(reason)

    async def cancel(self, reason: str) -> None:
        """Stop at once."""
        if not self._over.is_set():
            ending = self._compiled.ending
            if not ending:
                self._compiled.reason = reason
            # Whoever waits in an event handler for a call that never began waits no more: Pipecat 1.14 ends when they have.
            self._given_up = True
            self._ready.set()
            await self._compiled.worker.cancel(reason=reason)
            if ending:
                # Pipecat 1.14 holds the worker's own CancelFrame back until the EndFrame is through, that is until all
                # has been spoken, even when nobody listens any more.
                await self._carrier.input().queue_frame(CancelFrame(reason=reason))

    def tell_trouble(self, text: str) -> None:
        """Something is wrong that the call goes on with, in a sentence for people."""
        self._tell(Trouble(text, self.version))

    async def go_on(self, gone: float) -> None:
        """The client is back after so many seconds: tell it where the call is, and count the caller's silence from now."""
        self.nobody_listens = False
        self._idleness.is_broken()
        now = self.conversation.now
        told = {"type": "back", "stage": now.stage, "version": self.version, "seconds": round(gone, 1)}
        await self._compiled.worker.queue_frame(RTVIServerMessageFrame(data={**told, "lines": self._history.lines}))
        await self._compiled.wait_for_caller(now)

    async def over(self) -> None:
        await self._over.wait()

    async def _finish(self, reason: str) -> None:
        if not self._compiled.ending:
            await self._compiled.finish(reason)

    async def _say(self, line: str) -> None:
        if not self._compiled.ending:
            await self._compiled.queue_frame(TTSSpeakFrame(line, append_to_context=True))

    def _tell(self, event: Event) -> None:
        if isinstance(event, CallerSaid):  # typed and pressed turns start no turn of Pipecat's
            self._idleness.is_broken()
        self._history.take(event)
        self._listener(event)
        message = as_message(event)
        if message and self._compiled.spoken and not self._over.is_set():
            self._spawn(self._compiled.worker.queue_frame(RTVIServerMessageFrame(data=message)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _person_answered(self) -> bool:
        await self.begin()
        return self.opens

    async def _machine_answered(self) -> None:
        machine, wanted = self._compiled.machine, self.conversation.agent.voicemail
        if machine and wanted and wanted.say:
            line = TTSSpeakFrame(render(wanted.say, variables_of(self.conversation.agent)), append_to_context=True)
            self._compiled.authorship.stamp(line)
            await machine.push_frame(line)  # nothing that comes from before it passes it any more
        await self._finish("an answering machine took the call (voicemail)")

    def _connect_events(self, latency: UserBotLatencyObserver) -> None:
        if self._compiled.machine:
            self._compiled.machine.listen(person=self._person_answered, machine=self._machine_answered)
        self._tasks: set[asyncio.Future[None]] = set()
        worker, pair, line = self._compiled.worker, self._compiled.pair, self._line.definition

        @worker.event_handler("on_pipeline_started")
        async def started(*_: object) -> None:
            self._tell(CallStarted(self.carrier_name, self.version))
            while self._newest:
                newest, self._newest = self._newest, None
                await self.conversation.take_version(line(newest[0]), newest[1], self.notices(newest[0]))
            self._ready.set()
            if self._awaits_caller:
                await self.conversation.get_ready()

        @worker.event_handler("on_pipeline_error")
        async def error(_: object, frame: ErrorFrame) -> None:
            said = self._vendors.sentence(frame)
            again = said == self._last_trouble and not isinstance(frame, RefusedChangeFrame)
            if said and not again:
                self._last_trouble = said
                self._tell(Trouble(said, self.version, mended=isinstance(frame, TookOverFrame)))
            await self._lifeline.failed(frame, said)

        @pair.assistant().event_handler("on_assistant_turn_stopped")
        async def agent_said(_: object, message: AssistantTurnStoppedMessage) -> None:
            if message.content:
                made = self._compiled.authorship.of(message.content)
                self._tell(AgentSaid(message.content.strip(), made.stage, made.version, message.interrupted))

        @pair.user().event_handler("on_user_turn_started")
        async def caller_speaks(*_: object) -> None:
            self._idleness.is_broken()

        @pair.user().event_handler("on_user_backchannel")
        async def caller_listens(_: object, message: UserBackchannelMessage) -> None:
            self._tell(Backchannel(message.content, self.conversation.now.stage, self.version))

        @pair.user().event_handler("on_user_turn_idle")
        async def caller_is_silent(*_: object) -> None:
            await self._idleness.noticed()

        @latency.event_handler("on_latency_breakdown")
        async def measured(_: object, breakdown: LatencyBreakdown) -> None:
            if breakdown.measured_from is not MeasuredFrom.USER_SILENCE:
                return
            parts = tuple(
                (part.label, part.duration_secs, _KEY_OF_OWNER.get(part.owner, part.owner))
                for part in breakdown.contributions
            )
            self._tell(TurnLatency(breakdown.total_secs, parts, self._compiled.authorship.latest.version))

    def _silence_is_the_callers(self) -> bool:
        busy = self.nobody_listens or self._compiled.caller.keypad.is_being_used
        return not busy and not self._lifeline.silence.lasts  # typed words and pressed keys stop no timer of Pipecat's
