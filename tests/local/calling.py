"""What comes in: a caller's sound. What goes out: the frames that a real Pipecat pipeline made of it, in real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from tests.speech import Samples, resampled

FRAME = 0.02
"""Seconds of sound in one frame, as carriers send it."""


@dataclass
class Happened:
    """What was seen behind the ears, with the second of the call, and the caller's finished turns."""

    frames: list[tuple[float, Frame]] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)

    def of(self, kind: type[Frame]) -> list[Frame]:
        return [frame for _, frame in self.frames if type(frame) is kind]


class Watcher(FrameProcessor):
    """Notes every frame that comes by, in both directions."""

    def __init__(self, happened: Happened) -> None:
        super().__init__()
        self._happened = happened
        self._began = time.monotonic()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._happened.frames.append((time.monotonic() - self._began, frame))
        await self.push_frame(frame, direction)


async def played(sound: Samples, services: Sequence[FrameProcessor], *, rate: int = 16_000) -> Happened:
    """Play `sound` (16 kHz) at `rate` Hz into [first service, watcher, user aggregator with its VAD, the other services]."""
    happened = Happened()
    pair = LLMContextAggregatorPair(LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()))
    user = pair.user()

    @user.event_handler("on_user_turn_stopped")
    async def turn_stopped(_aggregator: object, _strategy: object, message: object) -> None:
        happened.turns.append(message.content)  # pyright: ignore

    ears, *others = services
    worker = PipelineWorker(
        Pipeline([ears, Watcher(happened), user, *others, pair.assistant()]),
        params=PipelineParams(audio_in_sample_rate=rate),
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    samples = resampled(sound, 16_000, rate)
    step = int(FRAME * rate)
    began = time.monotonic()
    for place in range(0, len(samples), step):
        await worker.queue_frame(InputAudioRawFrame(samples[place : place + step].tobytes(), rate, 1))
        await asyncio.sleep(max(0.0, began + (place + step) / rate - time.monotonic()))
    await worker.queue_frame(EndFrame())
    await running
    return happened
