"""An agent becomes the processors of one call.

Comes in: a definition (through its conversation), keys, what runs on this machine, and a carrier. Goes out: a worker that
runs, and the handles by which a change reaches its parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMContextFrame,
    UserIdleTimeoutUpdateFrame,
)
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame

from runner.catalog import PARTS, PROVIDERS, Part, Provider
from runner.compiler import services
from runner.compiler.answering_machine import AnsweringMachine
from runner.compiler.authorship import Authorship, Made
from runner.compiler.callers.answered import Callers
from runner.compiler.callers.finished_turns import CallerTurns
from runner.compiler.conversation import Conversation
from runner.compiler.discreet_rtvi import DiscreetRTVI
from runner.compiler.fallback.member import Member
from runner.compiler.fallback.parts import all_of, at_work, build, is_first, told
from runner.compiler.fallback.relay import Relay
from runner.compiler.observing import spare_observers
from runner.compiler.services import Here
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.compiler.services.cartesia.ahead import CartesiaAhead
from runner.compiler.services.kept_lines import KeptLines
from runner.compiler.services.looking_ahead import Ahead, attach
from runner.compiler.stages import StageFlow
from runner.compiler.turns.taking import TurnTaking, idle_timeout
from runner.definition import Service
from runner.effective import Change, Effective


class Carrier(Protocol):
    """What brings a call: any Pipecat transport, or the typed one."""

    def input(self) -> FrameProcessor: ...
    def output(self) -> FrameProcessor: ...


class Writer(Protocol):
    """A carrier without sound: its `voice` takes the place of speech synthesis, and nothing listens."""

    def voice(self) -> FrameProcessor: ...


@dataclass(slots=True)
class Compiled:
    """The parts of one call. `stt`, `tts` and `turns` are None when the call is typed. `providers`: whose services it was built
    with, also after a save that names others. `lines`: those that can be heard without the voice. `reason`: why it ends, or will.
    `ending`: it was asked to end, and does when all that was said before is out."""

    worker: PipelineWorker
    context: LLMContext
    pair: LLMContextAggregatorPair
    llm: FrameProcessor
    stt: FrameProcessor | None
    tts: FrameProcessor | None
    here: Here
    providers: Mapping[Part, str]
    held: Callable[[], Effective]
    spoken: bool
    authorship: Authorship
    turns: TurnTaking | None
    caller: CallerTurns
    callers: Callers
    machine: AnsweringMachine | None
    lines: KeptLines
    reason: str = "the caller hung up"
    ending: bool = False

    async def apply(self, changed: Change, now: Effective) -> None:
        """Tell each part what differs, on the part itself: a frame from the top of the pipeline would wait behind an answer
        that is being generated (Pipecat 1.14, 825 ms seen). The model comes first, before anything else can run: a request
        is the work of the version that is told here when it is handed over after this."""
        for service, frame in self._told("llm", self.llm, changed, now):
            await service.queue_frame(frame)
        if self.turns and self.stt:
            told = dict(self._told("stt", self.stt, changed, now))
            await self.turns.take(changed, now, cast("Any", told.pop(at_work(self.stt), None)))
            for service, frame in told.items():
                await service.queue_frame(frame)
        elif changed.touches("turns.idle"):
            await self.pair.user().queue_frame(UserIdleTimeoutUpdateFrame(timeout=idle_timeout(now.turns.idle)))
        if self.tts:
            for service, frame in self._told("tts", self.tts, changed, now):
                await service.queue_frame(frame)

    def _told(
        self, part: Part, processor: FrameProcessor, changed: Change, now: Effective
    ) -> Iterator[tuple[FrameProcessor, Frame]]:
        return told(part, processor, changed, now, self.held(), self.here, self.providers[part])

    def service_at_work(self, part: Part, processor: Relay) -> Service:
        """What the service at work is set to."""
        number, held = processor.at_work.number, self.held()
        return held.service(part) if number is None else held.service(part).fallback[number]

    def vendor_of(self, part: Part, processor: FrameProcessor | None) -> Provider | None:
        """Whose service a processor is, if it is one of this part's."""
        service = {"stt": self.stt, "llm": self.llm, "tts": self.tts}[part]
        if isinstance(service, Relay):
            member = service.member_of(processor)
            return member.provider if member else None
        return PROVIDERS[part, self.providers[part]] if service is not None and processor is service else None

    def number_of(self, part: Part, processor: FrameProcessor | None) -> int | None:
        """Which of the part's fallbacks a processor is, or was; None for its first service."""
        service = {"stt": self.stt, "llm": self.llm, "tts": self.tts}[part]
        member = service.member_of(processor) if isinstance(service, Relay) else None
        return member.number if member else None

    async def queue_frame(self, frame: Frame) -> None:
        self.authorship.stamp(frame)
        await self.worker.queue_frame(frame)

    async def finish(self, reason: str) -> None:
        """End the call when all that was said before is out."""
        self.reason, self.ending = reason, True
        await asyncio.sleep(0)  # what is on its way to the page in this moment goes first: nothing passes an EndFrame
        if self.spoken:
            await self.worker.queue_frame(RTVIServerMessageFrame(data={"type": "end", "reason": reason}))
        await self.worker.queue_frame(EndFrame())

    async def last_corrections(self) -> None:
        """Wait for what the ear still says about who spoke; it does so when its session ends."""
        if isinstance(ear := at_work(self.stt), AssemblyAIEars):
            await ear.last_revisions()

    async def wait_for_caller(self, now: Effective) -> None:
        """Count the caller's silence from its beginning."""
        await self.pair.user().queue_frame(UserIdleTimeoutUpdateFrame(timeout=idle_timeout(now.turns.idle)))

    async def close(self) -> None:
        """Release what outlives the pipeline."""
        if self.turns:
            self.turns.close()
        await services.close(all_of(self.llm, self.stt, self.tts))

    async def ask_model(self, frame: LLMContextFrame) -> None:
        """A request that passes by the caller's side of the pipeline."""
        self.authorship.stamp(frame)
        await self.llm.queue_frame(frame)

    def ask_ahead(
        self, request: LLMContextFrame, function: str, then: LLMContext, changed: Change, coming: Effective
    ) -> None:
        """Let the request that follows if the model calls `function` go out beside `request`. With models that cannot
        look ahead this does nothing."""
        if not is_first(self.llm):
            return
        told = services.update_llm(changed, coming, self.here, self.providers["llm"])
        attach(request, Ahead(function, then, told.delta if told else None))

    async def say_ahead(self, line: str, changed: Change, coming: Effective) -> None:
        """Have `line` spoken before it is known whether it will be said. Voices that cannot do this do nothing."""
        if is_first(self.tts) and isinstance(voice := at_work(self.tts), CartesiaAhead):
            told = services.update_tts(changed, coming, self.here, self.providers["tts"])
            await voice.speak_ahead(line, told.delta if told else None)


