"""Calls in a Daily room: create a private one that expires, or join the one that is given.

Sources: Daily's REST documentation; Pipecat 1.14's DailyRESTHelper. `exp` is absolute Unix seconds there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from pipecat.transports.daily.transport import DailyParams
from pipecat.transports.daily.utils import (
    DailyMeetingTokenParams,
    DailyMeetingTokenProperties,
    DailyRESTHelper,
    DailyRoomParams,
    DailyRoomProperties,
)

from runner.catalog import DAILY_KEY
from runner.definition import Daily
from runner.live.carriers.daily_transport import RoomTransport
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard
from runner.problem import Mendable
from runner.terminal import Terminal

API_URL = "https://api.daily.co/v1"
API_URL_VARIABLE = "DAILY_API_URL"
"""Daily's own name for another address of its REST interface."""

_DEFAULT = Daily()

_PATIENCE_SECS = 10.0
"""How long Daily may take to let the agent in before the person who waits is told. Its client keeps trying without a word."""


class DailyKeyMissing(Mendable):
    """A room was to be created without DAILY_API_KEY."""

    def __init__(self) -> None:
        super().__init__(f"A Daily room needs {DAILY_KEY} in the environment or in .env.")


class DailyRefused(Mendable):
    """No room was made; the text says why, with Daily's own words."""


async def create_room(key: str, wanted: Daily = _DEFAULT, *, api_url: str = API_URL) -> tuple[str, str, str]:
    """A room as the agent file wants it. Returns its address, a token for the agent, and one for the caller.

    Raises:
        DailyRefused: Daily said no, or cannot be reached.
    """
    async with aiohttp.ClientSession() as session:
        rest = DailyRESTHelper(daily_api_key=key, daily_api_url=api_url, aiohttp_session=session)
        try:
            return await _room_and_tokens(rest, wanted)
        except aiohttp.ClientError as error:
            raise DailyRefused(
                f"Daily cannot be reached: {error}. Check the network and {API_URL_VARIABLE}."
            ) from error
        except Exception as error:  # Pipecat 1.14's helper raises nothing narrower
            check = f" Check {DAILY_KEY}." if "status: 401" in str(error) else ""
            raise DailyRefused(f"Daily made no room: {str(error).strip()}{check}") from error


async def _room_and_tokens(rest: DailyRESTHelper, wanted: Daily) -> tuple[str, str, str]:
    room = await rest.create_room(
        DailyRoomParams(
            privacy=wanted.privacy,
            properties=DailyRoomProperties(
                exp=int(time.time() + wanted.expires_in),
                eject_at_room_exp=wanted.eject_at_room_exp,
                geo=wanted.geo,
                max_participants=wanted.max_participants,
                enable_chat=wanted.enable_chat,
                enable_prejoin_ui=wanted.enable_prejoin_ui,
                start_video_off=wanted.start_video_off,
            ),
        )
    )
    agent = await rest.get_token(room.url, expiry_time=wanted.expires_in, owner=True)
    guest = DailyMeetingTokenProperties(start_video_off=wanted.start_video_off, user_name=wanted.caller_name)
    caller = await rest.get_token(
        room.url, expiry_time=wanted.expires_in, owner=False, params=DailyMeetingTokenParams(properties=guest)
    )
    return room.url, agent, caller


async def join(
    agent: LiveAgent,
    switchboard: Switchboard,
    environment: Mapping[str, str],
    *,
    room: str | None,
    token: str | None,
    terminal: Terminal,
    when_over: Callable[[], None],
) -> Awaitable[None]:
    """Join a room, made here unless one is given. Greets the first participant, ends when the last one leaves.

    Returns what to wait for when runner is stopped: the agent has left the room.

    Raises:
        DailyKeyMissing: a room has to be made and there is no key.
        DailyRefused: the room could not be made.
    """
    if room is None:
        key = environment.get(DAILY_KEY)
        if not key:
            raise DailyKeyMissing
        address = environment.get(API_URL_VARIABLE, API_URL)
        room, token, caller = await create_room(key, agent.definition.daily, api_url=address)
        terminal.line(f"  Daily room:  {room}?t={caller}")
    else:
        terminal.line(f"  Daily room:  {room}")
    transport = RoomTransport(
        room,
        token,
        agent.definition.daily.display_name or agent.name,
        DailyParams(
            audio_in_enabled=True, audio_out_enabled=True, camera_out_enabled=False, transcription_enabled=False
        ),
    )
    call = await switchboard.place(agent, transport, "daily")
    present: set[str] = set()
    silence = asyncio.get_running_loop().call_later(
        _PATIENCE_SECS,
        terminal.line,
        f"[problem] The agent is not in the Daily room after {_PATIENCE_SECS:.0f} s. Check the network and the room.",
    )

    @transport.event_handler("on_joined")
    async def inside(*_: object) -> None:
        silence.cancel()

    @transport.event_handler("on_first_participant_joined")
    async def first(_: object, participant: Mapping[str, str]) -> None:
        present.add(participant["id"])
        await call.begin()

    @transport.event_handler("on_participant_joined")
    async def joined(_: object, participant: Mapping[str, str]) -> None:
        present.add(participant["id"])

    @transport.event_handler("on_participant_left")
    async def left(_: object, participant: Mapping[str, str], *_reason: object) -> None:
        present.discard(participant["id"])
        if not present:
            await call.end("the last participant left")

    async def over() -> None:
        await call.over()
        silence.cancel()
        when_over()

    waiting = asyncio.create_task(over())
    return asyncio.shield(waiting)
