"""Carriers of a call whose client may be gone for a moment and come back, on another connection.

Comes in: a WebRTC connection or a websocket, later another one in its place. The pipeline stays: recogniser, model, voice,
history and stage know nothing of the change. While nobody listens the voice waits (`patient_outputs`) and the ear hears silence.

Pipecat 1.14 can change the peer connection of one page (`restart_pc`), not the page; and a voice that speaks at that moment
waits for ever for the old track to be played.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from fastapi import WebSocket
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import (
    SmallWebRTCClient,
    SmallWebRTCTransport,
)
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from runner.live.carriers.client_sound import ClientSerializer
from runner.live.carriers.patient_outputs import WebRTCOutput, WebsocketOutput

HUNG_UP = 1000
"""A websocket closed on purpose (RFC 6455, 7.4.1)."""

TAKEN_OVER = 4001
"""Our close code for a websocket in whose place another one came."""

_WAIT_SECS = 3600.0
"""More than a call waits for a client that is gone (`limits.wait_for_return`, at most 600 s). Pipecat 1.14 counts the wait as one
write, and gives an output up for good whose write takes too long."""

_FRAME_SECS = 0.02
_LOOK_SECS = 0.5


class Returning(Protocol):
    """A carrier whose client may come back."""

    when_gone: Callable[[float], Awaitable[None]]
    """Set by whoever keeps the call: told that nobody listens, and for how many seconds already."""

    when_changing: Callable[[], Awaitable[None]]
    """Told that another connection takes the place of the one of now."""

    when_there: Callable[[], Awaitable[None]]
    """Told that a client is connected again."""

    when_hung_up: Callable[[], Awaitable[None]]
    """Told that the client has left on purpose."""

    def hold(self, lost: float) -> None:
        """Nobody listens, and has not for `lost` seconds: the voice waits."""
        ...

    def release(self) -> None:
        """Somebody listens."""
        ...

    def close(self) -> None:
        """The call is over."""
        ...


class _Silence:
    """What the ear hears while nobody is there, so that what was begun to be said finds its end."""

    def __init__(self, input_: BaseInputTransport) -> None:
        self._input = input_
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._sound())

    def end(self) -> None:
        if self._task:
            self._task.cancel()
        self._task = None

    async def _sound(self) -> None:
        rate = self._input.sample_rate
        frame = InputAudioRawFrame(bytes(2 * int(rate * _FRAME_SECS)), rate, 1)
        due = time.monotonic()
        while True:
            await self._input.push_audio_frame(frame)
            due += _FRAME_SECS
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class ReturningWebsocket(FastAPIWebsocketTransport):
    """An RTVI client on a websocket, and after `change` on another one."""

    def __init__(self, socket: WebSocket) -> None:
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_write_timeout_secs=_WAIT_SECS,
            audio_out_end_silence_secs=0,  # sent in one piece and not waited for; the output waits instead
            serializer=ClientSerializer(),
            allowed_origins=[],
        )
        super().__init__(socket, params)
        self._patient = WebsocketOutput(self, self._client, self._params, name=self._output_name)
        self._output = self._patient
        self._silence = _Silence(self._input)
        self._replaced = asyncio.Event()
        self.when_gone: Callable[[float], Awaitable[None]] = _nothing
        self.when_changing: Callable[[], Awaitable[None]] = _nothing
        self.when_there: Callable[[], Awaitable[None]] = _nothing
        self.when_hung_up: Callable[[], Awaitable[None]] = _nothing
        self.close_code: int | None = None
        _tell_close_code(socket, self._take_code)
        self.event_handler("on_client_disconnected")(self._gone)

    async def change(self, socket: WebSocket) -> None:
        """Go on with another socket, which is accepted. The one of before is closed."""
        await self.when_changing()
        task = cast("asyncio.Task[None] | None", self._input._receive_task)
        self._input._receive_task = None
        if task:
            await self._input.cancel_task(task)
        before, self._client._websocket = self._client._websocket, socket
        replaced, self._replaced = self._replaced, asyncio.Event()
        replaced.set()
        self.close_code = None
        _tell_close_code(socket, self._take_code)
        with contextlib.suppress(Exception):  # it is gone in most cases
            await asyncio.wait_for(before.close(TAKEN_OVER, "The call goes on elsewhere."), 1)
        self._input._receive_task = self._input.create_task(self._input._receive_messages())
        await self.when_there()

    async def replaced(self) -> None:
        """Until another socket is there in place of the one of now."""
        await self._replaced.wait()

    def hold(self, lost: float) -> None:
        self._patient.patience.lost = lost
        self._patient.patience.there.clear()
        self._silence.begin()

    def release(self) -> None:
        self._silence.end()
        self._patient.patience.there.set()

    def close(self) -> None:
        """The call is over."""
        self._silence.end()

    def _take_code(self, code: int) -> None:
        self.close_code = code

    async def _gone(self, *_: object) -> None:
        await (self.when_hung_up() if self.close_code == HUNG_UP else self.when_gone(0.0))


class ReturningWebRTC(SmallWebRTCTransport):
    """An RTVI client on a WebRTC connection, and after `change` on another one."""

    def __init__(self, connection: SmallWebRTCConnection) -> None:
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_write_timeout_secs=_WAIT_SECS)
        super().__init__(connection, params)
        self._setup: FrameProcessorSetup | None = None
        self._patient = WebRTCOutput(self._client, self._params, name=self._output_name)
        self._output = self._patient
        self._silence = _Silence(self.input())
        self._watching: asyncio.Task[None] | None = None
        self.when_gone: Callable[[float], Awaitable[None]] = _nothing
        self.when_changing: Callable[[], Awaitable[None]] = _nothing
        self.when_there: Callable[[], Awaitable[None]] = _nothing
        self.when_hung_up: Callable[[], Awaitable[None]] = _nothing
        self.event_handler("on_client_connected")(self._there)
        self.event_handler("on_client_disconnected")(self._gone)
        self._listen_to(connection)
        _remember_setup(self)

    async def change(self, connection: SmallWebRTCConnection) -> None:
        """Go on with another connection. The one of before is closed."""
        await self.when_changing()
        before = self._client
        before._closing = True  # it tells nobody that it is closed
        client = SmallWebRTCClient(connection, self._callbacks)
        self._listen_to(connection)
        ears, mouth = self.input(), self._patient
        if ears._receive_audio_task:
            await ears.cancel_task(ears._receive_audio_task)
        self._client = ears._client = mouth._client = client
        with contextlib.suppress(Exception):  # it is gone in most cases
            await before._webrtc_connection.disconnect()
        if self._setup is None:
            return  # the pipeline has not begun and sets it up itself
        await client.setup(self._params, self._setup)
        for _ in (ears, mouth):  # each of them takes hold of it once, as when it is set up (Pipecat 1.14)
            await client.connect()
        ears._receive_audio_task = ears.create_task(ears._receive_audio())

    def hold(self, lost: float) -> None:
        self._patient.patience.lost = lost
        self._patient.patience.there.clear()
        self._patient.let_go()
        self._silence.begin()

    def release(self) -> None:
        self._silence.end()
        self._patient.patience.there.set()

    def close(self) -> None:
        """The call is over."""
        self._silence.end()
        if self._watching:
            self._watching.cancel()

    def _listen_to(self, connection: SmallWebRTCConnection) -> None:
        async def restarted(_: object) -> None:
            await self.when_changing()

        connection.event_handler("disconnected")(restarted)  # Pipecat's own change of the peer connection of one page

    async def _there(self, *_: object) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        await self.when_there()

    async def _gone(self, *_: object) -> None:
        await self.when_gone(0.0)

    async def _watch(self) -> None:
        """Notice a client that falls silent without leaving. Pipecat 1.14 knows it three seconds after the last ping, and tells
        nobody."""
        there = True
        while True:
            await asyncio.sleep(_LOOK_SECS)
            now = self._client.is_connected
            if there and not now and not self._client.is_closing:
                await self.when_gone(3.0)
            elif now and not there:
                await self.when_there()
            there = now


def _remember_setup(transport: ReturningWebRTC) -> None:
    """A client that comes later needs what the first was set up with."""
    mouth = transport._patient
    set_up = mouth.setup

    async def setup(setup: FrameProcessorSetup) -> None:
        transport._setup = setup
        await set_up(setup)

    mouth.setup = setup  # pyright: ignore[reportAttributeAccessIssue]


def _tell_close_code(socket: WebSocket, tell: Callable[[int], None]) -> None:
    """Pipecat 1.14 drops it, and it says whether a caller hung up or was cut off."""
    receive = socket.receive

    async def receive_and_tell() -> Any:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            tell(int(cast("Any", message.get("code")) or 1005))
        return message

    socket.receive = receive_and_tell


async def _nothing(*_: object) -> None:
    pass