def compile_call(
    conversation: Conversation,
    carrier: Carrier,
    *,
    keys: Mapping[str, str],
    here: Here,
    writer: Writer | None = None,
    observers: Sequence[BaseObserver] = (),
    sample_rates: tuple[int, int] = (16000, 24000),
    placed: bool = False,
) -> Compiled:
    """Build the pipeline of one call and attach the conversation to it.

    keys: variable name -> key, for every service that is not local.
    writer: given for a typed call; there is no recogniser, no synthesis and no turn taking then.
    sample_rates: what comes in and goes out, Hz.
    placed: the agent makes this call, so that an answering machine may take it.
    """
    now = conversation.now
    context = LLMContext()
    llm = build("llm", lambda: conversation.held, keys, here, spoken=writer is None)
    authorship = Authorship(lambda: Made(conversation.version, conversation.now.stage))
    callers = Callers(conversation, context)
    caller = CallerTurns(conversation, callers, authorship)
    machine = None
    if writer:
        stt = tts = turns = None
        pair = LLMContextAggregatorPair(
            context, user_params=LLMUserAggregatorParams(user_idle_timeout=idle_timeout(now.turns.idle))
        )
        steps = [carrier.input(), pair.user(), caller, llm, writer.voice(), carrier.output(), pair.assistant()]
    else:
        stt = build("stt", lambda: conversation.held, keys, here)
        tts = build("tts", lambda: conversation.held, keys, here)
        turns = TurnTaking(now, at_work(stt))
        pair = LLMContextAggregatorPair(context, user_params=turns.params())
        turns.attach(pair.user())
        steps = [carrier.input(), stt, pair.user(), caller, llm, tts, carrier.output(), pair.assistant()]
        if placed and conversation.agent.voicemail and not here.model:
            machine = AnsweringMachine(at_work(llm))
            steps[2:3] = [machine, pair.user(), machine.patience]
    worker = PipelineWorker(
        Pipeline(steps),
        params=PipelineParams(
            audio_in_sample_rate=sample_rates[0],
            audio_out_sample_rate=sample_rates[1],
            enable_metrics=True,
        ),
        observers=list(observers),
        enable_rtvi=writer is None,
        rtvi_processor=None if writer else DiscreetRTVI(keys),
        enable_turn_tracking=False,  # an observer of every frame whose findings nobody reads
        idle_timeout_secs=None,
        check_dangling_tasks=False,
    )
    spare_observers(worker)
    compiled = Compiled(
        worker=worker,
        context=context,
        pair=pair,
        llm=llm,
        stt=stt,
        tts=tts,
        here=here,
        held=lambda: conversation.held,
        providers={part: now.service(part).provider for part in PARTS},
        spoken=writer is None,
        authorship=authorship,
        turns=turns,
        caller=caller,
        callers=callers,
        machine=machine,
        lines=KeptLines(lambda: conversation.held, keys, here, sample_rates[1]),
    )
    flow = StageFlow(llm=at_work(llm), context_aggregator=pair, worker=worker)  # type: ignore[arg-type]
    conversation.attach(flow, compiled)
    authorship.follow(llm, pair.assistant())
    callers.said.follow(pair.user())
    callers.contexts.follow(llm, pair.assistant())
    if isinstance(ear := at_work(stt), AssemblyAIEars):
        ear.speaker_revised = callers.corrected
    if isinstance(stt, Relay):

        async def hears(member: Member) -> None:
            if isinstance(member.service, AssemblyAIEars):
                member.service.speaker_revised = callers.corrected
            if turns:
                await turns.heard_by(at_work(stt), lambda: compiled.service_at_work("stt", stt))

        stt.changed.append(hears)
    return compiled
