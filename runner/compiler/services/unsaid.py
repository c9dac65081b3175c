"""A voice of Pipecat's that tells what it leaves unsaid, whichever provider's it is.

Comes in: sentences to speak. Goes out: their sound, as ever; for a sentence that is not heard, or not to its end, an `AnswerLost`
with the reason; and in the history only what was heard.

Pipecat 1.14 instead waits for ever for a request that hangs and speaks nothing meanwhile, takes what a service raises for a
failure of unknown cause, records a sentence as said that was refused, and takes a sound that stops coming for one that is whole.

Known of every service: what it was asked to say, the sound that came, and when its request or connection ended. Not known of a
service on a socket that marks no end (`push_stop_frames`): whether a sound that stopped was whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cache
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import TTSService, WebsocketTTSService, _AudioContextPlayback  # pyright: ignore[reportPrivateUsage]
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp
from pipecat.utils.errors import ErrorCategory, classify_http_exception

from runner.compiler.services.lost import AnswerLost

LIMIT_SECS = 5.0
"""How long a request may bring no sound."""

_AGAIN_WITHIN_SECS = 3.0
"""A sentence of which nothing was heard is asked for once more when it was refused so soon."""

BROKE_OFF = "the sound broke off in the middle of a sentence"


class TellsUnsaid(TTSService):
    """Stands before a service's own class (`telling_unsaid`)."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._asking: str | None = None
        self._left_out = False
        self._unsaid: set[str] = set()
        self._broken: set[str] = set()
        self._went_quiet: str | None = None
        self._unheard: list[TTSTextFrame] = []

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        self._left_out, since = context_id in self._unsaid, time.monotonic()
        if self._left_out:
            return  # what follows a sentence that broke off would not be understood
        for last in (False, True):
            heard, failure = False, None
            self._asking = context_id
            try:
                asked = super().run_tts(text, context_id)  # pyright: ignore[reportAbstractUsage]
                async with aclosing(_in_time(asked)) as frames:
                    async for frame in frames:
                        if isinstance(frame, ErrorFrame):
                            failure = frame
                            break
                        heard = heard or isinstance(frame, TTSAudioRawFrame)
                        yield frame
            except TimeoutError:
                failure = ErrorFrame(f"no sound came for {LIMIT_SECS:g} s")
            except Exception as error:
                failure = ErrorFrame(f"Unknown error occurred: {error}", exception=error)
            finally:
                self._asking = None
            if failure is None:
                return
            if heard or last or _lasts(failure) or time.monotonic() - since > _AGAIN_WITHIN_SECS:
                self._left_out = True
                self._unsaid.add(context_id)
                yield failure if _lasts(failure) else _lost(failure, heard=heard)
                return

    async def _push_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str, append_to_context: bool
    ) -> None:
        if not self._left_out:
            await super()._push_spoken_text(src_frame, text, context_id, append_to_context)
        elif self._push_text_frames and not self._is_streaming_tokens:
            for frame in self._aggregated_frame_sequencer.complete_spoken_slot():
                await self.push_frame(frame)

    async def _reconnect_websocket(self, attempt_number: int) -> bool:
        """Of a service with a socket: what its connection was to bring does not come any more."""
        self._broken.update(self.get_audio_contexts())
        return await super()._reconnect_websocket(attempt_number)  # type: ignore[misc]

    async def _handle_interruption(self, frame: InterruptionFrame, direction: FrameDirection) -> None:
        await super()._handle_interruption(frame, direction)
        self._unsaid.clear()
        self._broken.clear()

    # What comes out

    async def _handle_audio_context(self, context_id: str) -> None:
        self._unheard = []
        await super()._handle_audio_context(context_id)

    async def _next_audio_context_item(self, context_id: str) -> Frame | WordTimestamp | None:
        """A voice that is still asked, or waits for the rest of an answer, is not quiet."""
        while True:
            try:
                return await self._audio_context_manager.get(context_id, timeout=self._stop_frame_timeout_s)
            except TimeoutError:
                if context_id not in (self._asking, self._turn_context_id):
                    self._went_quiet = context_id
                    return None

    async def _push_audio_context_item(
        self, context_id: str, item: Frame | WordTimestamp, playback: _AudioContextPlayback
    ) -> None:
        if isinstance(item, TTSTextFrame) and not playback.received_audio:
            self._unheard.append(item)
            return
        await super()._push_audio_context_item(context_id, item, playback)
        if isinstance(item, TTSAudioRawFrame):
            texts, self._unheard = self._unheard, []
            for text in texts:
                await self.push_frame(text)

    async def _end_audio_context(self, context_id: str, playback: _AudioContextPlayback) -> None:
        quiet = self._went_quiet == context_id
        broke_off = playback.received_audio and ((quiet and not self._push_stop_frames) or context_id in self._broken)
        if broke_off or not playback.received_audio:
            leave_out(self, context_id)
        self._broken.discard(context_id)
        self._went_quiet = None
        await super()._end_audio_context(context_id, playback)
        if broke_off:
            await self.push_error_frame(AnswerLost(BROKE_OFF, category=ErrorCategory.SERVER, vendor_answers=True))
        if quiet and (broke_off or not playback.received_audio) and isinstance(self, WebsocketTTSService):
            await self._disconnect()  # what hangs would hang with the next sentence too
            await self._connect()

    async def _apply_force_complete(self, context_id: str) -> None:
        if context_id in self._unsaid:
            leave_out(self, context_id)
        await super()._apply_force_complete(context_id)

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        if context_id in self._unsaid:
            self._unsaid.discard(context_id)  # told already
        else:
            await super()._record_context_audio_outcome(context_id, received_audio)


@cache
def telling_unsaid(service: type[TTSService]) -> type[TTSService]:
    """The same service, which tells what it leaves unsaid."""
    return type(service.__name__, (TellsUnsaid, service), {"__module__": service.__module__})


def leave_out(voice: TTSService, context_id: str, *, only_first: bool = False) -> None:
    """What the caller did not hear of a sentence is not recorded as said."""
    for slot in voice._aggregated_frame_sequencer._slots:  # pyright: ignore[reportPrivateUsage]
        if slot.spoken and not slot.complete and slot.context_id == context_id:
            slot.complete = True
            if only_first:
                return


async def _in_time(frames: AsyncGenerator[Frame | None, None]) -> AsyncGenerator[Frame | None, None]:
    """The same frames.

    Raises:
        TimeoutError: the next one did not come within `LIMIT_SECS`.
    """
    try:
        while True:
            async with asyncio.timeout(LIMIT_SECS):
                frame = await anext(frames)
            yield frame
    except StopAsyncIteration:
        return
    finally:
        await frames.aclose()


def _lasts(failure: ErrorFrame) -> bool:
    """Whether the vendor would refuse every other sentence too."""
    category = _category(failure)
    return category.is_permanent or category is ErrorCategory.QUOTA


def _category(failure: ErrorFrame) -> ErrorCategory:
    if failure.category is not None:
        return failure.category
    return classify_http_exception(failure.exception) if failure.exception else ErrorCategory.UNKNOWN


def _lost(failure: ErrorFrame, *, heard: bool) -> AnswerLost:
    words = BROKE_OFF if heard else failure.error
    exception = None if heard else failure.exception
    return AnswerLost(words, exception=exception, category=_category(failure), vendor_answers=True)
