"""Telephone calls: `/ws/AGENT` takes the sound, `POST /phone/AGENT` tells Twilio, Telnyx and Plivo to connect a call to it.

Comes in: carriers' requests. Goes out: calls to the switchboard. Everything runs at the carrier's rate, 8 kHz from end to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from loguru import logger

from runner.live.access import Access
from runner.live.admission import Admission, NotAdmitted
from runner.live.call import Call
from runner.live.carriers.phone.answers import busy, connect, whose_webhook
from runner.live.carriers.phone.call import take_stream
from runner.live.carriers.phone.proofs import Asked, PhoneDoor
from runner.live.carriers.phone.streams import (
    NoPhone,
    PhoneStream,
    opening,
)
from runner.live.reload import Agents, LiveAgent
from runner.live.switchboard import Switchboard

_BODY_BYTES = 65_536

_POLICY = 1008
"""The websocket close code for who is none of ours (RFC 6455)."""


def phone_routes(
    agents: Agents,
    switchboard: Switchboard,
    access: Access,
) -> APIRouter:
    """The routes of telephone carriers. Their secrets are read from the environment as it is when they are needed."""
    router = APIRouter()

    def values() -> Mapping[str, str]:
        return switchboard.environment.values

    door = PhoneDoor(access, values)
    told: set[str] = set()

    def refused(asked: Asked, name: str, given: str | None = None) -> JSONResponse | None:
        why = door.refuse(asked, name, given)
        if why:
            logger.error(f"A telephone call to agent {name!r} was refused: {why}")
            return JSONResponse({"detail": why}, 403)
        if agents.named(name) is None:
            return JSONResponse({"detail": f"There is no agent {name!r}."}, 404)
        return None

    @router.api_route("/phone/{name}", methods=["GET", "POST"])
    async def answer(request: Request, name: str) -> Response:
        asked = await _asked(request)
        if refusal := refused(asked, name):
            return refusal
        fields = dict(asked.fields or parse_qsl(asked.query))
        carrier = whose_webhook(asked.headers, fields)
        if carrier is None:
            raise HTTPException(
                422, "This is asked by Twilio, Telnyx or Plivo. Exotel is given the address of /ws/... itself."
            )
        try:
            with switchboard.admit():
                address = door.address(asked.headers)
        except NotAdmitted as why:
            logger.error(f"A telephone call to agent {name!r} hears the busy tone: {why}")
            return Response(busy(carrier), media_type="application/xml")
        url = f"ws{address.removeprefix('http')}/ws/{quote(name)}/{door.tickets.issue(name)}"
        numbers = {"from_number": fields.get("From", ""), "to_number": fields.get("To", "")}
        facts = {key: number for key, number in numbers.items() if number}
        return Response(
            connect(carrier, url, f"{address}/phone/{quote(name)}/status", facts), media_type="application/xml"
        )

    @router.api_route("/phone/{name}/status", methods=["GET", "POST"])
    async def status(request: Request, name: str) -> Response:
        asked = await _asked(request)
        if refusal := refused(asked, name):
            return refusal
        fields = dict(asked.fields or parse_qsl(asked.query))
        happened = fields.get("StreamEvent") or fields.get("CallStatus") or fields.get("Event") or "nothing known"
        why = fields.get("StreamError") or fields.get("StatusReason") or ""
        failed = why or any(word in happened.lower() for word in ("fail", "error"))
        logger.log(
            "ERROR" if failed else "DEBUG", f"The carrier of a call to agent {name!r} tells: {happened} {why}".rstrip()
        )
        return Response(status_code=204)

    @router.websocket("/ws/{name}")
    async def ring(socket: WebSocket, name: str) -> None:
        await _ring(socket, name, None)

    @router.websocket("/ws/{name}/{given}")
    async def ring_with_token(socket: WebSocket, name: str, given: str) -> None:
        await _ring(socket, name, given)

    async def _ring(socket: WebSocket, name: str, given: str | None) -> None:
        path = socket.scope.get("raw_path", socket.url.path.encode()).decode("ascii", "replace")
        asked = Asked("GET", path, socket.url.query, socket.headers, is_socket=True)
        refusal, agent = refused(asked, name, given), agents.named(name)
        if refusal or agent is None:
            await socket.send_denial_response(refusal or JSONResponse({}, 404))
            return
        with switchboard.admit() as admission:
            await socket.accept()
            try:
                stream = await opening(socket)
            except NoPhone as why:
                logger.error(f"Somebody who called agent {name!r} by /ws/ was dropped: it {why}.")
                await socket.close(_POLICY, "no telephone carrier")
                return
            call = await _take(socket, stream, agent, admission)
        await call.over()

    async def _take(socket: WebSocket, stream: PhoneStream, agent: LiveAgent, admission: Admission) -> Call:
        call, cannot_hang_up = await take_stream(socket, stream, agent, switchboard, values(), admission=admission)
        if cannot_hang_up and stream.carrier not in told:
            told.add(stream.carrier)
            call.tell_trouble(cannot_hang_up)
        return call

    return router


async def _asked(request: Request) -> Asked:
    """The request with its form, which carriers send as `application/x-www-form-urlencoded`."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise HTTPException(413, "This is more than a carrier sends.")
    path = request.scope.get("raw_path", request.url.path.encode()).decode("ascii", "replace")
    method = "POST" if request.method == "POST" else "GET"
    fields = tuple(parse_qsl(body.decode(errors="replace"), keep_blank_values=True)) if method == "POST" else ()
    return Asked(method, path, request.url.query, request.headers, body, fields)
