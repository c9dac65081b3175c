"""`runner AGENT --daily`, `--room` and `--call`: one room, one call, then the command is over.

Comes in: what the command line asks for. Goes out: the link for the caller, printed, and the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from runner.live.carriers.daily.rest import DailyRest, Room
from runner.live.carriers.daily.room import DialOut, RoomCall, take
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard
from runner.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Asked:
    """Which room: one to be made, or the one that is given with its token. call: whom to call from it."""

    room: str | None = None
    token: str | None = None
    call: str | None = None


async def join(
    asked: Asked, agent: LiveAgent, switchboard: Switchboard, terminal: Terminal, when_over: Callable[[], None]
) -> RoomCall:
    """Send the agent into the room, made here unless one is given. when_over: called when the call is over.

    Raises:
        DailyKeyMissing: a room has to be made and there is no key.
        DailyRefused: the room could not be made.
    """
    wanted = agent.definition.daily
    rest = None if asked.room else DailyRest.of(switchboard.environment.values)
    dial_out = DialOut(asked.call, wanted.caller_id) if asked.call else None
    if rest is None:
        room = Room(str(asked.room), asked.token)
        terminal.line(f"  Daily room:  {room.url}")
    else:
        room = await rest.make(wanted, sip_name="caller" if wanted.sip else None, dial_out=dial_out is not None)
        terminal.line(f"  Daily room:  {room.url}?t={room.caller_token}")
        if room.sip_uri:
            terminal.line(f"  By SIP:      {room.sip_uri}")
        if dial_out:
            terminal.line(f"  Calling:     {dial_out.to}")
    taken = await take(
        agent, switchboard, room, rest=rest, dial_out=dial_out, awaited=dial_out is not None, tell=terminal.line
    )

    async def over() -> None:
        await taken.over()
        when_over()

    switchboard.see_off(asyncio.create_task(over()))
    return taken
