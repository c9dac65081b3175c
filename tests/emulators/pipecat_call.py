"""One call of Pipecat's own services against the emulators, with a caller whose sound the test makes.

Comes in: samples the caller speaks. Goes out: what the agent's loudspeaker plays, errors and transcripts, in real time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, OutputAudioRawFrame, StartFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from .assemblyai import AssemblyAIEmulator
from .cartesia import CartesiaEmulator
from .openai import OpenAIEmulator

Samples = npt.NDArray[np.int16]
IN_RATE, OUT_RATE = 16_000, 24_000
FRAME_SECONDS = 0.02


class Microphone(BaseInputTransport):
    """The caller's sound, 20 ms at a time on the clock; silence while nobody speaks."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_in_enabled=True))
        self._waiting = np.zeros(0, dtype=np.int16)
        self._said = asyncio.Event()

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._pump = self.create_task(self._play())

    async def cleanup(self) -> None:
        await self.cancel_task(self._pump)
        await super().cleanup()

    async def speak(self, samples: Samples) -> float:
        """Returns when the last sample has left; gives the moment (`time.monotonic()`)."""
        self._waiting, self._said = np.concatenate([self._waiting, samples]), asyncio.Event()
        await self._said.wait()
        return time.monotonic()

    async def _play(self) -> None:
        size, due = int(IN_RATE * FRAME_SECONDS), time.monotonic()
        while True:
            frame, self._waiting = self._waiting[:size], self._waiting[size:]
            frame = np.pad(frame, (0, size - len(frame)))
            await self.push_audio_frame(InputAudioRawFrame(frame.tobytes(), IN_RATE, 1))
            if not len(self._waiting):
                self._said.set()
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class Loudspeaker(BaseOutputTransport):
    """Keeps what the agent says, on the clock."""

    def __init__(self) -> None:
        super().__init__(
            TransportParams(audio_out_enabled=True, audio_out_auto_silence=False, audio_out_end_silence_secs=0)
        )
        self.heard = bytearray()
        self.first_sound_at: float | None = None
        self.last_sound_at: float | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.last_sound_at = time.monotonic()
        self.first_sound_at = self.first_sound_at or self.last_sound_at
        self.heard += frame.audio
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        return True

    @property
    def loudness(self) -> float:
        """Root mean square on the 16-bit scale; 0 when nothing was played."""
        samples = np.frombuffer(bytes(self.heard), dtype="<i2").astype(float)
        return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


class _Errors(BaseObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, ErrorFrame] = {}

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, ErrorFrame):
            self.seen[data.frame.id] = data.frame


class PipecatCall:
    """The services of a call and both ends of its sound."""

    def __init__(
        self,
        ears: AssemblyAISTTService,
        mind: OpenAILLMService,
        voice: CartesiaTTSService,
        user: LLMUserAggregatorParams,
    ) -> None:
        self.ears, self.mind, self.voice = ears, mind, voice
        self.microphone, self.loudspeaker = Microphone(), Loudspeaker()
        self.context = LLMContext()
        pair = LLMContextAggregatorPair(self.context, user_params=user)
        self._errors = _Errors()
        steps: list[FrameProcessor] = [
            self.microphone,
            ears,
            pair.user(),
            mind,
            voice,
            self.loudspeaker,
            pair.assistant(),
        ]
        self.worker = PipelineWorker(
            Pipeline(steps),
            params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
            observers=[self._errors],
            enable_rtvi=False,
        )

    @property
    def errors(self) -> list[str]:
        return [frame.error for frame in self._errors.seen.values()]

    async def queue(self, *frames: Frame) -> None:
        await self.worker.queue_frames(list(frames))


@asynccontextmanager
async def pipecat_call(
    assemblyai: AssemblyAIEmulator,
    openai: OpenAIEmulator,
    cartesia: CartesiaEmulator,
    *,
    user: LLMUserAggregatorParams | None = None,
    **hearing: Any,
) -> AsyncGenerator[PipecatCall]:
    """A running call. hearing: arguments of Pipecat's AssemblyAISTTService."""
    ears = AssemblyAISTTService(api_key="a-key", api_endpoint_base_url=assemblyai.url, **hearing)
    mind = OpenAILLMService(
        api_key="a-key",
        base_url=openai.url,
        settings=OpenAILLMService.Settings(model="gpt-4o", system_instruction="Be brief.", temperature=0.4),
    )
    voice = CartesiaTTSService(
        api_key="a-key", url=cartesia.url, settings=CartesiaTTSService.Settings(voice="maya", model="sonic-3.6")
    )
    call = PipecatCall(ears, mind, voice, user or LLMUserAggregatorParams())
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    running = asyncio.create_task(runner.run())
    try:
        yield call
    finally:
        await call.worker.cancel()
        await running
        await mind._client.close()  # Pipecat 1.14 leaves its HTTP client open.
