"""Lines that can be heard when the voice cannot speak any more, whichever provider's it is.

Comes in: lines, and what the voice of a call is set to. Goes out: their sound, spoken once a process by another instance of the
same service, and kept for every later call that wants the same line in the same voice. Cartesia's is asked over HTTP (`lines`):
another socket would count among those that its plans limit.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from loguru import logger
from pipecat.frames.frames import DataFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from runner.catalog import PROVIDERS
from runner.compiler import services
from runner.compiler.services.cartesia import lines as cartesia_lines
from runner.compiler.services.cartesia.steady import CartesiaSteady
from runner.effective import Effective


@dataclass(frozen=True, slots=True)
class Sound:
    """pcm: mono, 16 bits. rate: Hz."""

    pcm: bytes
    rate: int


_KEPT: OrderedDict[str, Sound] = OrderedDict()
_MOST = 32
"""Lines that are kept at most: some seconds of sound each, 48 KB a second."""

_BUSY: set[str] = set()
"""Those that are being spoken just now."""

_FAILED: dict[str, float] = {}
"""When each line that could not be kept was asked for last (`time.monotonic()`)."""

_AGAIN_SECS = 30.0
"""Such a line is not asked for again before."""

_LIMIT_SECS = 10.0

_LATER_SECS = 1.0
"""What the call itself says first goes first: a vendor may speak little at once, and this machine one line at a time."""


class KeptLines:
    """Those of one call.

    held: what the parts of the call hold at this moment. keys, here: as the call was built with.
    rate: at which the call speaks, Hz.
    """

    def __init__(self, held: Callable[[], Effective], keys: Mapping[str, str], here: services.Here, rate: int) -> None:
        self._held, self._keys, self._here, self._rate = held, keys, here, rate
        self._before: dict[str, Sound] = {}

    def sound_of(self, line: str) -> Sound | None:
        """The line as the call's voice would speak it now, or as one of its fallbacks would; else as it was kept last in this
        call, with the voice of before a save. None when it never was."""
        kept = (_KEPT.get(self._name(voice, line)) for voice in self._voices())
        return next((sound for sound in kept if sound), self._before.get(line))

    async def keep(self, *lines: str) -> None:
        """See to it that the lines are here. A voice that refuses, is out of reach or takes long is no error: the line is then
        not kept, or kept in the voice of a fallback."""
        for line in lines:
            for voice in self._voices():
                if await self._kept(voice, line):
                    break
            if sound := self.sound_of(line):
                self._before[line] = sound

    def _voices(self) -> Iterator[Effective]:
        """The moment with each of the voices that the call can use, the first one first."""
        held = self._held()
        yield held
        if self._here.tts:
            return
        for number, one in enumerate(held.tts.fallback):
            if not PROVIDERS["tts", one.provider].missing(one.endpoint, self._keys):
                yield held.instead("tts", number)

    async def _kept(self, now: Effective, line: str) -> bool:
        """Whether the line is here in this voice, or will be in a moment. Speaks it, if it has to be."""
        name = self._name(now, line)
        if name in _KEPT or name in _BUSY:
            return True
        if time.monotonic() - _FAILED.get(name, -_AGAIN_SECS) < _AGAIN_SECS:
            return False
        _BUSY.add(name)
        try:
            sound = await self._speak(now, line)
        finally:
            _BUSY.discard(name)
        if sound is None:
            _FAILED[name] = time.monotonic()
            return False
        _FAILED.pop(name, None)
        _KEPT[name] = sound
        while len(_KEPT) > _MOST:
            _KEPT.popitem(last=False)
        return True

    async def _speak(self, now: Effective, line: str) -> Sound | None:
        voice = services.build_tts(now, self._keys, self._here)
        if not isinstance(voice, CartesiaSteady):
            return await _spoken(voice, line, self._rate)
        pcm = await cartesia_lines.spoken(voice, line, self._rate, _LIMIT_SECS)
        return Sound(pcm, self._rate) if pcm else None

    def _name(self, now: Effective, line: str) -> str:
        voice = now.tts
        who = "this machine" if self._here.tts else f"{voice.provider} {voice.endpoint}"
        return f"{who} {sorted(voice.settings.items())} {self._rate} {line}"


@dataclass
class _SaidFrame(DataFrame):
    """Comes out of a voice when all that was handed to it before is out."""


class _Listener(FrameProcessor):
    """The end of a pipeline of one voice: keeps its sound."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[TTSAudioRawFrame] = []
        self.over = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pieces.append(frame)
        elif isinstance(frame, _SaidFrame):
            self.over.set()
        await self.push_frame(frame, direction)


async def _spoken(voice: FrameProcessor, line: str, rate: int) -> Sound | None:
    """One line in a pipeline of its own; None when anything is wrong with it. The voice is used up."""
    await asyncio.sleep(_LATER_SECS)
    listener, wrong = _Listener(), list[str]()
    worker = PipelineWorker(
        Pipeline([voice, listener]),
        params=PipelineParams(audio_out_sample_rate=rate),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        check_dangling_tasks=False,
    )

    @voice.event_handler("on_error")
    async def _failed(_: object, error: Frame) -> None:
        wrong.append(str(error))
        listener.over.set()

    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False, check_dangling_tasks=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(_LIMIT_SECS):
            await worker.queue_frames([TTSSpeakFrame(line, append_to_context=False), _SaidFrame()])
            await listener.over.wait()
    except TimeoutError:
        wrong.append(f"it took more than {_LIMIT_SECS:g} s")
    finally:
        await worker.cancel(reason="the line is spoken")
        await running
        await services.close((voice,))
    if wrong or not listener.pieces:
        logger.debug(f"{voice}: no line was kept for trouble: {wrong or 'no sound came'}")
        return None
    return Sound(b"".join(piece.audio for piece in listener.pieces), listener.pieces[0].sample_rate)
