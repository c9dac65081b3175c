"""Cartesia's service, with the vendor's errors read whole.

Pipecat 1.14 reads `context_id` of every message. The vendor may send an error without one; that raises KeyError in the
receiving loop, the connection is dropped and the vendor's words are lost. It also reports errors as Python's notation of the
message. Here errors are read before Pipecat sees them.

What Pipecat takes only when the service is made (how text is cut into pieces, how long Cartesia waits for more of it) can be
told to a running service here, in `Settings.extra` by the names of the agent file.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pipecat.frames.frames import Frame, LLMFullResponseStartFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.tts_service import TextAggregationMode
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.text.skip_tags_aggregator import SkipTagsAggregator

MODE, DELAY = "text_aggregation_mode", "max_buffer_delay_ms"

_ONLY_THIS_TIME = ErrorCategory.UNKNOWN
"""A refusal of one text says nothing about the next one; the categories that Pipecat takes for lasting would end the voice."""


class CartesiaVoice(CartesiaTTSService):
    """Pipecat's service; what differs is what it says about errors, that none of them costs the connection, and that
    `text_aggregation_mode` and `max_buffer_delay_ms` change with the next answer."""

    _made_otherwise = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        alone = isinstance(frame, TTSSpeakFrame) and not self._turn_context_id
        if self._made_otherwise and (alone or isinstance(frame, LLMFullResponseStartFrame)):
            self._make_again()
        await super().process_frame(frame, direction)

    async def _update_settings(self, delta: CartesiaTTSService.Settings) -> dict[str, Any]:
        changed = await super()._update_settings(delta)
        self._made_otherwise = self._made_otherwise or bool(changed.keys() & {MODE, DELAY})
        return changed

    def _make_again(self) -> None:
        """What Pipecat 1.14's constructors make of the two. An answer begins, so no text waits to be cut; of what is still
        being spoken the sequencer keeps the words."""
        self._made_otherwise = False
        mode, delay = self._settings.extra.get(MODE), self._settings.extra.get(DELAY)
        self._text_aggregation_mode = TextAggregationMode(mode or TextAggregationMode.SENTENCE)
        self._text_aggregator = SkipTagsAggregator(
            [("<spell>", "</spell>")],
            aggregation_type=self._text_aggregation_mode,
            language=self._text_aggregator.language,
        )
        self._aggregated_frame_sequencer._streaming = self._is_streaming_tokens
        self._max_buffer_delay_ms = 0 if delay is None and not self._is_streaming_tokens else delay

    def _get_websocket(self) -> Any:
        return _Incoming(super()._get_websocket(), self._take_error)

    async def _take_error(self, message: dict[str, Any]) -> None:
        context, status = message.get("context_id"), message.get("status_code")
        if context and self.audio_context_available(context):
            await self.push_frame(TTSStoppedFrame(context_id=context))
            await self.stop_all_metrics()
            self.reset_active_audio_context()
        category = classify_http_status_code(status) if isinstance(status, int) else _ONLY_THIS_TIME
        if status in (400, 422):
            category = _ONLY_THIS_TIME
        title, words = message.get("title"), message.get("message") or message.get("error")
        await self.push_error(": ".join(str(part) for part in (title, words) if part), category=category)


class _Incoming:
    """A socket whose errors go another way than its other messages."""

    def __init__(self, socket: Any, take_error: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._socket = socket
        self._take_error = take_error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        async for text in self._socket:
            message = json.loads(text)
            if message.get("type") == "error":
                await self._take_error(message)
            elif "context_id" in message:
                yield text
