"""Ears of which one hears: what the caller said since the last finished words is heard again by the next.

Comes in: the caller's sound, and when the local voice detection hears the caller begin and stop. Goes out: what the ear at work
makes of it. The sound since the last final words is kept; the next ear gets it at once, with the signs of the voice detection at
their places, and then goes on with what is being said.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from runner.compiler.fallback.relay import DOWN, UP, Member, Relay
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.compiler.services.refused import RefusedSessionFrame

KEPT_SECS = 30.0
"""How much of what the caller said is kept for another ear."""

BEFORE_SECS = 4.0
"""How much sound is kept while the voice detection hears nobody: its sign comes late on a busy machine."""

_AFTER_WORDS_SECS = 0.8
"""How much of what was said last, when words become final while the caller speaks on, is not among them."""

_ENDS_WITH_SECS = 0.5
"""A stop that the voice detection tells so soon after final words, beside its own wait, is the end of those words."""

MENDS_SECS = 1.0
"""How long an ear that opens another session may take for it."""

_QUIET_SECS = 1.0
"""How long nobody must have spoken before an earlier ear hears again."""

_PASSING = frozenset({ErrorCategory.UNKNOWN, ErrorCategory.APPLICATION})
"""What an ear reports and goes on: a warning, one message that could not be read."""

Sign = VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame


@dataclass(slots=True, eq=False)
class _Kept:
    """A piece of sound, or a sign; `at`: when it came."""

    frame: InputAudioRawFrame | Sign
    at: float


class Ears(Relay):
    """One at work hears."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self._kept: deque[_Kept] = deque()
        self._speaking = False
        self._quiet_since = time.monotonic()
        self._final_at = 0.0
        self._again: set[int] = set()
        self._mending: asyncio.Task[None] | None = None

    async def take(self, frame: Frame) -> None:
        if isinstance(frame, InputAudioRawFrame):
            self._keep(frame)
            if not self._speaking and time.monotonic() - self._quiet_since > _QUIET_SECS and not self._words_due:
                await self.back()
        await self.send(frame)

    async def take_back(self, frame: Frame) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame):
            self._keep(frame)
            now = time.monotonic()
            self._speaking = isinstance(frame, VADUserStartedSpeakingFrame)
            self._quiet_since = now
            stopped = isinstance(frame, VADUserStoppedSpeakingFrame)
            if stopped and now - self._final_at < frame.stop_secs + _ENDS_WITH_SECS:
                self._kept.clear()
        await self.send(frame, UP)

    async def made(self, frame: Frame) -> None:
        if self._was_given_again(frame):
            return
        if isinstance(frame, TranscriptionFrame) and not isinstance(
            frame, InterimTranscriptionFrame | EagerTranscriptionFrame
        ):
            self._quiet_since = self._final_at = time.monotonic()
            self._forget_heard()
            self.worked()
        await self.push_frame(frame)

    async def made_up(self, frame: Frame) -> None:
        if not self._was_given_again(frame):
            await self.push_frame(frame, UP)

    def passes(self, frame: Frame) -> bool:
        """The caller's sound goes on to the voice detection, whichever ear it passed."""
        return isinstance(frame, InputAudioRawFrame | Sign) and not self._was_given_again(frame)

    def _was_given_again(self, frame: Frame) -> bool:
        """What an ear is given a second time was seen by the others the first time."""
        if frame.id not in self._again:
            return False
        self._again.discard(frame.id)
        return True

    # What was not heard yet

    @property
    def _words_due(self) -> bool:
        return any(isinstance(one.frame, VADUserStartedSpeakingFrame) for one in self._kept)

    def _keep(self, frame: InputAudioRawFrame | Sign) -> None:
        now = time.monotonic()
        self._kept.append(_Kept(frame, now))
        longest = KEPT_SECS if self._words_due else BEFORE_SECS
        while now - self._kept[0].at > longest:
            self._kept.popleft()

    def _forget_heard(self) -> None:
        """Words are final: what was said before the voice detection last heard the caller stop is among them. While the caller
        speaks, what was said since they last began is kept if there is a stop before it."""
        stops = [n for n, one in enumerate(self._kept) if isinstance(one.frame, VADUserStoppedSpeakingFrame)]
        if stops:
            for _ in range(stops[-1] + 1):
                self._kept.popleft()
        elif self._speaking:
            sign = next((one for one in self._kept if isinstance(one.frame, VADUserStartedSpeakingFrame)), None)
            late = [one for one in self._kept if time.monotonic() - one.at <= _AFTER_WORDS_SECS and one is not sign]
            self._kept = deque(([sign] if sign else []) + late)

    async def hand_over(self, before: Member, *, failed: bool) -> None:
        if not failed:
            return
        for one in list(self._kept):
            again = _copy(one.frame)
            self._again.add(again.id)
            await self.send(again, DOWN if isinstance(again, InputAudioRawFrame) else UP)

    # Failures

    def fails(self, error: ErrorFrame) -> bool:
        if isinstance(error, RefusedSessionFrame) and error.again:
            self._watch_mending(error)
            return False
        return not self.service.is_usable or error.category not in _PASSING

    def _watch_mending(self, error: ErrorFrame) -> None:
        if self._mending is None or self._mending.done():
            self._mending = self.create_task(self._mend(self.at_work, error), "mends")

    async def _mend(self, member: Member, error: ErrorFrame) -> None:
        """An ear opens another session by itself: if that takes too long the next one hears."""
        until = time.monotonic() + MENDS_SECS
        while time.monotonic() < until and self.at_work is member:
            await asyncio.sleep(0.05)
            if isinstance(member.service, AssemblyAIEars) and member.service.hears:
                return
        if self.at_work is member and self.successor is not None:
            await self.fail(member, ErrorFrame(error.error, category=error.category, processor=member.service))

    async def wakes(self, member: Member) -> bool:
        if not await super().wakes(member):
            return False
        return not isinstance(member.service, AssemblyAIEars) or member.service.hears

    async def cleanup(self) -> None:
        if self._mending:
            await self.cancel_task(self._mending)
        await super().cleanup()


def _copy(frame: InputAudioRawFrame | Sign) -> InputAudioRawFrame | Sign:
    if isinstance(frame, InputAudioRawFrame):
        return InputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
    return replace(frame)
