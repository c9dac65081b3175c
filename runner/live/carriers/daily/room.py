"""One call in one Daily room: joining, the first one in, the last one out, a telephone that rings in or is rung.

Comes in: an agent, a room. Goes out: a call that begins when somebody can hear it and that ends, with a reason, when nobody can.
Sources: the events of Pipecat 1.14's DailyTransport; Daily's documentation of dial-in and dial-out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipecat.transports.daily.transport import DailyDialinSettings, DailyParams

from runner.catalog import CALLED, CALLER
from runner.live.admission import Admission
from runner.live.call import Call
from runner.live.carriers.daily.rest import DailyRest, Room
from runner.live.carriers.daily.transport import RoomTransport
from runner.live.line import DIRECT, Line
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard

_PATIENCE_SECS = 10.0
"""How long Daily may take to let the agent in before the person who waits is told. Its client keeps trying without a word."""

_GIVE_UP_SECS = 30.0
"""How long it may take at all."""

_AFTER_OUR_OWN_SECS = 2.0


@dataclass(frozen=True, slots=True)
class DialIn:
    """A telephone call that Daily holds until the room is ready for it: its `callId` and `callDomain`, and both numbers."""

    call_id: str
    call_domain: str
    caller: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True)
class DialOut:
    """Whom the agent calls: a telephone number (`+15551230100`) or a SIP address (`sip:...`).

    caller_id: Daily's id of the number that is shown to them, None for Daily's choice.
    """

    to: str
    caller_id: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """As Daily's `start_dialout` takes it."""
        if self.to.startswith("sip:"):
            return {"sipUri": self.to}
        return {"phoneNumber": self.to} | ({"callerId": self.caller_id} if self.caller_id else {})


