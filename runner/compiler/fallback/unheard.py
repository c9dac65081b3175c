"""What the caller said that no ear has put into words yet: sound, with the signs of the local voice detection at their places.

Comes in: the caller's sound, when the voice detection hears the caller begin and stop, and when words came. Goes out: what
another ear has to hear, and for how long words are owed. Pure but for the clock.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace

from pipecat.frames.frames import InputAudioRawFrame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

KEPT_SECS = 30.0
"""How much of what the caller said is kept for another ear."""

BEFORE_SECS = 4.0
"""How much sound is kept while the voice detection hears nobody: its sign comes late on a busy machine."""

_AFTER_WORDS_SECS = 0.8
"""How much of what was said last, when words become final while the caller speaks on, is not among them."""

_ENDS_WITH_SECS = 0.5
"""A stop that the voice detection tells so soon after final words, beside its own wait, is the end of those words."""

Sign = VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame


@dataclass(slots=True, eq=False)
class _Kept:
    """A piece of sound, or a sign; `at`: when it came."""

    frame: InputAudioRawFrame | Sign
    at: float


class Unheard:
    """speaking: the voice detection hears the caller."""

    def __init__(self) -> None:
        self.speaking = False
        self._kept: deque[_Kept] = deque()
        self._quiet_since = time.monotonic()
        self._final_at = self._words_at = 0.0

    def add(self, frame: InputAudioRawFrame | Sign) -> None:
        now = time.monotonic()
        self._kept.append(_Kept(frame, now))
        longest = KEPT_SECS if self.words_due else BEFORE_SECS
        while now - self._kept[0].at > longest:
            self._kept.popleft()
        if isinstance(frame, InputAudioRawFrame):
            return
        self._quiet_since = now
        self.speaking = isinstance(frame, VADUserStartedSpeakingFrame)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and now - self._final_at < frame.stop_secs + _ENDS_WITH_SECS:
            self._kept.clear()

    def words_came(self, *, final: bool) -> None:
        """Final words: what was said before the voice detection last heard the caller stop is among them. While the caller
        speaks, what was said since they last began is kept if there is a stop before it."""
        now = self._words_at = time.monotonic()
        if not final:
            return
        self._quiet_since = self._final_at = now
        stops = [n for n, one in enumerate(self._kept) if isinstance(one.frame, VADUserStoppedSpeakingFrame)]
        if stops:
            for _ in range(stops[-1] + 1):
                self._kept.popleft()
        elif self.speaking:
            sign = next((one for one in self._kept if isinstance(one.frame, VADUserStartedSpeakingFrame)), None)
            late = [one for one in self._kept if now - one.at <= _AFTER_WORDS_SECS and one is not sign]
            self._kept = deque(([sign] if sign else []) + late)

    @property
    def words_due(self) -> bool:
        """The caller has said something that is not in words."""
        return any(isinstance(one.frame, VADUserStartedSpeakingFrame) for one in self._kept)

    @property
    def voice_secs(self) -> float:
        """How long the caller spoke of what is not in words, as far as they have stopped."""
        found, began = 0.0, None
        for one in self._kept:
            if isinstance(one.frame, VADUserStartedSpeakingFrame):
                began = one.at
            elif isinstance(one.frame, VADUserStoppedSpeakingFrame) and began is not None:
                found, began = found + one.at - began, None
        return found

    def owed_secs(self, since: float = 0.0) -> float:
        """For how long the caller, who has stopped, waits for a word; at most since the moment `since`. 0 where no word is
        due."""
        if not self.words_due:
            return 0.0
        stop = next((one for one in self._kept if isinstance(one.frame, VADUserStoppedSpeakingFrame)), None)
        return time.monotonic() - max(stop.at, self._words_at, since) if stop else 0.0

    @property
    def quiet_secs(self) -> float:
        """For how long nobody has spoken and no words came, 0 while somebody speaks or words are due."""
        return 0.0 if self.speaking or self.words_due else time.monotonic() - self._quiet_since

    def again(self) -> list[InputAudioRawFrame | Sign]:
        """All of it, as frames that were not seen before."""
        return [_copy(one.frame) for one in self._kept]


def _copy(frame: InputAudioRawFrame | Sign) -> InputAudioRawFrame | Sign:
    if isinstance(frame, InputAudioRawFrame):
        return InputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
    return replace(frame)
