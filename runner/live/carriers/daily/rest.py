"""Daily's REST interface: private rooms that expire, tokens that expire with them, both made and deleted.

Comes in: the key, and what the agent file wants. Goes out: a `Room`, or `DailyRefused` with Daily's own words.
Sources: Daily's REST documentation (rooms, meeting tokens); Pipecat 1.14's DailyRESTHelper. `exp` is absolute Unix seconds there.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from loguru import logger
from pipecat.transports.daily.utils import (
    DailyMeetingTokenParams,
    DailyMeetingTokenProperties,
    DailyRESTHelper,
    DailyRoomParams,
    DailyRoomProperties,
    DailyRoomSipParams,
)

from runner.catalog import DAILY_KEY
from runner.definition import Daily
from runner.problem import Mendable

API_URL = "https://api.daily.co/v1"
API_URL_VARIABLE = "DAILY_API_URL"
"""Daily's own name for another address of its REST interface."""

_TIMEOUT = aiohttp.ClientTimeout(total=8)
_PAUSES_SECS = (0.3, 1.0)
"""Before the second and the third try. A room whose answer was lost is nobody's and expires by itself."""

_STATUS = re.compile(r"\(status: (\d+)(?:, error)?\)?:?\s*")
_TRY_AGAIN = (429, 500, 502, 503, 504)

Made = TypeVar("Made")


class DailyKeyMissing(Mendable):
    """A room was to be created without DAILY_API_KEY."""

    def __init__(self) -> None:
        super().__init__(f"A Daily room needs {DAILY_KEY} in the environment or in .env.")


class DailyRefused(Mendable):
    """No room was made; the text says why, with Daily's own words."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room that was made, or one that somebody gave.

    agent_token:  with owner's rights, for the agent. None for a room that needs none.
    caller_token: without them, for whoever comes. Both end when the room does.
    expires_at:   Unix seconds; None when not known.
    sip_uri:      where telephones reach the room, `sip:...`; "" for a room without.
    """

    url: str
    agent_token: str | None
    caller_token: str | None = None
    expires_at: int | None = None
    sip_uri: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """What a visitor may choose of their own place in the room. None: as the agent file says."""

    name: str | None = None
    start_video_off: bool | None = None
    start_audio_off: bool | None = None


@dataclass(frozen=True, slots=True)
class DailyRest:
    """One account."""

    key: str
    api_url: str = API_URL

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> DailyRest:
        """With the key and the address that the environment names.

        Raises:
            DailyKeyMissing: there is no key.
        """
        key = environment.get(DAILY_KEY, "").strip().strip("\"'")
        if not key:
            raise DailyKeyMissing
        return cls(key, environment.get(API_URL_VARIABLE, API_URL).rstrip("/"))

    async def make(
        self, wanted: Daily, *, guest: Guest | None = None, sip_name: str | None = None, dial_out: bool = False
    ) -> Room:
        """A room as the agent file wants it, with its tokens.

        sip_name: telephones may come in; it is the name they have there (Daily's `sip.display_name`).
        dial_out: the agent may call telephones from it.

        Raises:
            DailyRefused: Daily said no, or cannot be reached.
        """
        expires_at = int(time.time() + wanted.expires_in)
        properties = DailyRoomProperties(
            exp=expires_at,
            eject_at_room_exp=wanted.eject_at_room_exp,
            geo=wanted.geo,
            max_participants=wanted.max_participants,
            enable_chat=wanted.enable_chat,
            enable_prejoin_ui=wanted.enable_prejoin_ui,
            start_video_off=wanted.start_video_off,
        )
        if sip_name is not None:
            properties.sip = DailyRoomSipParams(display_name=sip_name, video=False, sip_mode="dial-in", num_endpoints=1)
        if dial_out:
            properties.enable_dialout = True
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            rest = self._rest(session)
            made = await _insist(
                lambda: rest.create_room(DailyRoomParams(privacy=wanted.privacy, properties=properties))
            )
            try:
                agent = await _insist(lambda: _token(rest, made.url, expires_at, None))
                own = _guest(guest or Guest(), wanted)
                caller = await _insist(lambda: _token(rest, made.url, expires_at, own))
            except BaseException:
                await self._delete(rest, made.url)
                raise
        return Room(made.url, agent, caller, expires_at, made.config.sip_endpoint)

    async def delete(self, room: Room) -> None:
        """Never raises: a room that is not deleted expires by itself."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            await self._delete(self._rest(session), room.url)

    def _rest(self, session: aiohttp.ClientSession) -> DailyRESTHelper:
        return DailyRESTHelper(daily_api_key=self.key, daily_api_url=self.api_url, aiohttp_session=session)

    async def _delete(self, rest: DailyRESTHelper, url: str) -> None:
        try:
            await rest.delete_room_by_url(url)
        except Exception as error:  # Pipecat 1.14's helper raises nothing narrower
            logger.warning(f"The Daily room {url} was not deleted and expires by itself: {_said(error)}")


def _guest(guest: Guest, wanted: Daily) -> DailyMeetingTokenProperties:
    return DailyMeetingTokenProperties(
        user_name=guest.name or wanted.caller_name,
        start_video_off=wanted.start_video_off if guest.start_video_off is None else guest.start_video_off,
        start_audio_off=guest.start_audio_off,
    )


async def _token(rest: DailyRESTHelper, url: str, expires_at: int, own: DailyMeetingTokenProperties | None) -> str:
    """A token that ends with its room. own: of a guest; None: of the agent, an owner.

    Pipecat 1.14's helper counts from now and cuts off the fraction, so half a second is added.
    """
    seconds = expires_at - time.time() + 0.5
    if own is None:
        return await rest.get_token(url, expiry_time=seconds, owner=True)
    return await rest.get_token(
        url, expiry_time=seconds, owner=False, params=DailyMeetingTokenParams(properties=own.model_copy())
    )


async def _insist(work: Callable[[], Awaitable[Made]]) -> Made:
    """Do it, up to three times where another try can help.

    Raises:
        DailyRefused: the last try's failure.
    """
    for pause in (*_PAUSES_SECS, None):
        try:
            return await work()
        except Exception as error:  # Pipecat 1.14's helper raises nothing narrower
            status = _status(error)
            again = isinstance(error, aiohttp.ClientError | TimeoutError) or status in _TRY_AGAIN
            if pause is None or not again:
                raise DailyRefused(_why(error, status)) from error
            await asyncio.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _why(error: Exception, status: int | None) -> str:
    if isinstance(error, TimeoutError):
        return f"Daily did not answer within {_TIMEOUT.total:.0f} s. Check the network and {API_URL_VARIABLE}."
    if isinstance(error, aiohttp.ClientError):
        return f"Daily cannot be reached: {error}. Check the network and {API_URL_VARIABLE}."
    check = f" Check {DAILY_KEY}." if status == 401 else ""
    return f"Daily made no room: {_said(error)}.{check}"


def _status(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _said(error: Exception) -> str:
    """Daily's own words in an error of Pipecat's helper, `... (status: 400): {"error": ..., "info": ...}`."""
    text = str(error).strip()
    found = _STATUS.search(text)
    if not found:
        return text or type(error).__name__
    words = text[found.end() :]
    try:
        body = json.loads(words)
        words = ": ".join(str(body[name]) for name in ("error", "info") if body.get(name)) or words
    except (ValueError, AttributeError):
        pass
    return f"{' '.join(words.split())} (HTTP {found[1]})"
