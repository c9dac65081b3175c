"""Cartesia's voice that says a sentence again when the connection, or the vendor, let it fall.

Comes in: sentences to speak. Goes out: their sound, as ever; and for what stays unsaid an `AnswerLost` with the reason. Every
sentence is remembered until the vendor has sent all of it. When the connection breaks, when the vendor refuses for the moment, or
when no sound comes in time, those of which nothing was heard are asked for again; one that was heard in part is not begun anew,
its rest is left out and the next one follows. The history keeps what was heard.

Pipecat 1.14 instead closes what is being said when a connection breaks, takes a sound that comes after three seconds for one that
never comes, and records every sentence as said.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from pipecat.frames.frames import DataFrame, Frame
from pipecat.services.tts_service import _AudioContextPlayback  # pyright: ignore[reportPrivateUsage]
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp
from pipecat.utils.errors import ErrorCategory

from runner.compiler.services.cartesia.connecting import LASTING, CartesiaConnected
from runner.compiler.services.cartesia.voice import TIMEOUT, Arrived, category_of, words_of
from runner.compiler.services.lost import AnswerLost
from runner.compiler.services.unsaid import BROKE_OFF, leave_out

LIMIT_SECS = 3.0
"""How long the voice may send nothing of a sentence when the file sets no `tts.timeout`."""

_SAID_AGAIN = 1
"""How often one answer is asked for again after a silence; a vendor that refuses for the moment is asked once more."""

_MOMENT_SECS = 0.3
"""What a vendor is left alone for that refuses for the moment."""

_OPEN_SECS = 30.0
"""How long a sentence may be without news in Pipecat's own reckoning. Shorter limits are kept here."""


@dataclass
class _CutFrame(DataFrame):
    """At this place in the sound the rest of a sentence is missing."""


@dataclass(slots=True)
class Sentence:
    """message: what asks for it. begun: some of its sound is here."""

    message: dict[str, Any]
    begun: bool = False


@dataclass(slots=True)
class Saying:
    """One answer, or one line, that is being spoken.

    context:  Pipecat's name of it; `vendor` the vendor's present one, another one each time it is asked for again.
    left:     the sentences that are not here whole.
    end:      the message that says that nothing follows, None until it does.
    heard:    seconds of sound that are here; `before`: of them, those that earlier names brought.
    again:    how often it was asked for again. waits: it is asked for again in a moment, so nothing is sent of it now.
    cut:      something that was heard in part was left out.
    news_at:  when something of it was sent or came last.
    """

    context: str
    vendor: str
    left: deque[Sentence] = field(default_factory=deque[Sentence])
    end: dict[str, Any] | None = None
    heard: float = 0.0
    before: float = 0.0
    again: int = 0
    waits: bool = False
    cut: bool = False
    news_at: float = field(default_factory=time.monotonic)

    @property
    def owed(self) -> bool:
        """Whether the vendor still has something to send."""
        return bool(self.left) or self.end is not None


