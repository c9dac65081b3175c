"""What comes in: the caller's sound and the turn's start and stop. What goes out: what the caller said, as
transcription frames.

Pipecat 1.14's own `WhisperSTTService` is not the parent: it always encodes 30 s, loads the model once a call, takes 16
kHz for granted, believes words found in noise, and on Apple silicon its module does not import without mlx-whisper.
"""

# Pipecat 1.14 leaves kwargs and overridable settings untyped, and soxr has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from loguru import logger
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService, STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.types import NOT_GIVEN, NotGiven, is_given

from runner.local.whisper import SAMPLE_RATE, Heard, hear, load_once

TTFS_P99 = 1.2
"""Seconds from the end of speech to the words, at worst. Turns end with the words themselves, which are marked as
final; this only bounds the wait for words that never come, as after a cough."""


@dataclass
class WhisperEarsSettings(STTSettings):
    """What can change during a call. `keyterms`: words the ear must catch, used from the next stretch of speech on."""

    keyterms: Sequence[str] | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class WhisperEars(SegmentedSTTService):
    """Hears English on this machine. Stands where any Pipecat STT service stands; the VAD may sit in the user
    aggregator."""

    Settings = WhisperEarsSettings
    _settings: WhisperEarsSettings

    def __init__(self, *, keyterms: Sequence[str] = (), ttfs_p99_latency: float = TTFS_P99, **kwargs: Any) -> None:
        """keyterms: words the ear must catch. kwargs: of Pipecat's `SegmentedSTTService`."""
        settings = WhisperEarsSettings(model="whisper-base", language=Language.EN, keyterms=tuple(keyterms))
        super().__init__(settings=settings, ttfs_p99_latency=ttfs_p99_latency, **kwargs)

    @property
    def wants_wav_segments(self) -> bool:
        return False

    def can_generate_metrics(self) -> bool:
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """The words of one stretch of speech (PCM of 16 bits at the pipeline's rate), or nothing when it was no
        speech."""
        keyterms = self._settings.keyterms
        await self.start_processing_metrics()
        heard = await asyncio.to_thread(_hear_pcm, audio, self.sample_rate, keyterms if is_given(keyterms) else ())
        await self.stop_processing_metrics()
        if not heard.is_speech:
            logger.debug(
                f"{self}: no speech, taken for [{heard.text}] ({heard.log_probability:.2f}, {heard.no_speech:.2f})"
            )
            return
        yield TranscriptionFrame(heard.text, self._user_id, time_now_iso8601(), Language.EN)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame; words are final unless the caller speaks on or more speech waits to be heard.

        Pipecat 1.14 marks every stretch as final. Words that arrive while the caller is already speaking again would
        then end the turn at the next pause, before the words of that pause are there.
        """
        if isinstance(frame, TranscriptionFrame) and (self._user_speaking or not self._segment_queue.empty()):
            await STTService.push_frame(self, frame, direction)
        else:
            await super().push_frame(frame, direction)


async def warm() -> None:
    """Load the model of this process before the first call, without blocking the event loop for longer than its imports
    do.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """
    await asyncio.to_thread(_load_and_hear_nothing)


def _load_and_hear_nothing() -> None:
    load_once()
    hear(np.zeros(SAMPLE_RATE, np.float32))


def _hear_pcm(pcm: bytes, rate: int, keyterms: Sequence[str]) -> Heard:
    sound = np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32768)
    if rate != SAMPLE_RATE:
        sound = soxr.resample(sound, rate, SAMPLE_RATE).astype(np.float32)
    return hear(sound, keyterms)
