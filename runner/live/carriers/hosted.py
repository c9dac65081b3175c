"""A call that somebody else's server brings: Pipecat's development runner, `pipecat eval`, Pipecat Cloud.

Comes in: the arguments of a session, as those servers hand them to `bot` (`pipecat.runner.types` of Pipecat 1.14; the classes
of the package `pipecatcloud` 1.4 are subclasses of them). Goes out: a call that runs as long as the session.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

from fastapi import WebSocket
from fastapi.websockets import WebSocketState
from loguru import logger
from pipecat.evals.transport import EvalTransportParams
from pipecat.frames.frames import OutputTransportMessageFrame
from pipecat.processors.frameworks.rtvi.models import Error, ErrorData
from pipecat.runner import utils as pipecat_runner
from pipecat.runner.types import (
    DailyRunnerArguments,
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

from runner.definition import AgentDefinition
from runner.live.call import Call
from runner.live.carriers.client_sound import ClientSerializer
from runner.live.carriers.rtvi_client import begin_when_ready, end_when_gone
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard

_VISITOR_COMES_SECS = 300.0
"""How long the agent waits alone in a room. Its link may have to be opened first; Pipecat's own idle time is as long."""

_CLOSED_FOR_A_FAULT = 1011
"""The websocket close code of a server that cannot do what it was asked for (RFC 6455, 7.4.1)."""

_CONNECTED_WITHIN_SECS = 10.0
"""How long a client that is turned away may take to connect and hear so."""

_FLUSH_SECS = 0.2
"""How long the last message may take to be on its way before the connection closes."""

_PHONES = ("twilio", "telnyx", "plivo", "exotel")


class NotCarried(Exception):
    """A kind of session that no agent file can answer; the text says which, for people."""


async def look(session: RunnerArguments) -> None:
    """Learn from the first messages of a websocket who is on it, where the session does not say: a telephony provider, an eval,
    or a client that speaks RTVI. Afterwards `transport_type` and, for the first two, `call_data` are set."""
    if not isinstance(session, WebSocketRunnerArguments) or session.transport_type:
        return
    if await _speaks_frames(session.websocket):
        session.transport_type = "websocket"
        return
    session.transport_type, session.call_data = await pipecat_runner.parse_telephony_websocket(session.websocket)


async def answer(session: RunnerArguments, agent: LiveAgent, switchboard: Switchboard) -> None:
    """Take the session's call and stay until it is over. A session that is cancelled takes its call with it.

    Raises:
        NotCarried: no agent file can answer this kind of session.
    """
    transport, name = await _transport(session, agent.definition)
    call = await switchboard.place(agent, transport, name)
    if isinstance(session, DailyRunnerArguments):
        _wait_in_room(call, transport, session)
    elif name == "phone":
        end_when_gone(call, transport)
        call.await_caller(_VISITOR_COMES_SECS)
        transport.event_handler("on_client_connected")(_beginning(call))
    else:
        begin_when_ready(call, transport)
        end_when_gone(call, transport)
    try:
        await call.over()
    except asyncio.CancelledError:
        await call.cancel("the session was stopped")
        raise


async def turn_away(session: RunnerArguments, why: str) -> None:
    """End a session that has no call. why: what its client may know, a sentence; one that speaks RTVI gets it as an error."""
    told = Error(data=ErrorData(error=why, fatal=True)).model_dump()
    with contextlib.suppress(Exception):  # who is gone meanwhile needs no goodbye
        if isinstance(session, WebSocketRunnerArguments) and session.websocket.client_state == WebSocketState.CONNECTED:
            if session.transport_type == "websocket" and (
                message := await ClientSerializer().serialize(OutputTransportMessageFrame(told))
            ):
                await session.websocket.send_bytes(cast("bytes", message))
            await session.websocket.close(_CLOSED_FOR_A_FAULT, why)
        if isinstance(session, SmallWebRTCRunnerArguments):
            await _turn_away_by_webrtc(session.webrtc_connection, told)


async def _turn_away_by_webrtc(connection: SmallWebRTCConnection, told: dict[str, Any]) -> None:
    await connection.connect()
    connection.send_app_message(told)  # kept until the channel is open
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CONNECTED_WITHIN_SECS):
            while connection._outgoing_messages_queue:  # Pipecat 1.14 has no event for an open channel  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(_FLUSH_SECS)
    await connection.disconnect()


async def _transport(session: RunnerArguments, agent: AgentDefinition) -> tuple[BaseTransport, str]:
    """What carries the session, and its name for people."""
    if isinstance(session, DailyRunnerArguments):
        return await _daily(session, agent), "daily"
    makers: dict[str, Callable[[], TransportParams]] = {
        "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
        "websocket": lambda: FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ClientSerializer(), allowed_origins=[]
        ),
        "eval": lambda: EvalTransportParams(audio_in_enabled=True, audio_out_enabled=True),
        **{
            phone: lambda: FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, allowed_origins=[])
            for phone in _PHONES
        },
    }
    if isinstance(session, WebSocketRunnerArguments):
        kind = session.transport_type or ""
        if kind not in makers:
            raise NotCarried("Nobody known is on the session's websocket: no RTVI client, no telephone, no eval.")
        return await pipecat_runner.create_transport(session, makers), "phone" if kind in _PHONES else kind
    if isinstance(session, SmallWebRTCRunnerArguments):
        return await pipecat_runner.create_transport(session, makers), "web"
    kind = type(session).__name__
    raise NotCarried(f"A session of the kind {kind} brings no caller. There are: WebRTC, Daily, websocket, telephone.")


async def _daily(session: DailyRunnerArguments, agent: AgentDefinition) -> BaseTransport:
    from pipecat.transports.daily.transport import DailyParams

    from runner.live.carriers.daily_transport import RoomTransport

    params = DailyParams(
        audio_in_enabled=True, audio_out_enabled=True, camera_out_enabled=False, transcription_enabled=False
    )
    pipecat_runner._maybe_apply_daily_dialin(params, session.body)  # 1.14 has no public way for another transport
    return RoomTransport(session.room_url, session.token, agent.daily.display_name or agent.name, params)


def _wait_in_room(call: Call, transport: BaseTransport, session: DailyRunnerArguments) -> None:
    """Greet the first participant; end when the last one has left, or when the room does not let the agent in."""
    from runner.live.carriers.daily_rest import Room
    from runner.live.carriers.daily_room import DialIn, RoomCall
    from runner.live.carriers.daily_transport import RoomTransport

    assert isinstance(transport, RoomTransport)
    held = transport.dial_in
    call.await_caller(_VISITOR_COMES_SECS)
    dial_in = DialIn(held.call_id, held.call_domain) if held else None
    RoomCall(call, Room(session.room_url, session.token), dial_in=dial_in).listen(transport)


def _beginning(call: Call) -> Any:
    async def connected(*_: object) -> None:
        task = asyncio.create_task(
            call.begin()
        )  # not awaited: Pipecat 1.14 starts a transport when its handlers have ended
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    return connected


async def _speaks_frames(socket: WebSocket) -> bool:
    """Whether the first message is one of Pipecat's binary frames. It stays there for whoever reads next."""
    first = await socket.receive()
    rest, unread = socket.receive, [first]

    async def receive() -> Any:
        return unread.pop() if unread else await rest()

    socket.receive = receive
    logger.trace("Looked at the first message of a websocket session")
    return first.get("bytes") is not None
