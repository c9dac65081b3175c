"""The call of one telephone stream: its transport at the carrier's rate, from the open line to the hang-up.

Comes in: a websocket whose first messages are read, and what they said. Goes out: a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from fastapi import WebSocket
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport

from runner.catalog import CALLED, CALLER
from runner.live.admission import Admission
from runner.live.call import Call
from runner.live.carriers.phone.streams import Happenings, PhoneSerializer, PhoneStream, serializer_for
from runner.live.line import Line
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard

_EXOTEL_10MS_CHUNKS = 20
"""Exotel plays sound in pieces of 3200 bytes at least (its Voicebot applet's documentation), 200 ms of 8 kHz."""


async def take_stream(
    socket: WebSocket,
    stream: PhoneStream,
    agent: LiveAgent,
    switchboard: Switchboard,
    values: Mapping[str, str],
    *,
    admission: Admission | None = None,
) -> tuple[Call, str]:
    """Take the call of a stream. values: the environment, for what hangs up at the carrier.

    Returns the call, and a sentence when the carrier cannot be told to hang up.

    Raises:
        NotAdmitted: the limit of calls is reached.
    """
    inner, cannot_hang_up = serializer_for(stream, values)
    serializer = PhoneSerializer(inner, stream, socket)
    transport = FastAPIWebsocketTransport(
        websocket=socket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=_EXOTEL_10MS_CHUNKS if stream.carrier == "exotel" else 4,
            audio_out_end_silence_secs=0,  # sent in one piece and not waited for; the serializer waits instead
            serializer=serializer,
            allowed_origins=[],
        ),
    )
    line = Line(stream.rate, {CALLER: stream.caller, CALLED: stream.called})
    call = await switchboard.place(agent, transport, stream.name, admission=admission, line=line)
    _follow(call, transport, serializer)
    return call, cannot_hang_up


def _follow(call: Call, transport: FastAPIWebsocketTransport, serializer: PhoneSerializer) -> None:
    """Begin when the line is open, end when the caller hangs up."""
    tasks: set[asyncio.Task[None]] = set()

    def start(work: Coroutine[Any, Any, None]) -> None:
        # Not awaited where it happens: Pipecat 1.14 ends a transport only when its handlers have ended.
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def stopped(reason: str) -> None:
        start(call.cancel(f"the caller hung up ({reason})" if reason else "the caller hung up"))

    serializer.happenings = Happenings(stopped, call.tell_trouble)

    @transport.event_handler("on_client_connected")
    async def connected(*_: object) -> None:
        start(call.begin())

    @transport.event_handler("on_client_disconnected")
    async def gone(*_: object) -> None:
        start(call.cancel("the caller hung up"))
