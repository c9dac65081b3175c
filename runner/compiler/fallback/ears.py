"""Ears of which one hears: what the caller said since the last finished words is heard again by the next.

Comes in: the caller's sound, and when the local voice detection hears the caller begin and stop. Goes out: what the ear at work
makes of it. The sound since the last final words is kept (`unheard`); the next ear gets it at once, with the signs of the voice
detection at their places, and then goes on with what is being said.

An ear has failed when it says so, when it does not soon get over it, when it breaks twice before a word came, and when it is
silent about what the caller said.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from runner.compiler.fallback.member import DOWN, UP, Member, is_permanent
from runner.compiler.fallback.relay import Relay
from runner.compiler.fallback.unheard import Sign, Unheard
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.compiler.services.refused import RefusedSessionFrame

MENDS_SECS = 2.0
"""How long an ear that opens another session may take for it. AssemblyAI: about 1.2 s."""

SILENT_SECS = 4.0
"""How long an ear may send no word of what the caller said, while another one could take over. AssemblyAI's finds out itself,
sooner (`assemblyai.silence`)."""

NOBODY_HEARS_SECS = 8.0
"""Words that are owed for so long are not waited for when the last ear breaks: the caller has to be told within ten seconds."""

_QUIET_SECS = 1.0
"""How long nobody must have spoken before an earlier ear hears again."""

_VOICE_SECS = 0.6
"""Of less voice than this no words are expected: a cough."""

_PASSING = frozenset({ErrorCategory.UNKNOWN, ErrorCategory.APPLICATION})
"""What an ear reports and goes on: a warning, one message that could not be read."""


class Ears(Relay):
    """One at work hears."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self._unheard = Unheard()
        self._again: set[int] = set()
        self._broke = False
        self._tried_before = False
        self._began_at = 0.0
        self._mending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def take(self, frame: Frame) -> None:
        if isinstance(frame, InputAudioRawFrame):
            self._unheard.add(frame)
            if self._unheard.quiet_secs > _QUIET_SECS:
                await self.back()
        await self.send(frame)

    async def take_back(self, frame: Frame) -> None:
        if isinstance(frame, Sign):
            self._unheard.add(frame)
            if isinstance(frame, VADUserStoppedSpeakingFrame):
                self._watch_silence()
        await self.send(frame, UP)

    async def made(self, frame: Frame) -> None:
        if self._was_given_again(frame):
            return
        growing = isinstance(frame, InterimTranscriptionFrame | EagerTranscriptionFrame)
        if growing or isinstance(frame, TranscriptionFrame):
            self._broke = self._tried_before = False
            self._unheard.words_came(final=not growing)
            if not growing:
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

    async def hand_over(self, before: Member, *, failed: bool) -> None:
        self._broke, self._began_at = False, time.monotonic()
        if not failed:
            return
        self._tried_before = self._unheard.words_due
        for frame in self._unheard.again():
            self._again.add(frame.id)
            await self.send(frame, DOWN if isinstance(frame, InputAudioRawFrame) else UP)
        self._watch_silence()

    # Failures

    @property
    def successor(self) -> Member | None:
        """For an ear that is gone one that rests steps in, if it has not just been tried."""
        others = (one for one in self.members if one is not self.at_work)
        return super().successor or next((one for one in others if one.may_step_in), None)

    def fails(self, error: ErrorFrame) -> bool:
        if isinstance(error, RefusedSessionFrame) and error.again:
            if (self._broke and super().successor) or self._nobody_hears:
                return True
            self._broke = True
            self._watch_mending(error)
            return False
        return not self.service.is_usable or error.category not in _PASSING

    async def fail(self, member: Member, error: ErrorFrame) -> None:
        """What is told of a session that another one was to follow tells now that none does."""
        if isinstance(error, RefusedSessionFrame) and not is_permanent(error):
            words, category, processor = error.error, error.category, error.processor
            if self.successor:
                error = ErrorFrame(words, category=category, processor=processor)
            else:
                error = RefusedSessionFrame(words, category=category, processor=processor, settings=error.settings)
        await super().fail(member, error)

    def is_over(self, member: Member) -> bool:
        gone = member.service is None or not member.service.is_usable
        return gone or self._nobody_hears or super().is_over(member)

    @property
    def _nobody_hears(self) -> bool:
        """The one before has failed at the same words."""
        return self._tried_before and self._unheard.owed_secs() >= NOBODY_HEARS_SECS

    def _watch_mending(self, error: ErrorFrame) -> None:
        if self._mending is None or self._mending.done():
            self._mending = self.create_task(self._mend(self.at_work, error), "mends")

    async def _mend(self, member: Member, error: ErrorFrame) -> None:
        """An ear opens another session by itself: if that takes too long the next one hears, or the call is over."""
        ear, began = member.service, time.monotonic()
        while self.at_work is member and isinstance(ear, AssemblyAIEars) and ear.is_usable and not ear.hears:
            too_long = time.monotonic() - began >= MENDS_SECS
            if (too_long and self.successor) or self._nobody_hears:
                await self.fail(member, error)
                return
            await asyncio.sleep(0.05)

    def _watch_silence(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = self.create_task(self._watch(), "watches")

    async def _watch(self) -> None:
        """While words are owed by an ear that does not find out itself that it hears nothing."""
        while self._unheard.words_due and not isinstance(self.service, AssemblyAIEars):
            await asyncio.sleep(0.1)
            silent = self._unheard.owed_secs(self._began_at) >= SILENT_SECS
            if silent and self._unheard.voice_secs >= _VOICE_SECS and super().successor:
                words = f"it sent no words for {SILENT_SECS:g} s although the caller spoke"
                error = ErrorFrame(words, category=ErrorCategory.UNKNOWN, processor=self.service)
                await self.fail(self.at_work, error)

    async def wakes(self, member: Member) -> bool:
        if not await super().wakes(member):
            return False
        return not isinstance(member.service, AssemblyAIEars) or member.service.hears

    async def cleanup(self) -> None:
        for task in (self._mending, self._watching):
            if task:
                await self.cancel_task(task)
        await super().cleanup()
