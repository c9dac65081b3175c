"""What comes in: the agent's sentences. What goes out: their sound at 24 kHz, sentence by sentence.

Hibari 0.2.1 (Apache-2.0) with the voice `heart`, inside its package: first sound 30 ms after the text, where Piper
takes 260 ms and brings GPL code. Its author's figures: naturalness 4.43 of 5 (UTMOS), 0.09 under the eight times larger
model it was made from.
"""

# Pipecat 1.14 leaves kwargs and overridable settings untyped, and Hibari has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import numpy as np
from hibari import Hibari
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.types import NOT_GIVEN, NotGiven, is_given

from runner.local.spoken import spoken
from runner.local.weights import VOICE, VOICE_UNKNOWN_WORDS

SAMPLE_RATE = 24_000
"""Hz, what Hibari makes."""

LOUDER = 2.0
"""Hibari's speech peaks at about a third of full scale; telephone speech is expected at about two thirds."""

_mouth = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice")
_lock = threading.Lock()


@dataclass
class LocalVoiceSettings(TTSSettings):
    """What can change during a call: `speed`, 0.5 to 2.0, from the next sentence on. `voice` has no effect: there is
    one."""

    speed: float | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class LocalVoice(TTSService):
    """Speaks English on this machine. Stands where any Pipecat TTS service stands; an interruption ends it between
    sentences."""

    Settings = LocalVoiceSettings
    _settings: LocalVoiceSettings

    def __init__(self, *, speed: float = 1.0, **kwargs: Any) -> None:
        """speed: 1 is the voice's own pace, 0.5 half of it, 2.0 twice. kwargs: of Pipecat's `TTSService`."""
        settings = LocalVoiceSettings(model="hibari", voice="heart", language=Language.EN, speed=speed)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings, **kwargs)

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """The sound of `text` in PCM of 16 bits at the pipeline's rate, one piece a sentence."""
        await self.start_tts_usage_metrics(text)
        speed = self._settings.speed
        said = False
        sentences = _sentences(spoken(text), speed if is_given(speed) else 1.0)
        async for frame in self._stream_audio_frames_from_iterator(
            sentences, in_sample_rate=SAMPLE_RATE, context_id=context_id
        ):
            await self.stop_ttfb_metrics()
            said = True
            yield frame
        if not said:
            # Pipecat 1.14 gives a voice up after three texts without sound; "..." has none.
            yield TTSAudioRawFrame(bytes(self.sample_rate // 10), self.sample_rate, 1, context_id=context_id)


async def warm() -> None:
    """Load the voice of this process before the first call.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """
    await asyncio.get_running_loop().run_in_executor(_mouth, _sound_of_first_sentence)


async def _sentences(text: str, speed: float) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    for phonemes in await loop.run_in_executor(_mouth, _phonemes, text):
        pcm = await loop.run_in_executor(_mouth, _sound, phonemes, speed)
        if pcm:
            yield pcm


def _phonemes(text: str) -> list[str]:
    return cast("list[str]", load_once().phonemize(text))


def _sound(phonemes: str, speed: float) -> bytes:
    wave = load_once().from_phonemes(phonemes, speed=min(2.0, max(0.5, speed)))
    return (np.clip(wave * LOUDER, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def _sound_of_first_sentence() -> None:
    for phonemes in _phonemes("Hello."):
        _sound(phonemes, 1.0)


def load_once() -> Hibari:
    """The voice of this process, loaded by whoever asks first (0.7 s); the others wait for the same one."""
    with _lock:
        return _voice()


@cache
def _voice() -> Hibari:
    VOICE_UNKNOWN_WORDS.path()
    return Hibari(model=str(VOICE.path()))
