"""How the emulated recogniser hears: loud audio opens a turn, the test's script says which words were spoken.

Comes in: audio of one session and a script of utterances. Goes out: `Heard` events on the audio's own clock.
No recognition happens; what is real is when turns begin, grow and end.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .assemblyai_rules import Configuration
from .numbered import numbers_in

WINDOW_MS = 10


@dataclass(frozen=True, slots=True)
class Heard:
    """A partial or the end of a turn.

    order: of the turn, from 0.  words: heard so far.  start_ms, end_ms: on the clock of the session's audio.
    text: the words as they are written at the end of a turn, punctuation included.
    """

    order: int
    text: str
    words: tuple[str, ...]
    start_ms: int
    end_ms: int
    is_end: bool


@dataclass(frozen=True)
class Timeline:
    """Words by where they stand in numbered sound (`numbered`): `ends[i]` is the last 10 ms of `words[i]`, in order."""

    words: list[str]
    ends: list[int]

    def between(self, first: int, last: int) -> str:
        """The words that end within these 10 ms, both included."""
        return " ".join(self.words[bisect.bisect_left(self.ends, first) : bisect.bisect_right(self.ends, last)])


@dataclass
class _Turn:
    pieces: tuple[str, ...]
    order: int
    start_ms: int
    reached: int = 1
    voiced_ms: int = 0
    silent_ms: int = 0
    next_partial_ms: float = 0
    shown: int = 0

    @property
    def text(self) -> str:
        return " ".join(self.pieces[: self.reached])


class Ear:
    """Energy over 10 ms windows, turned into the turns of one session.

    script:        shared by the sessions of an emulator; each entry is one utterance in pieces. Pieces are separated
                   by pauses of at least `pause_ms`; when a pause ends the turn, the pieces
                   that were not reached open the next one.
    threshold:     root mean square of 16-bit samples above which a window is speech.
    word_ms:       how long a word takes, for growing partials.
    partial_ms:    between partials (the vendor: about 3000 on U3; shorter here, so that short test sentences grow).
    """

    onset_ms = 50

    def __init__(
        self,
        script: deque[tuple[str, ...]],
        configuration: Configuration,
        *,
        threshold: float,
        pause_ms: int,
        word_ms: int,
        partial_ms: int,
        timeline: Timeline | None = None,
    ) -> None:
        self._timeline = timeline
        self._numbers: list[int] = []
        self._told_until = 0
        self._script = script
        self._configuration = configuration
        self._threshold = threshold
        self._pause_ms = pause_ms
        self._word_ms = word_ms
        self._partial_ms = partial_ms
        self._rest = np.zeros(0, dtype=np.float32)
        self._loud_ms = 0
        self._turn: _Turn | None = None
        self._turns = 0
        self.clock_ms = 0
        self.unscripted = 0

    @property
    def is_listening(self) -> bool:
        """A turn is open."""
        return self._turn is not None

    def hear(self, audio: bytes) -> Iterator[Heard]:
        """One audio frame. Compressed encodings are counted as silence."""
        if self._timeline:
            self._numbers.extend(numbers_in(audio))
        for loud in self._loud_windows(audio):
            self.clock_ms += WINDOW_MS
            if self._turn is None:
                self._wait_for_speech(loud)
            elif event := self._follow(self._turn, loud):
                yield event

    def force(self) -> Heard | None:
        """ForceEndpoint or Terminate: ends the open turn. None when there is none."""
        return self._finish(self._turn) if self._turn else None

    def _loud_windows(self, audio: bytes) -> list[bool]:
        if self._configuration.encoding == "pcm_s16le":
            samples = np.frombuffer(audio[: len(audio) // 2 * 2], dtype="<i2").astype(np.float32)
        elif self._configuration.encoding == "pcm_mulaw":
            samples = _from_mulaw(np.frombuffer(audio, dtype=np.uint8))
        else:
            return []
        samples = np.concatenate([self._rest, samples])
        size = self._configuration.sample_rate * WINDOW_MS // 1000
        whole = len(samples) // size
        self._rest = samples[whole * size :]
        windows = samples[: whole * size].reshape(whole, size)
        return (np.sqrt(np.mean(windows**2, axis=1)) > self._threshold).tolist()

    def _wait_for_speech(self, loud: bool) -> None:
        self._loud_ms = self._loud_ms + WINDOW_MS if loud else 0
        if self._loud_ms < self.onset_ms:
            return
        pieces = self._script.popleft() if self._script else ()
        if self._timeline:
            pieces = (_FROM_SOUND,)
        self.unscripted += not pieces
        self._turn = _Turn(pieces, self._turns, self.clock_ms - self._loud_ms, voiced_ms=self._loud_ms)
        self._turn.next_partial_ms = self._turn.start_ms + self._configuration.first_partial_ms
        self._loud_ms = 0

    def _follow(self, turn: _Turn, loud: bool) -> Heard | None:
        if loud:
            if turn.silent_ms >= self._pause_ms and turn.reached < len(turn.pieces):
                turn.reached += 1
            turn.silent_ms = 0
            turn.voiced_ms += WINDOW_MS
        else:
            turn.silent_ms += WINDOW_MS
        shortest, longest = self._configuration.silences
        finished = turn.text.rstrip().endswith((".", "?", "!"))
        if turn.silent_ms >= (min(shortest, longest) if finished else longest):
            return self._finish(turn)
        if self.clock_ms >= turn.next_partial_ms:
            return self._partial(turn)
        return None

    def _read(self) -> str:
        """The words of the numbered sound since the last finished turn."""
        assert self._timeline
        numbers = [number for number in self._numbers[self._told_until : self.clock_ms // WINDOW_MS] if number > 0]
        return self._timeline.between(numbers[0], numbers[-1]) if numbers else ""

    def _partial(self, turn: _Turn) -> Heard | None:
        again = self._configuration.flag("continuous_partials", True)
        turn.next_partial_ms = self.clock_ms + self._partial_ms if again else math.inf
        if self._timeline:
            text = self._read()
            return (
                Heard(turn.order, text, tuple(text.split()), turn.start_ms, self.clock_ms, is_end=False)
                if text
                else None
            )
        words = turn.text.split()
        count = min(math.ceil(turn.voiced_ms / self._word_ms), len(words))
        if count <= turn.shown:
            return None
        turn.shown = count
        text = " ".join(words[:count]).rstrip(".?!,")
        return Heard(turn.order, text, tuple(text.split()), turn.start_ms, self.clock_ms, is_end=False)

    def _finish(self, turn: _Turn) -> Heard | None:
        self._turn = None
        if not turn.pieces:
            return None
        if self._timeline:
            text, self._told_until = self._read(), self.clock_ms // WINDOW_MS
            if not text:
                return None
            self._turns += 1  # the words are told from all sound until now, so that is where the last of them ends
            return Heard(turn.order, text, tuple(text.split()), turn.start_ms, self.clock_ms, is_end=True)
        if rest := turn.pieces[turn.reached :]:
            self._script.appendleft(rest)
        self._turns += 1
        end_ms = self.clock_ms - turn.silent_ms
        return Heard(turn.order, turn.text, tuple(turn.text.split()), turn.start_ms, end_ms, is_end=True)


_FROM_SOUND = "from the sound"
"""Stands for the script's words where a timeline says what is spoken."""


def _from_mulaw(coded: np.ndarray) -> np.ndarray:
    """G.711 mu-law to samples on the 16-bit scale."""
    inverted = ~coded
    magnitude = (((inverted & 0x0F).astype(np.int32) << 3) + 0x84 << ((inverted & 0x70) >> 4).astype(np.int32)) - 0x84
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.float32)
