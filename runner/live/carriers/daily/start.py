"""`POST /start`: a visitor gets a room and a token for it, and an agent that waits there. Optionally the agent calls somebody.

Comes in: what Pipecat's clients send, `{"createDailyRoom": true, "body": {...}}` (Pipecat 1.14, `pipecat.runner.run`; RTVI's
`startBot`); what `body` may say of the call is read as for `bot()` (`live/session_body.py`). Goes out:
`{"dailyRoom": ..., "dailyToken": ..., "sessionId": ...}`. Unlike there the room is private, the token has no owner's rights, and
what a visitor may choose of it is little. With `"createDailyRoom": false` the answer says where this server takes WebRTC offers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from loguru import logger

from runner.definition import AgentDefinition
from runner.live.carriers.browser import agent_named, has_variables, wish_of
from runner.live.carriers.daily.rest import DailyKeyMissing, DailyRefused, DailyRest, Guest
from runner.live.carriers.daily.room import DialOut, take
from runner.live.reload import Agents
from runner.live.session_body import Wish
from runner.live.switchboard import Switchboard

_BODY_BYTES = 65_536

_ROOM_PROPERTIES = ("start_video_off",)
_TOKEN_PROPERTIES = ("user_name", "start_video_off", "start_audio_off")
"""What a visitor may say of the room; all else is the agent file's."""

_OF_THE_BODY = ("agent", "variables", "dialout_settings")


@dataclass(frozen=True, slots=True)
class Visit:
    """What `POST /start` asks for. wish: with the agent's name, None for the only one. call: whom the agent shall call, None for
    nobody.

    by_webrtc: no room, but where this server takes WebRTC offers.
    """

    wish: Wish
    by_webrtc: bool = False
    guest: Guest = field(default_factory=Guest)
    call: DialOut | None = None


def start_routes(agents: Agents, switchboard: Switchboard) -> APIRouter:
    """The route. A room is made only where there is a place for its call (503 with `Retry-After` otherwise)."""
    router = APIRouter()

    @router.post("/start")
    async def start(request: Request, agent: str = "") -> dict[str, Any]:
        visit = read_visit(await json_body(request), agent)
        found, given = agent_named(agents, visit.wish.name), visit.wish.variables
        await has_variables(found, visit.wish)
        call = _allowed(visit.call, found.definition)
        with switchboard.admit() as admission:
            if visit.by_webrtc:
                offer: dict[str, Any] = {"endpoint": f"/api/offer?agent={quote(found.name)}"}
                return {"webrtcRequestParams": offer | ({"requestData": {"variables": given}} if given else {})}
            try:
                rest = DailyRest.of(switchboard.environment.values)
                room = await rest.make(found.definition.daily, guest=visit.guest, dial_out=call is not None)
            except DailyKeyMissing as missing:
                raise HTTPException(503, str(missing)) from missing
            except DailyRefused as refused:
                logger.error(f"A visitor of {found.name} got no room: {refused}")
                raise HTTPException(502, str(refused)) from refused
            await take(found, switchboard, room, rest=rest, dial_out=call, variables=given, admission=admission)
        return {"dailyRoom": room.url, "dailyToken": room.caller_token or "", "sessionId": str(uuid.uuid4())}

    return router


def read_visit(data: Mapping[str, Any], agent: str) -> Visit:
    """What is asked for, whole. agent: of the address, it comes before that of the body.

    Raises:
        HTTPException: 400 where it is about the call, 422 where it is about the room, with what is wrong in plain words.
    """
    if misplaced := [name for name in _OF_THE_BODY if name in data]:
        raise HTTPException(400, f'"{misplaced[0]}" belongs into "body".')
    room_wanted = data.get("createDailyRoom")
    carrier = data.get("transport") or ("webrtc" if room_wanted is False else "daily")
    if carrier not in ("daily", "webrtc") or room_wanted not in (None, True, False):
        raise HTTPException(422, "transport is daily or webrtc; createDailyRoom is true or false.")
    body = _group(data, "body")
    wish = wish_of(body, besides=("dialout_settings",))
    room = _chosen(data, "dailyRoomProperties", _ROOM_PROPERTIES)
    token = _chosen(data, "dailyMeetingTokenProperties", _TOKEN_PROPERTIES)
    name = token.get("user_name")
    if name is not None and not isinstance(name, str):
        raise HTTPException(422, "dailyMeetingTokenProperties.user_name is a text.")
    switches = {**room, **{key: value for key, value in token.items() if key != "user_name"}}
    if wrong := [key for key, value in switches.items() if not isinstance(value, bool)]:
        raise HTTPException(422, f"{wrong[0]} is true or false.")
    return Visit(
        replace(wish, name=agent or wish.name or None),
        carrier == "webrtc",
        Guest(name=name[:100] if name else None, **switches),
        _whom(body.get("dialout_settings")),
    )


def _whom(settings: Any) -> DialOut | None:
    """`body.dialout_settings`, as Pipecat Cloud's examples send it: one record, or a list with one."""
    if settings is None:
        return None
    listed = cast("list[Any]", settings) if isinstance(settings, list) else [settings]
    if len(listed) != 1 or not isinstance(listed[0], dict):
        raise HTTPException(422, "dialout_settings names one telephone: phone_number or sip_uri.")
    one = cast("dict[str, Any]", listed[0])
    to = one.get("phone_number") or one.get("phoneNumber") or one.get("sip_uri") or one.get("sipUri")
    if not isinstance(to, str):
        raise HTTPException(422, "dialout_settings names no phone_number and no sip_uri.")
    return DialOut(to)


def _allowed(call: DialOut | None, agent: AgentDefinition) -> DialOut | None:
    """The call with what the file says of it.

    Raises:
        HTTPException: 403, the agent's file does not allow this number.
    """
    if call is None:
        return None
    number = "".join(sign for sign in call.to if sign not in " -()./")
    if not number[1:].isdecimal() or not number.startswith(agent.daily.dial_out or ("no number",)):
        raise HTTPException(
            403, "This agent may not call there: its file does not name the number under daily.dial_out."
        )
    return DialOut(number, agent.daily.caller_id)


def _chosen(data: Mapping[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    group = _group(data, name)
    if unknown := sorted(group.keys() - set(known)):
        may = ", ".join(known)
        raise HTTPException(422, f"{name}.{unknown[0]}: the agent's file decides that. A visitor may choose {may}.")
    return group


def _group(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    group: object = data.get(name) or {}
    if not isinstance(group, dict):
        raise HTTPException(422, f"{name} is a JSON object.")
    return cast("dict[str, Any]", group)


async def body_of(request: Request) -> bytes:
    """The request's body.

    Raises:
        HTTPException: 413, it is longer than anybody sends.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise HTTPException(413, "This is more than a client sends.")
    return body


async def json_body(request: Request) -> dict[str, Any]:
    """The body as JSON; an empty one is an empty object.

    Raises:
        HTTPException: 400 or 413.
    """
    return as_json(await body_of(request))


def as_json(body: bytes) -> dict[str, Any]:
    try:
        data: Any = json.loads(body or b"{}")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise HTTPException(400, "The request's body is not a JSON object.")
    return cast("dict[str, Any]", data)
