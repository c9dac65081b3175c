"""Sound and word times for a text, so that an emulated voice has the length and energy of a spoken one.

Comes in: text as a synthesiser gets it, tags included. Goes out: PCM samples and the seconds of each word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

SECONDS_A_CHARACTER = 0.06
TAG = re.compile(r"</?(?:spell|emotion|break|volume|speed)\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """start, end: seconds from the start of the text."""

    text: str
    start: float
    end: float


def words_of(text: str, speed: float = 1.0) -> list[SpokenWord]:
    """The words with their times: 60 ms a character, spaces included, divided by `speed`."""
    plain = TAG.sub("", text)
    step = SECONDS_A_CHARACTER / speed
    return [SpokenWord(m.group(), m.start() * step, m.end() * step) for m in re.finditer(r"\S+", plain)]


def seconds_of(text: str, speed: float = 1.0) -> float:
    return len(TAG.sub("", text)) * SECONDS_A_CHARACTER / speed


def voiced(text: str, sample_rate: int, speed: float = 1.0, volume: float = 1.0) -> np.ndarray:
    """A tone with overtones that falls silent between words; float samples in -1..1."""
    seconds = seconds_of(text, speed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sound = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 6))
    loudness = np.zeros_like(time)
    for word in words_of(text, speed):
        loudness[(time >= word.start) & (time < word.end)] = 1.0
    return np.clip(0.2 * volume * sound * loudness, -1, 1).astype(np.float32)


def encoded(samples: np.ndarray, encoding: str) -> bytes:
    """Samples as `pcm_s16le`, `pcm_f32le` or `pcm_mulaw`."""
    if encoding == "pcm_f32le":
        return samples.astype("<f4").tobytes()
    whole = (samples * 32767).astype("<i2")
    return whole.tobytes() if encoding == "pcm_s16le" else _as_mulaw(whole).tobytes()


def _as_mulaw(samples: np.ndarray) -> np.ndarray:
    """G.711 mu-law of 16-bit samples."""
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
