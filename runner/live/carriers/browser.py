"""Calls of the page and of every other client that speaks RTVI: WebRTC offers, websockets, and the way back to a call.

Comes in: requests. Goes out: calls to the switchboard. `?call=KEY` with a key that the client made by chance lets it come back
to the call with the same key, `?back=KEY` says that it wants nothing else. Who does not know the key of a call cannot take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import APIRouter, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from runner.live.access import Access
from runner.live.admission import NotAdmitted
from runner.live.away import Away
from runner.live.call import Call
from runner.live.carriers.returning import ReturningWebRTC, ReturningWebsocket
from runner.live.carriers.rtvi_client import begin_when_ready
from runner.live.line import Line
from runner.live.reload import Agents, LiveAgent
from runner.live.session_body import BadBody, Wish, check_variables, read_wish
from runner.live.switchboard import Switchboard

_PIN_TAKES = "pin takes 1 (keep the version the call begins with) or 0."
_KEY_TAKES = "call and back take a key made by chance: 22 to 128 letters, digits, - and _."
_KEY = re.compile(r"[\w-]{22,128}", re.ASCII)
_IS_OVER = "that call is over"
_CAME_OTHERWISE = "That call came another way, and can only be gone on with in that way."
_REMEMBERED = 1000

Carrier = ReturningWebRTC | ReturningWebsocket


@dataclass(slots=True)
class _Guest:
    """A call and what carries it."""

    call: Call
    carrier: Carrier
    away: Away
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Guests:
    """The calls that their clients can come back to, by key."""

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}
        self._over: dict[str, str] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    def take(self, key: str, guest: _Guest) -> None:
        async def forget() -> None:
            await guest.call.over()
            if self._guests.pop(key, None):
                self._over[key] = guest.call.reason
            while len(self._over) > _REMEMBERED:
                del self._over[next(iter(self._over))]

        self._guests[key] = guest
        self._forgetting.add(task := asyncio.create_task(forget()))
        task.add_done_callback(self._forgetting.discard)

    def find(self, query: Mapping[str, str]) -> _Guest | None:
        """The call that a request goes on with, None for a new one.

        Raises:
            HTTPException: the key is none, or the call is over.
        """
        key = query.get("back", query.get("call"))
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise HTTPException(422, _KEY_TAKES)
        guest = self._guests.get(key)
        if guest is None and ("back" in query or key in self._over):
            raise HTTPException(410, self._over.get(key, _IS_OVER))
        return guest


def browser_routes(agents: Agents, switchboard: Switchboard, access: Access) -> APIRouter:
    """`/api/offer`, `/ws-client/AGENT`; `/api/calls`, by which a client asks whether there is a place for a call (204, or 503 and
    why not); and `/api/calls/KEY`, by which it asks whether its call goes on (204, or 410 and why not) or hangs up (DELETE).
    `access` decides about websockets here; about requests it has decided before."""
    routes = APIRouter()
    webrtc = SmallWebRTCRequestHandler()
    guests = _Guests()

    async def place(agent: LiveAgent, carrier: Carrier, name: str, wanted: _Wanted, admission: Any) -> _Guest:
        line = Line(given=wanted.wish.variables)
        call = await switchboard.place(agent, carrier, name, pinned=wanted.pinned, admission=admission, line=line)
        guest = _Guest(call, carrier, Away(call, carrier, waits=wanted.key is not None))
        begin_when_ready(call, carrier)
        if wanted.key:
            guests.take(wanted.key, guest)
        return guest

    @routes.post("/api/offer")
    async def offer(request: Request) -> dict[str, str] | None:
        body = await json_of(request)
        try:
            offered = SmallWebRTCRequest.from_dict(body)
            if "m=" not in offered.sdp:  # no sound in either direction: it would be a call that nobody comes to
                raise TypeError
        except TypeError:
            raise HTTPException(422, "A WebRTC offer needs sdp and type.") from None
        if guest := guests.find(request.query_params):
            carrier = guest.carrier
            if not isinstance(carrier, ReturningWebRTC):
                raise HTTPException(409, _CAME_OTHERWISE)

            async def another(connection: SmallWebRTCConnection) -> None:
                async with guest.changing:
                    await carrier.change(connection)

            return await webrtc.handle_web_request(offered, another)

        wanted = _Wanted.of(request.query_params, offered.request_data)
        agent = agent_named(agents, request.query_params.get("agent") or wanted.wish.name)
        await has_variables(agent, wanted.wish)
        with contextlib.ExitStack() as stack:
            goes_on = offered.pc_id in webrtc._pcs_map  # a call that runs (Pipecat 1.14)
            admission = None if goes_on else stack.enter_context(switchboard.admit())

            async def connected(connection: SmallWebRTCConnection) -> None:
                await place(agent, ReturningWebRTC(connection), "web", wanted, admission)

            return await webrtc.handle_web_request(offered, connected)

    @routes.patch("/api/offer")
    async def candidates(request: Request) -> dict[str, str]:
        body = await json_of(request)
        try:
            found = [IceCandidate(**candidate) for candidate in body.get("candidates", [])]
            await webrtc.handle_patch_request(SmallWebRTCPatchRequest(pc_id=body["pc_id"], candidates=found))
        except (KeyError, TypeError):
            raise HTTPException(422, "ICE candidates need pc_id and candidates.") from None
        return {"status": "success"}

    @routes.websocket("/ws-client/{name}")
    async def rtvi_client(socket: WebSocket, name: str) -> None:
        refusal = access.refuse(socket.headers, socket.query_params.get("token"), path=socket.url.path)
        try:
            if refusal:
                raise HTTPException(403, refusal)
            if guest := guests.find(socket.query_params):
                carrier = guest.carrier
                if not isinstance(carrier, ReturningWebsocket):
                    raise HTTPException(409, _CAME_OTHERWISE)
                await socket.accept()
                async with guest.changing:
                    await carrier.change(socket)
            else:
                agent = agents.named(name)
                if agent is None:
                    raise HTTPException(403, f"There is no agent {name!r}.")
                wanted = _Wanted.of(socket.query_params, None)
                with switchboard.admit() as admission:
                    await socket.accept()
                    carrier = ReturningWebsocket(socket)
                    guest = await place(agent, carrier, "websocket", wanted, admission)
        except HTTPException as error:
            await socket.send_denial_response(JSONResponse({"detail": error.detail}, status_code=error.status_code))
            return
        await _first(guest.call.over(), carrier.replaced())

    @routes.get("/api/calls")
    async def has_a_place() -> Response:
        """A browser is not told why its websocket was refused."""
        if why := switchboard.gate.why_not():
            raise NotAdmitted(why)
        return Response(status_code=204)

    @routes.get("/api/calls/{key}")
    async def goes_on(key: str) -> Response:
        guests.find({"back": key})
        return Response(status_code=204)

    @routes.delete("/api/calls/{key}")
    async def hang_up(key: str) -> Response:
        if guest := guests.find({"back": key}):
            await guest.away.hang_up()
        return Response(status_code=204)

    return routes


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a client asks for with its call. key: it may come back with it; None: it does not come back. wish: of the data that
    comes with a WebRTC offer."""

    pinned: bool
    key: str | None
    wish: Wish

    @classmethod
    def of(cls, query: Mapping[str, str], data: object) -> _Wanted:
        body = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        pinned = _wants_pin(query.get("pin", body.get("pin")))
        if pinned is None:
            raise HTTPException(422, _PIN_TAKES)
        return cls(pinned, query.get("call"), wish_of(body, besides=("pin",)))


