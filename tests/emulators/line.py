"""A caller's line through one ear of Pipecat: numbered speech every 20 ms on the clock, and how long each frame was under way.

Comes in: samples, and frames for the ear. Goes out: what the ear wrote down, its errors, and what reached the emulated vendor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    CancelFrame,
    DataFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
    UserTurnStoppedMessage,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.workers.runner import WorkerRunner

from .assemblyai import AssemblyAIEmulator
from .numbered import RATE, Samples, numbered, numbers_in

FRAME = RATE // 50


class _Beat(DataFrame):
    """Any frame that keeps its place in the line, beside the sound: Pipecat lets sound overtake such frames."""


class _Source(FrameProcessor):
    """The caller's end: takes errors too."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[int, float] = {}
        self.errors: list[ErrorFrame] = []
        self.waiting = np.zeros(0, np.int16)
        self.flowing = True
        self.next_number = 1
        self._pump: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._pump = self.create_task(self._flow())
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()

    async def _stop(self) -> None:
        if self._pump:
            await self.cancel_task(self._pump)
            self._pump = None

    async def _flow(self) -> None:
        due = time.monotonic()
        while True:
            if self.flowing:
                samples, self.waiting = self.waiting[:FRAME], self.waiting[FRAME:]
                samples = numbered(np.pad(samples, (0, FRAME - len(samples))), self.next_number)
                self.next_number += 2
                frame = InputAudioRawFrame(samples.tobytes(), RATE, 1)
                self.sent[frame.id] = time.monotonic()
                await self.push_frame(frame)
                beat = _Beat()
                self.sent[beat.id] = time.monotonic()
                await self.push_frame(beat)
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class _Sink(FrameProcessor):
    def __init__(self, source: _Source) -> None:
        super().__init__()
        self._source = source
        self.delays: list[float] = []
        self.words: list[TranscriptionFrame] = []
        self.turns: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame() | _Beat():
                self.delays.append(time.monotonic() - self._source.sent.pop(frame.id))
            case TranscriptionFrame():
                self.words.append(frame)
            case ProposedUserStartedSpeakingFrame():
                self.turns.append("start")
            case ProposedUserStoppedSpeakingFrame():
                self.turns.append("stop")
            case _:
                pass
        await self.push_frame(frame, direction)


class Line:
    """What went through. `lost_ms`, `doubled_ms` and `in_order` compare what was spoken with what the sessions heard."""

    def __init__(
        self, ear: STTService, emulator: AssemblyAIEmulator, *, vad: bool, user: LLMUserAggregatorParams | None
    ) -> None:
        self.ear, self.emulator = ear, emulator
        self._source = _Source()
        self._sink = _Sink(self._source)
        analyzer = SileroVADAnalyzer(params=VADParams(start_secs=0.13)) if vad else None
        steps = [self._source, *([VADProcessor(vad_analyzer=analyzer)] if analyzer else []), ear, self._sink]
        self.user_turns: list[str] = []
        self._context = LLMContext()
        if user:
            steps = [self._source, ear, self._sink, self._user(user)]
        self.worker = PipelineWorker(
            Pipeline(steps),
            params=PipelineParams(audio_in_sample_rate=RATE),
            enable_rtvi=False,
            idle_timeout_secs=None,
            check_dangling_tasks=False,
        )

    def _user(self, params: LLMUserAggregatorParams) -> FrameProcessor:
        aggregator = LLMContextAggregatorPair(self._context, user_params=params).user()

        @aggregator.event_handler("on_user_turn_stopped")
        async def stopped(_: object, __: object, message: UserTurnStoppedMessage) -> None:
            self.user_turns.append(message.content)

        return aggregator

    @property
    def words(self) -> list[TranscriptionFrame]:
        return self._sink.words

    @property
    def text(self) -> str:
        """All that was written down."""
        return " ".join(frame.text for frame in self._sink.words)

    @property
    def written(self) -> list[str]:
        """What a model would be told that the caller said, turn by turn."""
        return [str(message["content"]) for message in self._context.get_messages() if message["role"] == "user"]  # type: ignore[index]

    @property
    def turns(self) -> list[str]:
        """The turn starts and stops that the ear proposed."""
        return self._sink.turns

    @property
    def errors(self) -> list[ErrorFrame]:
        return self._source.errors

    @property
    def now(self) -> int:
        """The number that the next 10 ms will have."""
        return self._source.next_number

    def delay_ms(self, percent: float) -> float:
        """How long frames, sound and others, were under way through the ear."""
        return float(np.percentile(self._sink.delays, percent)) * 1000

    def mute(self, muted: bool = True) -> None:
        """No sound comes any more, not even silence."""
        self._source.flowing = not muted

    async def say(self, samples: Samples) -> None:
        """Returns when the last sample has left."""
        self._source.waiting = np.concatenate([self._source.waiting, samples])
        while len(self._source.waiting):  # noqa: ASYNC110 - a test's clock is real time
            await asyncio.sleep(0.01)

    def heard(self) -> list[int]:
        """The numbers that the sessions heard, in the order in which the sessions took over."""
        sessions = sorted((s for s in self.emulator.sessions if s.frames), key=lambda s: s.frames[0].at)
        return [number for session in sessions for number in numbers_in(session.audio) if number > 0]

    def compare(self, until: int) -> tuple[int, int, bool]:
        """Lost and doubled sound before number `until`, ms, and whether the rest is in order."""
        heard = [number for number in self.heard() if number < until]
        lost = set(range(1, until)) - set(heard)
        return 10 * len(lost), 10 * (len(heard) - len(set(heard))), heard == sorted(heard)


@asynccontextmanager
async def line(
    ear: STTService, emulator: AssemblyAIEmulator, *, vad: bool = True, user: LLMUserAggregatorParams | None = None
) -> AsyncGenerator[Line]:
    """A running line. user: Pipecat's own turn taking behind the ear, whose turns are kept in `user_turns`; it has a voice
    detection of its own then."""
    made = Line(ear, emulator, vad=vad, user=user)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(made.worker)
    running = asyncio.create_task(runner.run())
    try:
        yield made
    finally:
        await made.worker.cancel()
        await running
