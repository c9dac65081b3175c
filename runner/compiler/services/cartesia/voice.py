"""Cartesia's service, with the vendor's messages read whole.

Pipecat 1.14 reads `context_id` of every message. The vendor may send an error without one; that raises KeyError in the
receiving loop, the connection is dropped and the vendor's words are lost. It also reports errors as Python's notation of the
message, and what is no message at all costs the connection. Here messages are read before Pipecat sees them.

What Pipecat takes only when the service is made (how text is cut into pieces, how long Cartesia waits for more of it) can be
told to a running service here, in `Settings.extra` by the names of the agent file.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from loguru import logger
from pipecat.frames.frames import Frame, LLMFullResponseStartFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.tts_service import TextAggregationMode
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.text.skip_tags_aggregator import SkipTagsAggregator

MODE, DELAY, TIMEOUT = "text_aggregation_mode", "max_buffer_delay_ms", "timeout"

Arrived = dict[str, Any]
"""One message of the vendor."""

_ONLY_THIS_TIME = ErrorCategory.UNKNOWN
"""A refusal of one text says nothing about the next one; the categories that Pipecat takes for lasting would end the voice."""


class CartesiaVoice(CartesiaTTSService):
    """Pipecat's service; what differs is what it says about errors, that neither they nor garbage cost the connection, and that
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
        return _Incoming(super()._get_websocket(), self._arrives)

    async def _arrives(self, message: Arrived) -> Arrived | None:
        """A message as Pipecat is to see it, None for nothing."""
        if message.get("type") == "error":
            await self._take_error(message)
            return None
        return message if isinstance(message.get("context_id"), str) else None

    async def _take_error(self, message: Arrived) -> None:
        await self.push_error(words_of(message), category=category_of(message))


def words_of(message: Arrived) -> str:
    """What an error says."""
    title, words = message.get("title"), message.get("message") or message.get("error")
    return ": ".join(str(part) for part in (title, words) if part) or "an error without words"


def category_of(message: Arrived) -> ErrorCategory:
    """What kind of error it is. An unknown voice or model stays unknown for the next text too; other refusals are of one text."""
    status = message.get("status_code")
    if str(message.get("error_code", "")).endswith("_not_found"):
        return ErrorCategory.INVALID_REQUEST
    category = classify_http_status_code(status) if isinstance(status, int) else _ONLY_THIS_TIME
    return _ONLY_THIS_TIME if status in (400, 422) else category


class _Incoming:
    """A socket of which only messages come that can be read, and each once."""

    def __init__(self, socket: Any, arrives: Callable[[Arrived], Awaitable[Arrived | None]]) -> None:
        self._socket = socket
        self._arrives = arrives

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def __aiter__(self) -> AsyncIterator[str]:
        last: str | bytes = ""
        async for text in self._socket:
            if text == last:
                continue
            last = text
            message = _read(text)
            if message is None:
                logger.warning("Cartesia sent something that cannot be read")
            elif (arrived := await self._arrives(message)) is not None:
                yield json.dumps(arrived)


def _read(text: str | bytes) -> Arrived | None:
    """A message whose parts are what Pipecat 1.14 takes them for; None for anything else."""
    try:
        message = json.loads(text)
        if not isinstance(message, dict):
            return None
        message = cast("Arrived", message)
        if message.get("type") == "chunk":
            b64decode(message["data"], validate=True)
        elif message.get("type") == "timestamps":
            times = message["word_timestamps"]
            [(str(word), float(start)) for word, start in zip(times["words"], times["start"], strict=True)]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return message
