"""Daily's REST API (`/v1/rooms`, `/v1/meeting-tokens`, `/v1/dialin/pinlessCallUpdate`). The media side is native code; what
stands in for that is `daily_client`.

Comes in: requests with a Bearer key. Goes out: room objects and tokens with status exactly 200, or Daily's error
form. Sentences are ours where the vendor's are not documented: a room that has already expired, a token for a room that does not
exist (Daily makes such a token; here it is a mistake), who may not come in.
Source of the names of properties: Daily's REST documentation, "Create a room" and "Create a meeting token".
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .serving import Emulator, Planned


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SWITCHES = _names(
    "enable_people_ui enable_pip_ui enable_emoji_reactions enable_hand_raising enable_prejoin_ui enable_live_captions_ui"
    " enable_network_ui enable_noise_cancellation_ui enable_breakout_rooms enable_knocking enable_screenshare"
    " enable_video_processing_ui enable_chat enable_advanced_chat enable_shared_chat_history start_video_off start_audio_off"
    " owner_only_broadcast eject_at_room_exp enable_hidden_participants enable_mesh_sfu enable_adaptive_simulcast"
    " enable_multiparty_adaptive_simulcast enforce_unique_user_ids experimental_optimize_large_calls"
    " disable_rtmp_geo_fallback enable_terse_logging enable_transcription_storage enable_dialout audio_only"
)
_ROOM = _SWITCHES | _names(
    "nbf exp max_participants enable_recording eject_after_elapsed sfu_switchover lang meeting_join_hook signaling_imp geo"
    " rtmp_geo recordings_bucket permissions auto_transcription_settings transcription_bucket recordings_template"
    " transcription_template dialout_config streaming_endpoints sip"
)
_TOKEN_SWITCHES = _names(
    "eject_at_token_exp is_owner enable_screenshare start_video_off start_audio_off enable_recording_ui enable_prejoin_ui"
    " enable_live_captions_ui start_cloud_recording auto_start_transcription close_tab_on_exit"
)
_TOKEN = _TOKEN_SWITCHES | _names(
    "room_name eject_after_elapsed nbf exp user_name user_id enable_recording start_cloud_recording_opts"
    " redirect_on_meeting_exit lang permissions"
)
_SIP = _names("display_name video sip_mode num_endpoints codecs provider")


class _RefusedError(Exception):
    def __init__(self, status: int, error: str, info: str = "") -> None:
        super().__init__(info)
        self.status = status
        self.body = {"error": error} | ({"info": info} if info else {})


@dataclass(frozen=True, slots=True)
class DailyRequest:
    """at: `time.time()` seconds, as `exp` is counted."""

    at: float
    method: str
    path: str
    body: dict[str, Any]


@dataclass
class Room:
    """A room as it was asked for. expires_at: Unix seconds, None: never."""

    name: str
    url: str
    privacy: str
    properties: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)

    @property
    def expires_at(self) -> float | None:
        return self.properties.get("exp")

    def as_json(self) -> dict[str, Any]:
        created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.created))
        return {
            "id": self.id,
            "name": self.name,
            "api_created": True,
            "privacy": self.privacy,
            "url": self.url,
            "created_at": created,
            "config": self.properties,
        }


class DailyEmulator(Emulator):
    """`async with DailyEmulator() as emu:`, then `DAILY_API_URL=emu.url`.

    rooms: those that exist now, by name.  created: every room ever made.  tokens: properties by token.
    slow:  seconds that every answer takes.
    held:  telephone calls that wait for a room: callDomain by callId. connected: the SIP address each was sent to.
    """

    path = "/v1"

    def __init__(self, *, key: str | None = None, domain: str = "emulated") -> None:
        super().__init__()
        self.key = key
        self.domain = domain
        self.rooms: dict[str, Room] = {}
        self.created: list[Room] = []
        self.tokens: dict[str, dict[str, Any]] = {}
        self.held: dict[str, str] = {}
        self.connected: dict[str, str] = {}
        self.requests: list[DailyRequest] = []
        self.slow = 0.0
        self._faults: Planned[int] = Planned()
        self._token_faults: Planned[int] = Planned()

    def fail(self, status: int = 500, times: int | None = 1, *, tokens_only: bool = False) -> None:
        """Answers the next requests with an HTTP error."""
        (self._token_faults if tokens_only else self._faults).plan(status, times)

    def may_join(self, url: str, token: str | None) -> str | None:
        """Why somebody with this token may not come into the room at this address, None when they may."""
        room = self._at(url)
        if room is None:
            return "the room does not exist"
        if room.expires_at is not None and room.expires_at <= time.time():
            return "the room has expired"
        if token is None:
            return None if room.privacy == "public" else "the room is private"
        properties = self.tokens.get(token)
        if properties is None:
            return "the token is not valid"
        if properties.get("room_name") not in (None, room.name):
            return "the token is for another room"
        return "the token has expired" if properties.get("exp", time.time() + 1) <= time.time() else None

    def is_owner(self, token: str | None) -> bool:
        return bool(token and self.tokens.get(token, {}).get("is_owner"))

    def _at(self, url: str) -> Room | None:
        return next((room for room in self.rooms.values() if room.url == url), None)

    def routes(self) -> Iterable[web.RouteDef]:
        room = "/v1/rooms/{name}"
        return [
            web.get("/v1/rooms", self._answer),
            web.post("/v1/rooms", self._answer),
            web.get(room, self._answer),
            web.delete(room, self._answer),
            web.post("/v1/meeting-tokens", self._answer),
            web.post("/v1/dialin/pinlessCallUpdate", self._answer),
        ]

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._handle(request))
        except _RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status)

    async def _handle(self, request: web.Request) -> dict[str, Any]:
        body = await _body(request)
        self.requests.append(DailyRequest(time.time(), request.method, request.path, body))
        await asyncio.sleep(self.slow)
        is_token = request.path.endswith("/meeting-tokens")
        if status := self._faults.take() or (self._token_faults.take() if is_token else None):
            raise _RefusedError(status, "server-error")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.key is not None and key != self.key):
            raise _RefusedError(401, "authentication-error")
        if request.method == "POST":
            what = {"rooms": self._create_room, "meeting-tokens": self._create_token}
            return what.get(request.path.rpartition("/")[2], self._connect)(body)
        if request.path.endswith("/rooms"):
            listed = [room.as_json() for room in self.rooms.values()]
            return {"total_count": len(listed), "data": listed[: int(request.query.get("limit", 100))]}
        return self._find_room(request.match_info["name"], delete=request.method == "DELETE")

    def _create_room(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, {"name", "privacy", "properties"})
        name = body.get("name", f"room-{uuid.uuid4().hex[:12]}")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name):
            raise _wrong("name may only hold letters, digits, dashes and underscores")
        if name in self.rooms:
            raise _wrong(f"a room named {name} already exists")
        privacy = body.get("privacy", "public")
        if privacy not in ("public", "private"):
            raise _wrong("privacy must be 'public' or 'private'")
        properties = body.get("properties", {})
        _check_times(properties)
        _only(properties, _ROOM)
        _check_switches(properties, _SWITCHES)
        if "sip" in properties:
            _only(properties["sip"], _SIP)
            if properties["sip"].get("sip_mode") != "dial-in":
                raise _wrong("sip.sip_mode must be 'dial-in'")
            properties = properties | {"sip_uri": {"endpoint": f"{uuid.uuid4().hex}.0@{self.domain}.sip.daily.co"}}
        room = Room(name, f"https://{self.domain}.daily.co/{name}", privacy, properties)
        self.rooms[name] = room
        self.created.append(room)
        return room.as_json()

    def _find_room(self, name: str, *, delete: bool) -> dict[str, Any]:
        room = self.rooms.get(name)
        if room is None or (room.expires_at is not None and room.expires_at <= time.time()):
            raise _RefusedError(404, "not-found", f"room {name} not found")
        if not delete:
            return room.as_json()
        del self.rooms[name]
        return {"deleted": True, "name": name}

    def _create_token(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, {"properties"})
        properties = body.get("properties", {})
        _check_times(properties)
        _only(properties, _TOKEN)
        _check_switches(properties, _TOKEN_SWITCHES)
        if "room_name" in properties and properties["room_name"] not in self.rooms:
            raise _wrong(f"room {properties['room_name']} does not exist")
        token = f"emulated.{uuid.uuid4().hex}"
        self.tokens[token] = properties
        return {"token": token}

    def _connect(self, body: dict[str, Any]) -> dict[str, Any]:
        """Sends a held telephone call to a room (pinlessCallUpdate)."""
        _only(body, {"callId", "callDomain", "sipUri"})
        held = self.held.get(str(body.get("callId")))
        if held is None or held != body.get("callDomain"):
            raise _wrong("no such call is held")
        addresses = [
            f"sip:{room.properties['sip_uri']['endpoint']}"
            for room in self.rooms.values()
            if "sip_uri" in room.properties
        ]
        if body.get("sipUri") not in addresses:
            raise _wrong("sipUri is not the address of a room")
        self.connected[body["callId"]] = body["sipUri"]
        return {"success": True}


async def _body(request: web.Request) -> dict[str, Any]:
    if not request.can_read_body:
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise _wrong("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _wrong("the body is not a JSON object")
    return body


def _wrong(info: str) -> _RefusedError:
    return _RefusedError(400, "invalid-request-error", info)


def _only(body: dict[str, Any], known: Set[str]) -> None:
    if unknown := sorted(body.keys() - known):
        raise _wrong(f"unknown property '{unknown[0]}'")


def _check_switches(properties: dict[str, Any], names: frozenset[str]) -> None:
    for name in sorted(names & properties.keys()):
        if not isinstance(properties[name], bool):
            raise _wrong(f"properties.{name} must be true or false")


def _check_times(properties: object) -> None:
    if not isinstance(properties, dict):
        raise _wrong("properties must be an object")
    for name in ("exp", "nbf"):
        value = properties.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise _wrong(f"properties.{name} must be a Unix time in seconds")
    if (exp := properties.get("exp")) is not None and exp <= time.time():
        raise _wrong("properties.exp is in the past")
