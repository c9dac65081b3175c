"""`POST /daily-dialin-webhook`: a telephone call that Daily holds gets a room, and an agent in it, to be sent to.

Comes in: Daily's webhook, `{"From", "To", "callId", "callDomain"}`. Goes out: a room with a SIP address; when the room says that
it is ready, Pipecat's transport tells Daily where the call goes (`pinlessCallUpdate`).
Sources: Daily, "Pinless dial-in": the signature is HMAC-SHA256 of `timestamp.body` with the base64 secret of the number's
configuration, in base64, in `X-Pinless-Signature` and `X-Pinless-Timestamp` (the latter in seconds or milliseconds, both are
seen); Pipecat 1.14, `pipecat.runner.run`, for the shape of request and answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping

from fastapi import APIRouter, HTTPException, Request
from loguru import logger

from runner.catalog import DAILY_WEBHOOK_SECRET
from runner.live.access import Access
from runner.live.carriers.daily.rest import DailyKeyMissing, DailyRefused, DailyRest
from runner.live.carriers.daily.room import DialIn, take
from runner.live.carriers.daily.start import as_json, body_of
from runner.live.reload import Agents, LiveAgent
from runner.live.switchboard import Switchboard

PATH = "/daily-dialin-webhook"
SIGNATURE, TIMESTAMP = "x-pinless-signature", "x-pinless-timestamp"

_SET_THE_SECRET = f"For calls from Daily set {DAILY_WEBHOOK_SECRET} to the hmac of the number's configuration there."

_CLOCK_SECS = 300.0
"""How far a signed request's time may be from ours: who heard one cannot send it again later."""

_MILLISECONDS_FROM = 1e11


def webhook_routes(agents: Agents, switchboard: Switchboard, access: Access) -> APIRouter:
    """The route. Who brings a signature is judged by it alone; without one the rules for the page apply (`access`), and only
    where no secret is set."""
    router = APIRouter()

    @router.post(PATH)
    async def ring(request: Request, agent: str = "") -> dict[str, str]:
        body = await body_of(request)
        values = switchboard.environment.values
        why = unproven(request.headers, body, values.get(DAILY_WEBHOOK_SECRET, ""))
        if not why and SIGNATURE not in request.headers:
            why = access.refuse(request.headers, request.query_params.get("token"), path=PATH)
            why = why and f"{why} {_SET_THE_SECRET}"
        if why:
            logger.error(f"Daily's webhook was refused: {why}")
            raise HTTPException(403, why)
        data = as_json(body)
        if data.get("test") or data.get("Test"):
            return {"status": "OK"}
        fields = {name: data.get(name) for name in ("From", "To", "callId", "callDomain")}
        if missing := [name for name, value in fields.items() if not isinstance(value, str) or not value]:
            raise HTTPException(400, f"Daily's webhook always says {', '.join(fields)}. Missing: {', '.join(missing)}.")
        caller, called, call_id, domain = (str(value) for value in fields.values())
        found = whose(agents, called, agent)
        if found is None:
            why = f"No agent takes calls to {called}: name it under daily.dial_in, or in the webhook's address (?agent=NAME)."
            logger.error(why)
            raise HTTPException(404, why)
        dial_in = DialIn(call_id, domain, caller, called)
        with switchboard.admit() as admission:
            try:
                rest = DailyRest.of(values)
                room = await rest.make(found.definition.daily, sip_name=caller)
            except (DailyKeyMissing, DailyRefused) as refused:
                logger.error(f"A telephone call to {found.name} got no room: {refused}")
                raise HTTPException(502, str(refused)) from refused
            await take(found, switchboard, room, rest=rest, dial_in=dial_in, admission=admission)
        return {"dailyRoom": room.url, "dailyToken": room.caller_token or "", "sessionId": str(uuid.uuid4())}

    return router


def whose(agents: Agents, number: str, named: str) -> LiveAgent | None:
    """The agent that takes calls to this number: the one named in the address, else the one whose file names the number, else
    the only one, unless its file names other numbers."""
    if named:
        return agents.named(named)
    takes = [one for one in agents if number in one.definition.daily.dial_in]
    if len(takes) > 1:
        names = " and ".join(one.name for one in takes)
        logger.error(f"The files of {names} name {number} under daily.dial_in; {takes[0].name} answers.")
    if takes:
        return takes[0]
    only = agents.named(None)
    return only if only and not only.definition.daily.dial_in else None


def unproven(headers: Mapping[str, str], body: bytes, secret: str, *, now: float | None = None) -> str | None:
    """Why this is not Daily's webhook, None when it is, or when nothing can be asked (no secret, no signature).

    secret: base64, as Daily gives it (`hmac` of the number's configuration). now: Unix seconds.
    """
    signature, timestamp = headers.get(SIGNATURE), headers.get(TIMESTAMP)
    if not secret:
        return f"It is signed, but {DAILY_WEBHOOK_SECRET} is not set." if signature else None
    if not signature or not timestamp:
        return "It is not signed."
    try:
        key, moment = base64.b64decode(secret, validate=True), float(timestamp)
    except (binascii.Error, ValueError):
        return f"{DAILY_WEBHOOK_SECRET} is not base64, or the signature's time is no number."
    seconds = moment / 1000 if moment > _MILLISECONDS_FROM else moment
    if not abs((time.time() if now is None else now) - seconds) <= _CLOCK_SECS:
        return "Its signature is from another time."
    expected = base64.b64encode(hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).digest())
    return None if hmac.compare_digest(expected, signature.encode()) else "Its signature is wrong."
