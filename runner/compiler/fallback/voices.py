"""Voices of which one speaks: what the first leaves unsaid is said by the next.

Comes in: answers, sentence by sentence, and lines. Goes out: their sound. What was handed to the voice is remembered until it has
come out, word by word where the voice tells its words. A sentence that breaks off is taken up at the word where it broke; one of
whose words nothing is known is said again from its beginning.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipecat.frames.frames import (
    AggregatedTextFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    SystemFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.errors import ErrorCategory

from runner.compiler.fallback.member import Member
from runner.compiler.fallback.relay import Relay
from runner.compiler.sentences import Sentences, sentence

SILENT_SECS = 2.0
"""How long a voice that has something to say may send nothing, while another one could take over."""

_TAGS = re.compile(r"<[^>]*>")
_CANNOT_GO_ON = frozenset({ErrorCategory.CONNECTIVITY, ErrorCategory.QUOTA})


@dataclass(slots=True, eq=False)
class _Given:
    """What the voice was handed. letters: how many letters and figures a text has; `said`: how many of them came out."""

    frame: Frame
    letters: int = 0
    said: int = 0

    @property
    def is_text(self) -> bool:
        return bool(self.letters)

    def rest(self) -> str:
        """What of the text did not come out."""
        text = getattr(self.frame, "text", "")
        if not self.said:
            return text
        plain, left = _TAGS.sub("", text), self.said
        for place, letter in enumerate(plain):
            left -= letter.isalnum()
            if left < 0:
                return plain[place:]
        return ""


class Voices(Relay):
    """One at work speaks."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self._sentences = Sentences()
        self._given: list[_Given] = []
        self._answering = False
        self._begun_again: set[int] = set()
        self._sounding: set[str | None] = set()
        self._news_at = 0.0
        self._watching: asyncio.Task[None] | None = None

    @property
    def _owes(self) -> bool:
        """Whether something is still to be said."""
        return any(one.is_text for one in self._given)

    async def take(self, frame: Frame) -> None:
        match frame:
            case InterruptionFrame():
                self._given = [one for one in self._given if not one.frame.interruptible]
                self._answering = False
                self._sounding.clear()
                await self._sentences.forget()
                await self.send(frame)
            case LLMTextFrame() if not frame.skip_tts:
                for one in await self._sentences.take(frame.text):
                    await self._give(one)
            case LLMFullResponseEndFrame() | EndFrame():
                for one in await self._sentences.rest():
                    await self._give(one)
                await self._give(frame)
            case LLMFullResponseStartFrame() | TTSSpeakFrame():
                if not self._owes and not self._answering:
                    await self.back()
                await self._give(frame)
            case SystemFrame():
                await self.send(frame)
            case _:
                await self._give(frame)

    async def _give(self, frame: Frame) -> None:
        text = frame.text if isinstance(frame, AggregatedTextFrame | TTSSpeakFrame) else ""
        skipped = isinstance(frame, TextFrame) and frame.skip_tts
        one = _Given(frame, 0 if skipped else _letters(text))
        if one.is_text and not self._owes:
            self._news_at = time.monotonic()
        self._given.append(one)
        if one.is_text and (not self._watching or self._watching.done()):
            self._watching = self.create_task(self._watch(), "watches")
        await self.send(frame)

    async def made(self, frame: Frame) -> None:
        match frame:
            case TTSAudioRawFrame():
                self._news_at = time.monotonic()
            case TTSTextFrame():
                self._news_at = time.monotonic()
                self._came_out(_letters(frame.text))
            case TTSStartedFrame():
                self._sounding.add(frame.context_id)
            case TTSStoppedFrame():
                self._sounding.discard(frame.context_id)
            case _:
                self._passed(frame)
                if frame.id in self._begun_again:
                    self._begun_again.discard(frame.id)
                    return
        await self.push_frame(frame)

    def _came_out(self, letters: int) -> None:
        """So many letters of what was given are sound now."""
        for one in [one for one in self._given if one.is_text]:
            now = min(letters, one.letters - one.said)
            one.said += now
            letters -= now
            if one.said >= one.letters:
                self._given.remove(one)
                self.worked()
            if not letters:
                return

    def _passed(self, frame: Frame) -> None:
        """Frames keep their order: when one that is no text comes out, all that was given before it is through."""
        place = next((n for n, one in enumerate(self._given) if one.frame is frame and not one.is_text), None)
        if place is None:
            return
        del self._given[: place + 1]
        if isinstance(frame, LLMFullResponseStartFrame):
            self._answering = True
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._answering = False

    def fails(self, error: ErrorFrame) -> bool:
        lasting = error.category is not None and (error.category.is_permanent or error.category in _CANNOT_GO_ON)
        return self._owes or lasting or not self.service.is_usable

    async def hand_over(self, before: Member, *, failed: bool) -> None:
        given, self._given = self._given, []
        for context in self._sounding:
            await self.push_frame(TTSStoppedFrame(context_id=context))
        self._sounding.clear()
        starts = next((one for one in given if isinstance(one.frame, LLMFullResponseStartFrame | TTSSpeakFrame)), None)
        if self._answering and (starts is None or isinstance(starts.frame, TTSSpeakFrame)):
            again = LLMFullResponseStartFrame()
            self._begun_again.add(again.id)
            await self._give(again)
        for one in given:
            if not one.is_text:
                await self._give(one.frame)
            elif rest := one.rest().strip():
                await self._give(_text_again(one.frame, rest))

    async def _watch(self) -> None:
        while self._owes:
            await asyncio.sleep(0.05)
            secs = self._limit
            if not self._owes or self.successor is None or time.monotonic() - self._news_at < secs:
                continue
            words = f"no sound came for {secs:g} s"
            error = ErrorFrame(words, category=ErrorCategory.UNKNOWN, processor=self.service)
            await self.fail(self.at_work, error)

    @property
    def _limit(self) -> float:
        """Seconds of silence: the file's `timeout`, where the voice has one."""
        given = self.service._settings.extra.get("timeout")
        return float(given) if isinstance(given, int | float) else SILENT_SECS

    async def cleanup(self) -> None:
        if self._watching:
            await self.cancel_task(self._watching)
        await super().cleanup()


def _letters(text: str) -> int:
    return sum(letter.isalnum() for letter in _TAGS.sub("", text))


def _text_again(frame: Frame, rest: str) -> Frame:
    """A text that is handed to another voice; marks of the first one are not."""
    if isinstance(frame, TTSSpeakFrame):
        again = TTSSpeakFrame(rest, append_to_context=frame.append_to_context)
        again.interruptible = frame.interruptible
        return again
    return sentence(rest)
