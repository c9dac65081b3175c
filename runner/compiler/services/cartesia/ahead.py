"""Cartesia's voice, able to speak a written line before it is known whether the line will be said.

Comes in: a line and the settings it would be said with. Goes out: nothing, until the line is really said; then the sound that is
already here, at once, on the way that every sentence takes (transcript, interruption, metrics). The line is spoken in a context
of its own. It is used only for the very message that would be sent now: same text, voice, model, language, speed and sound
format; anything else that is said first, and an interruption, drops it. One unsaid line is kept at a time.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pipecat.frames.frames import Frame, InterruptionFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.settings import TTSSettings
from websockets import ConnectionClosed, State

from runner.compiler.services.cartesia.steady import CartesiaSteady, Saying, Sentence


@dataclass(slots=True)
class _Line:
    """A line spoken ahead.

    context:  the vendor's context it is spoken in.
    message:  what was sent for it.
    kept:     what came back and was not heard yet.
    said_as:  the context it is said in, "" as long as it is not said.
    playing:  whether what comes is heard at once: all that was kept is out.
    complete: whether the vendor has sent all of it.
    """

    context: str
    message: str
    kept: deque[str] = field(default_factory=deque[str])
    said_as: str = ""
    playing: bool = False
    complete: bool = False


_KEPT: ContextVar[_Line | None] = ContextVar("kept", default=None)
"""The line whose kept messages the present task puts on the way of those that come from the vendor."""


class CartesiaAhead(CartesiaSteady):
    """The service of one call. Without `speak_ahead` it does nothing else than `CartesiaSteady`."""

    _written = False

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._unsaid: _Line | None = None
        self._said: dict[str, _Line] = {}

    async def speak_ahead(self, text: str, delta: TTSSettings | None) -> None:
        """Begin to speak `text`, which may soon be said by a `TTSSpeakFrame`, with the settings as `delta` will change them.

        A connection that is not open just now, and a vendor that refuses, are no error: the line is then spoken when it is
        said.
        """
        await self._drop()
        socket = cast(Any, self._websocket)
        if not self.is_usable or socket is None or socket.state is not State.OPEN:
            return
        then = replace(self._settings, extra=dict(self._settings.extra))
        if delta:
            then.apply_update(cast(CartesiaTTSService.Settings, delta))
        now, context = self._settings, str(uuid.uuid4())
        self._settings = then
        try:
            message = self._build_msg(text=self._prepare_text_for_tts(text), context_id=context)
            end = self._build_msg(text="", continue_transcript=False, context_id=context)
        finally:
            self._settings = now
        with suppress(ConnectionClosed):
            self._unsaid = _Line(context, message)
            await socket.send(message)
            await socket.send(end)
            await self.start_tts_usage_metrics(text)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            await self._drop()
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        line = self._unsaid
        if line and self._written and self._build_msg(text=text, context_id=line.context) == line.message:
            line.said_as, self._unsaid, self._said[context_id] = context_id, None, line
            if not line.complete:
                self._owe(line)
            yield None
            return
        await self._drop()
        async for frame in super().run_tts(text, context_id):
            yield frame

    async def _handle_tts_speak(self, frame: TTSSpeakFrame) -> None:
        self._written = True
        try:
            await super()._handle_tts_speak(frame)
        finally:
            self._written = False
        for line in [line for line in self._said.values() if not line.playing]:
            token = _KEPT.set(line)
            try:
                await self._process_messages()
            finally:
                _KEPT.reset(token)

    async def flush_audio(self, context_id: str | None = None) -> None:
        """The end of a line spoken ahead was sent with it."""
        if (context_id or self.get_active_audio_context_id()) not in self._said:
            await super().flush_audio(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        line = self._said.pop(context_id, None)
        if line and line.complete:  # the vendor has forgotten it
            await self.stop_all_metrics()
        else:
            await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        self._said.pop(context_id, None)
        await super().on_audio_context_completed(context_id)

    async def _close_connection_contexts(self) -> None:
        self._unsaid = None
        await super()._close_connection_contexts()

    async def _come_back(self, fault: Exception | None) -> bool:
        self._unsaid = None
        return await super()._come_back(fault)

    def _owe(self, line: _Line) -> None:
        """From now on the rest of the line has to come like that of any sentence."""
        end = self._build_msg(text="", continue_transcript=False, context_id=line.context)
        saying = Saying(line.said_as, line.context, end=json.loads(end))
        saying.left.append(Sentence(json.loads(line.message)))
        for text in line.kept:
            self._count(saying, json.loads(text))
        self._saying[line.said_as] = saying
        self._watch_over()

    def _named(self, saying: Saying) -> str:
        """A line keeps its name until its beginning, which was kept, is out."""
        here = any(line.context == saying.vendor for line in self._said.values())
        return saying.vendor if here else super()._named(saying)

    async def _take_error(self, message: dict[str, Any]) -> None:
        about = message.get("context_id")
        if self._unsaid and about == self._unsaid.context:
            self._unsaid = None
            return
        await super()._take_error(message)

    def _get_websocket(self) -> Any:
        """Where messages come from, and go to."""
        line = _KEPT.get()
        return _Kept(line) if line else _Coming(super()._get_websocket(), self)

    def arrived(self, text: str) -> str | None:
        """A message of the vendor as Pipecat is to see it, None when it is kept for later."""
        for line in (*((self._unsaid,) if self._unsaid else ()), *self._said.values()):
            if line.context in text:
                line.complete = json.loads(text)["type"] == "done"
                if line.playing:
                    return text.replace(line.context, line.said_as)
                line.kept.append(text)
                return None
        return text

    async def _drop(self) -> None:
        """Forget the line that nobody has said."""
        line, self._unsaid = self._unsaid, None
        if line:
            await self._stop_speaking(line)

    async def _stop_speaking(self, line: _Line) -> None:
        if not line.complete and self._websocket:
            with suppress(ConnectionClosed):
                await self._websocket.send(json.dumps({"context_id": line.context, "cancel": True}))


class _Kept:
    """What was kept of a line, as if it came from the vendor now. What comes after it is heard as it comes."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    async def __aiter__(self) -> AsyncIterator[str]:
        line = self._line
        while line.kept:
            yield line.kept.popleft().replace(line.context, line.said_as)
        line.playing = True


class _Coming:
    """The socket without the messages that are kept."""

    def __init__(self, socket: Any, voice: CartesiaAhead) -> None:
        self._socket = socket
        self._voice = voice

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def __aiter__(self) -> AsyncIterator[str]:
        async for text in self._socket:
            if (arrived := self._voice.arrived(text)) is not None:
                yield arrived