def agent_named(agents: Agents, name: str | None) -> LiveAgent:
    """The agent that a request asks for.

    Raises:
        HTTPException: there is none of that name, or none was named and there are several.
    """
    agent = agents.named(name)
    if agent is None:
        known = ", ".join(a.name for a in agents)
        raise HTTPException(404, f"There is no agent {name!r}. There are: {known}." if name else f"Say which: {known}.")
    return agent


def wish_of(body: Mapping[str, Any], *, besides: Collection[str]) -> Wish:
    """What a body asks of the call (`read_wish`).

    Raises:
        HTTPException: 400, it asks in a way that means nothing, or for what there is not.
    """
    try:
        wish = read_wish(body, besides=besides)
    except BadBody as why:
        raise HTTPException(400, str(why)) from None
    if wish.unknown:
        raise HTTPException(400, wish.unknown)
    return wish


async def has_variables(agent: LiveAgent, wish: Wish) -> None:
    """See to it that a call of `agent` can run with the wish's variables.

    Raises:
        HTTPException: 400, it cannot.
    """
    try:
        await asyncio.to_thread(check_variables, agent.definition, wish.variables)
    except BadBody as why:
        raise HTTPException(400, str(why)) from None


async def json_of(request: Request) -> dict[str, Any]:
    """The body of a request.

    Raises:
        HTTPException: it is not JSON, or no group of names and values.
    """
    try:
        body = await request.json()
    except ValueError:
        raise HTTPException(400, "The request's body is not JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The request's body is not a JSON object.")
    return cast("dict[str, Any]", body)


async def _first(*work: Any) -> None:
    """Until one of these is done."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _wants_pin(asked: object) -> bool | None:
    """Whether a call asks to keep its version: `1` and `0` and the words for them; None for anything else."""
    if asked is None or isinstance(asked, bool):
        return bool(asked)
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words.get(str(asked).strip().lower())
