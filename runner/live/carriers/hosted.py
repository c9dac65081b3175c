"""A call that somebody else's server brings: Pipecat's development runner, `pipecat eval`, Pipecat Cloud.

Comes in: the arguments of a session, as those servers hand them to `bot` (`pipecat.runner.types` of Pipecat 1.14; the classes
of the package `pipecatcloud` 1.4 are subclasses of them). Goes out: a call that runs as long as the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, cast

from fastapi import WebSocket
from fastapi.websockets import WebSocketState
from loguru import logger
from pipecat.frames.frames import OutputTransportMessageFrame
from pipecat.processors.frameworks.rtvi.models import Error, ErrorData
from pipecat.runner import utils as pipecat_runner
from pipecat.runner.types import (
    DailyDialinRequest,
    DailyRunnerArguments,
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

from runner.live.call import Call
from runner.live.carriers.client_sound import ClientSerializer
from runner.live.carriers.phone.call import take_stream
from runner.live.carriers.phone.streams import NoPhone, PhoneStream, opening
from runner.live.carriers.rtvi_client import begin_when_ready, end_when_gone
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard

_CLOSED_FOR_A_FAULT = 1011
"""The websocket close code of a server that cannot do what it was asked for (RFC 6455, 7.4.1)."""

_CONNECTED_WITHIN_SECS = 10.0
"""How long a client that is turned away may take to connect and hear so."""

_FLUSH_SECS = 0.2
"""How long the last message may take to be on its way before the connection closes."""


class NotCarried(Exception):
    """A kind of session that no agent file can answer; the text says which, for people."""


async def look(session: RunnerArguments) -> PhoneStream | None:
    """Learn from the first messages of a websocket who is on it, where the session does not say: a telephone's carrier, an eval,
    or a client that speaks RTVI. Afterwards `transport_type` is set. Returns a carrier's stream.

    Raises:
        NotCarried: it is nobody known.
    """
    if not isinstance(session, WebSocketRunnerArguments) or session.transport_type:
        return None
    first = await _first_message(session.websocket)
    if first.get("bytes") is not None:
        session.transport_type = "websocket"
    elif _is_eval(first.get("text")):
        session.transport_type, session.call_data = await pipecat_runner.parse_telephony_websocket(session.websocket)
    else:
        try:
            stream = await opening(session.websocket)
        except NoPhone as why:
            raise NotCarried(f"Who is on the session's websocket {why}.") from None
        session.transport_type = stream.carrier
        return stream
    return None


async def answer(
    session: RunnerArguments, stream: PhoneStream | None, agent: LiveAgent, switchboard: Switchboard
) -> None:
    """Take the session's call and stay until it is over. A session that is cancelled takes its call with it.

    stream: what `look` returned.

    Raises:
        NotCarried: no agent file can answer this kind of session.
    """
    call = await _call(session, stream, agent, switchboard)
    try:
        await call.over()
    except asyncio.CancelledError:
        await call.cancel("the session was stopped")
        raise


async def _call(
    session: RunnerArguments, stream: PhoneStream | None, agent: LiveAgent, switchboard: Switchboard
) -> Call:
    if isinstance(session, DailyRunnerArguments):
        return await _daily(session, agent, switchboard)
    if stream and isinstance(session, WebSocketRunnerArguments):
        values = switchboard.environment.values
        call, cannot_hang_up = await take_stream(session.websocket, stream, agent, switchboard, values)
        if cannot_hang_up:
            call.tell_trouble(cannot_hang_up)
        return call
    transport, name = await _transport(session)
    call = await switchboard.place(agent, transport, name)
    begin_when_ready(call, transport)
    end_when_gone(call, transport)
    return call


async def turn_away(session: RunnerArguments, why: str) -> None:
    """End a session that has no call. why: what its client may know, a sentence; one that speaks RTVI gets it as an error."""
    told = Error(data=ErrorData(error=why, fatal=True)).model_dump()
    told["data"]["message"] = why  # what client-js 1.13 calls it; Pipecat 1.14 says `error`
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


async def _transport(session: RunnerArguments) -> tuple[BaseTransport, str]:
    """What carries a session of a client that speaks RTVI, and its name for people."""
    makers: dict[str, Callable[[], TransportParams]] = {
        "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
        "websocket": lambda: FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ClientSerializer(), allowed_origins=[]
        ),
        "eval": _eval_params,
    }
    if isinstance(session, WebSocketRunnerArguments):
        kind = session.transport_type or ""
        if kind not in makers:
            raise NotCarried(f"A websocket of the kind {kind!r} brings no caller.")
        return await pipecat_runner.create_transport(session, makers), kind
    if isinstance(session, SmallWebRTCRunnerArguments):
        return await pipecat_runner.create_transport(session, makers), "web"
    kind = type(session).__name__
    raise NotCarried(f"A session of the kind {kind} brings no caller. There are: WebRTC, Daily, websocket, telephone.")


async def _daily(session: DailyRunnerArguments, agent: LiveAgent, switchboard: Switchboard) -> Call:
    from runner.live.carriers.daily.rest import DailyRest, Room
    from runner.live.carriers.daily.room import DialIn, take

    dial_in = rest = None
    if isinstance(session.body, DailyDialinRequest):
        asked = session.body
    else:
        body = cast("object", session.body)
        asked = (
            DailyDialinRequest.model_validate(body) if isinstance(body, dict) and "dialin_settings" in body else None
        )
    if asked:
        said = asked.dialin_settings
        dial_in = DialIn(said.call_id, said.call_domain, said.From or "", said.To or "")
        rest = DailyRest(asked.daily_api_key, asked.daily_api_url)
    room = Room(session.room_url, session.token)
    return (await take(agent, switchboard, room, rest=rest, dial_in=dial_in, tell=logger.info)).call


async def _first_message(socket: WebSocket) -> dict[str, Any]:
    """The first message of a websocket. It stays there for whoever reads next."""
    first = cast("dict[str, Any]", await socket.receive())
    rest, unread = socket.receive, [first]

    async def receive() -> Any:
        return unread.pop() if unread else await rest()

    socket.receive = receive
    return first


def _is_eval(text: str | None) -> bool:
    """Whether a message is the first one of `pipecat eval`. What knows it is imported for a message that may be it."""
    with contextlib.suppress(ValueError):
        message = json.loads(text or "")
        if isinstance(message, dict) and cast("dict[str, Any]", message).get("type") == "client-message":
            from pipecat.evals.serializer import parse_eval_connect

            return parse_eval_connect(message) is not None
    return False


def _eval_params() -> TransportParams:
    from pipecat.evals.transport import EvalTransportParams

    return EvalTransportParams(audio_in_enabled=True, audio_out_enabled=True)