class CartesiaSteady(CartesiaConnected):
    """The service of one call."""

    def __init__(self, **given: Any) -> None:
        super().__init__(stop_frame_timeout_s=_OPEN_SECS, **given)
        self._saying: dict[str, Saying] = {}
        self._lost: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    @property
    def limit(self) -> float:
        """Seconds the voice may send nothing of a sentence."""
        given = self._settings.extra.get(TIMEOUT)
        return float(given) if isinstance(given, int | float) else LIMIT_SECS

    # What Pipecat asks for

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        saying = self._saying.setdefault(context_id, Saying(context_id, context_id))
        sentence = Sentence(json.loads(self._build_msg(text=text, context_id=saying.vendor)))
        saying.left.append(sentence)
        saying.news_at = time.monotonic()
        if not saying.waits:
            await self._send(sentence.message)
        await self.start_tts_usage_metrics(text)
        self._watch_over()
        yield None

    async def flush_audio(self, context_id: str | None = None) -> None:
        context = context_id or self.get_active_audio_context_id()
        saying = self._saying.get(context or "")
        if saying:
            end = json.loads(self._build_msg(continue_transcript=False, context_id=saying.vendor))
            saying.end = end
            saying.news_at = time.monotonic()
            if not saying.waits:
                await self._send(end)
        elif context and self.audio_context_available(context):
            await self.remove_audio_context(context)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        await self.stop_all_metrics()
        saying = self._saying.pop(context_id, None)
        await self._send({"context_id": saying.vendor if saying else context_id, "cancel": True}, wake=False)

    async def on_audio_context_completed(self, context_id: str) -> None:
        self._saying.pop(context_id, None)
        self._lost.discard(context_id)
        await super().on_audio_context_completed(context_id)

    async def cleanup(self) -> None:
        await super().cleanup()
        if self._watching:
            await self.cancel_task(self._watching)

    async def _close_connection_contexts(self) -> None:
        self._saying.clear()
        await super()._close_connection_contexts()

    # What is being said

    async def _arrives(self, message: Arrived) -> Arrived | None:
        saying = next((one for one in self._saying.values() if one.vendor == message.get("context_id")), None)
        if saying is None and message.get("context_id") in self._saying:
            return None  # about a name that it had before
        if saying is None or message.get("type") == "error":
            return await super()._arrives(message)
        saying.news_at = time.monotonic()
        if message.get("type") == "done" and any(not sentence.begun for sentence in saying.left):
            logger.warning(f"{self}: the vendor has done without saying all of it")
            await self._fell(saying, AnswerLost("nothing was said", category=ErrorCategory.SERVER))
            return None
        self._count(saying, message)
        if message.get("type") == "timestamps" and saying.before:
            times = message["word_timestamps"]
            times["start"] = [start + saying.before for start in times["start"]]
        return {**message, "context_id": self._named(saying)}

    def _count(self, saying: Saying, message: Arrived) -> None:
        """What a message brings of what is owed."""
        match message.get("type"):
            case "chunk":
                saying.heard += len(message["data"]) * 3 / 4 / 2 / self.sample_rate
                for sentence in list(saying.left)[: 1 if self._tells_sentences_apart else None]:
                    sentence.begun = True
            case "flush_done" if self._tells_sentences_apart and saying.left:
                saying.left.popleft()
            case "done":
                self._saying.pop(saying.context, None)
            case _:
                pass

    def _named(self, saying: Saying) -> str:
        """What Pipecat knows it by."""
        return saying.context

    @property
    def _tells_sentences_apart(self) -> bool:
        """Cartesia sends `flush_done` after each text when it does not wait for more of it."""
        return self._max_buffer_delay_ms == 0

    async def _take_error(self, message: Arrived) -> None:
        about, category = message.get("context_id"), category_of(message)
        failed = [one for one in self._saying.values() if one.vendor == about]
        if about is None and len(self._saying) == 1:
            failed = list(self._saying.values())
        if category in LASTING:
            for saying in failed:
                await self._end(saying, lost=True)
            await super()._take_error(message)
            return
        momentary = category in (ErrorCategory.SERVER, ErrorCategory.RATE_LIMIT)
        for saying in failed:
            lost = AnswerLost(words_of(message), category=category, vendor_answers=not momentary)
            if not await self._fell(saying, lost, again=momentary):
                return
        if not failed and about is not None and self.audio_context_available(about):
            self._lost.add(about)
            await self.remove_audio_context(about)
        await super()._take_error(message)

    async def _fell(self, saying: Saying, lost: AnswerLost, *, again: bool = True) -> bool:
        """The vendor let it fall. Returns whether it is asked for again; if not, `lost` is told."""
        if not again or saying.again > _SAID_AGAIN:
            await self._end(saying, lost=True)
            await self.push_error_frame(lost)
            return False
        saying.again, saying.waits, saying.vendor = saying.again + 1, True, str(uuid.uuid4())
        saying.news_at = time.monotonic() + _MOMENT_SECS
        self.create_task(self._say_again_soon(saying), "says_again")
        return True

    async def _say_again_soon(self, saying: Saying) -> None:
        await asyncio.sleep(_MOMENT_SECS)
        if saying.context in self._saying and self._websocket:
            await self._say_again(saying)

    async def _say_again(self, saying: Saying) -> None:
        """Ask for what was not heard of it, under another name: the vendor has forgotten, or is done with, the last one."""
        saying.vendor, saying.before, saying.news_at = str(uuid.uuid4()), saying.heard, time.monotonic()
        saying.waits = False
        if any(sentence.begun for sentence in saying.left):
            saying.cut = True
            saying.left = deque(sentence for sentence in saying.left if not sentence.begun)
            await self.append_to_audio_context(saying.context, _CutFrame())
        if saying.end is not None and not saying.left:
            await self._end(saying, lost=saying.cut)
            if saying.cut:
                await self.push_error_frame(AnswerLost(BROKE_OFF, category=ErrorCategory.SERVER, vendor_answers=True))
            return
        for message in (*(sentence.message for sentence in saying.left), saying.end):
            if message is not None:
                message["context_id"] = saying.vendor
                await self._send(message)

    def _watch_over(self) -> None:
        if not self._watching or self._watching.done():
            self._watching = self.create_task(self._watch(), "watches")

    async def _watch(self) -> None:
        """While something is being said: what the vendor owes has to come in time."""
        while self._saying:
            await asyncio.sleep(min(0.1, self.limit / 4))
            late = time.monotonic() - self.limit
            for saying in list(self._saying.values()):
                if saying.news_at > late or not saying.owed:
                    continue
                if not saying.left:
                    await self._end(saying)
                elif saying.again >= _SAID_AGAIN or not self._websocket:
                    await self._end(saying, lost=True)
                    words = f"no sound came for {self.limit:g} s (tts.timeout)"
                    await self.push_error_frame(AnswerLost(words, category=ErrorCategory.SERVER))
                else:
                    logger.warning(f"{self}: no sound for {self.limit:g} s, asked again on another connection")
                    for other in self._saying.values():
                        other.again, other.news_at = other.again + 1, time.monotonic()
                    self._break()

    async def _connected_again(self) -> None:
        for saying in list(self._saying.values()):
            await self._say_again(saying)

    async def _stays_unsaid(self) -> bool:
        unsaid = list(self._saying.values())
        for saying in unsaid:
            await self._end(saying, lost=True)
        return bool(unsaid)

    async def _end(self, saying: Saying, *, lost: bool = False) -> None:
        """Nothing more of it comes. What is here is played. lost: the rest was not heard."""
        self._saying.pop(saying.context, None)
        if self.audio_context_available(saying.context):
            if lost:
                self._lost.add(saying.context)
            await self.remove_audio_context(saying.context)

    # What was heard

    async def _push_audio_context_item(
        self, context_id: str, item: Frame | WordTimestamp, playback: _AudioContextPlayback
    ) -> None:
        if isinstance(item, _CutFrame):
            leave_out(self, context_id, only_first=True)
        else:
            await super()._push_audio_context_item(context_id, item, playback)

    async def _apply_force_complete(self, context_id: str) -> None:
        if context_id in self._lost:
            leave_out(self, context_id)
        await super()._apply_force_complete(context_id)

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        if context_id not in self._lost:
            await super()._record_context_audio_outcome(context_id, received_audio)
