"""What comes in: 16 kHz sound of one stretch of speech. What goes out: its words, or nothing when it was not speech.

Whisper base through faster-whisper 1.2.1, with a short window: Whisper always looks at 30 s, and most of that is
padding. At 12 s a turn of 2-4 s takes a third of the time at nearly the same word error rate (LOCAL.md).
"""

# faster-whisper has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel

from runner.local.weights import WHISPER

SAMPLE_RATE = 16_000
"""Hz, the only rate Whisper knows."""

FRAMES_A_SECOND = 100
"""Columns of the spectrogram a second."""

SHORTEST_WINDOW = 12.0
"""Seconds. Shorter windows make Whisper base repeat itself (LOCAL.md)."""

LOWEST_LOG_PROBABILITY = -1.0
"""Below this mean log probability of a word piece the words are guesses. Measured: knocks, coughs, beeps, hum and
silence -1.2 to -4.0; single words with noise, such as "yes", "okay", "five", -0.2 to -0.9."""

LARGEST_DOUBT = 0.6
"""Above this no-speech probability nobody spoke. Measured: noise 0.3 to 0.8, speech up to 0.4."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one stretch of sound was taken for.

    text:            the words, "" when there were none.
    log_probability: mean over the word pieces, 0 is certain.
    no_speech:       0..1, Whisper's own doubt that anybody spoke.
    """

    text: str
    log_probability: float
    no_speech: float

    @property
    def is_speech(self) -> bool:
        """Whether `text` can be believed; Whisper finds words in any noise."""
        sure = self.log_probability >= LOWEST_LOG_PROBABILITY and self.no_speech <= LARGEST_DOUBT
        return sure and any(character.isalnum() for character in self.text)


class ShortWindowWhisper(WhisperModel):
    """faster-whisper's model that encodes only as much of the 30 s window as the sound needs."""

    def encode(self, features: npt.NDArray[np.float32]) -> Any:
        """Encode a spectrogram of (80, 3000), whose unused tail faster-whisper has filled with zeros, without most of
        that tail."""
        used = int(np.flatnonzero(features.any(axis=0)).max(initial=0)) + 1
        window = max(int(SHORTEST_WINDOW * FRAMES_A_SECOND), used + FRAMES_A_SECOND)
        return super().encode(np.ascontiguousarray(features[:, :window]))


_lock = threading.Lock()


def load_once() -> ShortWindowWhisper:
    """The model of this process, loaded by whoever asks first (1.5-2 s with its imports); the others wait for the same
    one.

    Raises:
        WeightsError: the weights are missing or not the pinned ones.
    """
    with _lock:
        return _model()


@cache
def _model() -> ShortWindowWhisper:
    threads = min(4, os.cpu_count() or 1)
    # A folder for a moment: handed over in memory, CTranslate2 4.8 would keep the 145 MB beside the model for good.
    with TemporaryDirectory(prefix="runner-whisper-") as folder:
        for name, weights in WHISPER.items():
            weights.write(Path(folder) / name)
        return ShortWindowWhisper(folder, device="cpu", compute_type="int8", cpu_threads=threads)


def hear(sound: npt.NDArray[np.float32], keyterms: Sequence[str] = ()) -> Heard:
    """The words in `sound` (mono, 16 kHz, -1..1). Takes about 0.3 s for a turn of 2-4 s: call it in a thread.

    keyterms: words to expect. They cost no time, and mended 3 of 11 sentences about "Northwind" and "refund". The form
    of the hint matters: after a bare list Whisper reads that list into plain noise, after "Words: ..." it does not.
    """
    segments, _ = load_once().transcribe(
        sound,
        language="en",
        beam_size=1,
        temperature=0.0,
        no_repeat_ngram_size=5,
        condition_on_previous_text=False,
        without_timestamps=True,
        no_speech_threshold=None,
        hotwords=f"Words: {', '.join(keyterms)}." if keyterms else None,
    )
    found = list(segments)
    if not found:
        return Heard("", 0.0, 1.0)
    text = " ".join(segment.text.strip() for segment in found)
    return Heard(text, min(s.avg_logprob for s in found), max(s.no_speech_prob for s in found))
