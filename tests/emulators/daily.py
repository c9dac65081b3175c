"""Daily's REST API (`/v1/rooms`, `/v1/meeting-tokens`): creates and deletes rooms. The media side is native code.

Comes in: requests with a Bearer key. Goes out: room objects and tokens with status exactly 200, or Daily's error
form. The sentence for a room that has already expired is ours; the vendor's is not documented.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .serving import Emulator, Planned


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
    """

    path = "/v1"

    def __init__(self, *, key: str | None = None, domain: str = "emulated") -> None:
        super().__init__()
        self.key = key
        self.domain = domain
        self.rooms: dict[str, Room] = {}
        self.created: list[Room] = []
        self.tokens: dict[str, dict[str, Any]] = {}
        self.requests: list[DailyRequest] = []
        self._faults: Planned[int] = Planned()

    def fail(self, status: int = 500, times: int | None = 1) -> None:
        """Answers the next requests with an HTTP error."""
        self._faults.plan(status, times)

    def routes(self) -> Iterable[web.RouteDef]:
        room = "/v1/rooms/{name}"
        return [
            web.get("/v1/rooms", self._answer),
            web.post("/v1/rooms", self._answer),
            web.get(room, self._answer),
            web.delete(room, self._answer),
            web.post("/v1/meeting-tokens", self._answer),
        ]

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._handle(request))
        except _RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status)

    async def _handle(self, request: web.Request) -> dict[str, Any]:
        body = await _body(request)
        self.requests.append(DailyRequest(time.time(), request.method, request.path, body))
        if status := self._faults.take():
            raise _RefusedError(status, "server-error")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.key is not None and key != self.key):
            raise _RefusedError(401, "authentication-error")
        if request.method == "POST":
            return self._create_room(body) if request.path.endswith("/rooms") else self._create_token(body)
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
        if "sip" in properties:
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
        token = f"emulated.{uuid.uuid4().hex}"
        self.tokens[token] = properties
        return {"token": token}


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


def _only(body: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(body.keys() - known):
        raise _wrong(f"unknown property '{unknown[0]}'")


def _check_times(properties: object) -> None:
    if not isinstance(properties, dict):
        raise _wrong("properties must be an object")
    for name in ("exp", "nbf"):
        value = properties.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise _wrong(f"properties.{name} must be a Unix time in seconds")
    if (exp := properties.get("exp")) is not None and exp <= time.time():
        raise _wrong("properties.exp is in the past")