class RoomCall:
    """The call of one room, and who is in it.

    failure: why the agent could not do what it came for, "" when it could: the room did not let it in, nobody picked up.
    """

    def __init__(
        self, call: Call, room: Room, *, dial_in: DialIn | None = None, dial_out: DialOut | None = None
    ) -> None:
        self.call = call
        self.room = room
        self.failure = ""
        self._dial_in = dial_in
        self._dial_out = dial_out
        self._present: set[str] = set()
        self._is_in = False
        self._answered = False
        self._leaving = False
        self._since: float | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def by_telephone(self) -> bool:
        return bool(self._dial_in or self._dial_out)

    def listen(self, transport: RoomTransport, tell: Callable[[str], None] = lambda _: None) -> None:
        """Follow what happens in the room from now on. tell: takes a line for the person who runs this."""
        self._spawn(self.over())
        if self._dial_out:
            seconds, number = self.call.conversation.agent.daily.wait_for_caller, self._dial_out.to
            why = f"{number} did not answer within {seconds:g} s (daily.wait_for_caller)"
            self._after("answer", seconds, lambda: self._fail(why))
        self._after("patience", _PATIENCE_SECS, lambda: tell(_slow(_PATIENCE_SECS)))
        self._after("joining", _GIVE_UP_SECS, lambda: self._fail(f"Daily did not answer within {_GIVE_UP_SECS:.0f} s"))

        @transport.event_handler("on_joined")
        async def inside(*_: object) -> None:
            self._is_in = True
            self._stop("patience", "joining")
            if self._dial_out:
                self._spawn(self._ring(transport, self._dial_out))

        @transport.event_handler("on_participant_joined")
        async def joined(_: object, participant: Mapping[str, str]) -> None:
            self._present.add(participant["id"])
            self._back()
            if self._dial_out is None or self._answered:
                await self.call.begin()

        @transport.event_handler("on_participant_left")
        async def left(_: object, participant: Mapping[str, str], *_reason: object) -> None:
            self._present.discard(participant["id"])
            if self._present:
                return
            if self.by_telephone:
                self._end("the caller hung up")
            else:
                self._alone()

        @transport.event_handler("on_dialout_answered")
        async def answered(*_: object) -> None:
            self._answered = True
            self._stop("answer")
            await self.call.begin()

        @transport.event_handler("on_dialout_error")
        async def not_reached(_: object, data: Any) -> None:
            if self._dial_out:
                self._fail(f"Daily could not call {self._dial_out.to}: {_words(data)}")

        @transport.event_handler("on_dialout_stopped")
        async def rung_off(*_: object) -> None:
            if self._answered:
                self._end("the caller hung up")
            elif self._dial_out:
                self._fail(f"{self._dial_out.to} did not answer")

        @transport.event_handler("on_dialin_error")
        async def not_connected(_: object, data: Any) -> None:
            self._fail(f"Daily could not connect the caller: {_words(data)}")

        @transport.event_handler("on_dialin_stopped")
        async def hung_up(*_: object) -> None:
            if self._dial_in:
                self._end("the caller hung up")

        @transport.event_handler("on_error")
        async def error(_: object, said: Any) -> None:
            words = _words(said).removeprefix(f"Error joining {self.room.url}: ")
            if not self._is_in:
                self._fail(f"Daily did not let the agent in: {words}")
            elif self._dial_in and not self._present:
                self._fail(f"Daily could not connect the caller: {words}")

        @transport.event_handler("on_before_leave")
        async def leaving(*_: object) -> None:
            self._leaving = True

        @transport.event_handler("on_call_state_updated")
        async def state(_: object, now: str) -> None:
            if now == "left" and self._is_in and not self._leaving:
                self._end(self._why_put_out())

    async def over(self) -> None:
        """Until the call is over; nothing more is waited for then."""
        await self.call.over()
        self._stop(*self._timers)

    def _alone(self) -> None:
        """Nobody is in the room any more: a browser may come back, as after a page was loaded again."""
        seconds = self.call.conversation.agent.limits.wait_for_return
        if not seconds or not self.call.conversation.begun:
            self._end("the last participant left")
            return
        self._since = asyncio.get_running_loop().time()
        self.call.nobody_listens = True
        why = f"the last participant left and nobody came back within {seconds:g} s (limits.wait_for_return)"
        self._after("return", seconds, lambda: self._end(why))

    def _back(self) -> None:
        """Somebody is in the room."""
        self._stop("return")
        since, self._since = self._since, None
        if since is not None:
            self._spawn(self.call.go_on(asyncio.get_running_loop().time() - since))

    def _why_put_out(self) -> str:
        if self.room.expires_at is not None and time.time() >= self.room.expires_at - 1:
            return "the Daily room expired (daily.expires_in)"
        return "Daily ended the room"

    async def _ring(self, transport: RoomTransport, dial_out: DialOut) -> None:
        _, error = await transport.start_dialout(dial_out.settings)
        if error:
            self._fail(f"Daily could not call {dial_out.to}: {_words(error)}")

    def _fail(self, why: str) -> None:
        if not self.failure and not self.call.is_over:
            self.failure = why
            self._spawn(self.call.cancel(why))

    def _end(self, why: str) -> None:
        if not self.failure:
            self._spawn(self.call.end(why))

    def _after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        self._stop(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, what)

    def _stop(self, *names: str) -> None:
        for name in names:
            if timer := self._timers.get(name):
                timer.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # Never awaited in an event handler: Pipecat 1.14 ends a transport only when its handlers have ended.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def take(
    agent: LiveAgent,
    switchboard: Switchboard,
    room: Room,
    *,
    rest: DailyRest | None = None,
    dial_in: DialIn | None = None,
    dial_out: DialOut | None = None,
    variables: Mapping[str, str] | None = None,
    awaited: bool = True,
    admission: Admission | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> RoomCall:
    """Send the agent into a room. Greets the first one who comes, ends when the last one has left.

    rest:    the account that made the room: the room is deleted when the call is over. None for a room that was given.
    variables: of the agent, for this call alone.
    awaited: somebody is about to come; the call is given up when nobody has after `daily.wait_for_caller`.
    tell:    takes a line for the person who runs this.

    Raises:
        NotAdmitted: the limit of calls is reached. The room is deleted then.
    """
    wanted = agent.definition.daily
    params = DailyParams(
        audio_in_enabled=True, audio_out_enabled=True, camera_out_enabled=False, transcription_enabled=False
    )
    if dial_in and rest:
        params.api_key, params.api_url = rest.key, rest.api_url
        params.dialin_settings = DailyDialinSettings(call_id=dial_in.call_id, call_domain=dial_in.call_domain)
    try:
        transport = RoomTransport(room.url, room.agent_token, wanted.display_name or agent.name, params)
        carrier = "daily, telephone" if dial_in or dial_out else "daily"
        line = replace(_line(dial_in, dial_out), given=variables or {})
        call = await switchboard.place(agent, transport, carrier, admission=admission, line=line)
    except BaseException:
        if rest:
            await rest.delete(room)
        raise
    taken = RoomCall(call, room, dial_in=dial_in, dial_out=dial_out)
    taken.listen(transport, tell)
    if awaited:
        own = _AFTER_OUR_OWN_SECS if dial_out else 0.0  # whoever is called and does not answer is told by number
        call.await_caller(wanted.wait_for_caller + own, "daily.wait_for_caller")

    async def clear() -> None:
        await taken.over()
        if rest:
            await rest.delete(room)

    switchboard.see_off(asyncio.create_task(clear()))
    return taken


def _line(dial_in: DialIn | None, dial_out: DialOut | None) -> Line:
    """Who is on the telephone, for the agent's texts: whoever is not the agent is the caller."""
    if dial_in:
        return Line(facts={CALLER: dial_in.caller, CALLED: dial_in.called})
    return Line(facts={CALLER: dial_out.to}, placed=True) if dial_out else DIRECT


def _slow(seconds: float) -> str:
    return f"[problem] The agent is not in the Daily room after {seconds:.0f} s. Check the network and the room."


def _words(said: Any) -> str:
    """Daily's own words in what an event brings: a text, or a record with `errorMsg`."""
    if isinstance(said, Mapping):
        named: Any = said  # pyright: ignore[reportUnknownVariableType]
        said = named.get("errorMsg") or named.get("error") or named.get("message") or "it does not say why"
    return " ".join(str(said).split()).removeprefix("Unable to handle dialin-ready event ").rstrip(".")
