"""One session at AssemblyAI: opened, spoken to and left, without ever making the caller's sound wait.

Comes in: an address, pieces of the caller's sound, messages to send. Goes out: the vendor's messages through a callback, in
order. How they are sent is in `sending`; what another session has to hear when this one breaks, in `remembered`.

Sources: AssemblyAI, streaming API (Begin and its `expires_at`, errors after the upgrade).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from pipecat.services.assemblyai.models import BeginMessage, SpeechStartedMessage, TurnMessage
from pipecat.utils.errors import ErrorCategory
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

from runner.compiler.services.assemblyai.refusals import UNREADABLE, RefusedError, closed, no_connection, refusal
from runner.compiler.services.assemblyai.remembered import Remembered
from runner.compiler.services.assemblyai.sending import PIECE_SECS, Sending

Message = dict[str, Any]
Heard = Callable[["Session", Message | None], None]
"""Told every message of a session, and None when its connection is over."""

Connect = Callable[[], Awaitable[ClientConnection]]

BEGIN_SECS = 10.0
"""How long a new session may take to begin. The vendor: about 1.2 s."""

LEAVE_SECS = 2.0
"""How long a session that was left may take for its last words. The vendor: 0.55 to 1.2 s."""

WORDS_SECS = 1.5
"""How long after the caller stopped words may still come of which nothing was shown."""

QUIET_SECS_AGAIN = 1.0
"""How much sound another session hears again when no voice was in it: a word may just have begun."""

_READ_AS: Mapping[object, type[BeginMessage] | type[TurnMessage] | type[SpeechStartedMessage]] = {
    "Begin": BeginMessage,
    "Turn": TurnMessage,
    "SpeechStarted": SpeechStartedMessage,
}


class Session:
    """One connection.

    has:      the parameters it runs with now, as they stand in an address; live updates included.
    spoke:    it has heard speech.
    held:     its messages that wait for the last words of the session before it.
    voiced_secs: how much loud sound it got.
    left:     it was told to finish; nothing more is said to it.
    told:     the last live update, what stood there before it, and when it was sent (`time.monotonic()`).
    error:    why it ended, code and text: the vendor's `Error`, or what stands for a message that nobody can read.
    memory:   the sound that it has not answered with a finished turn.
    forced:   the end of the caller's turn was asked for and has not come.
    terminated: it said goodbye, so it had heard everything that it was sent.
    expires_at: seconds since 1970, from `Begin`; 0 before.

    rate, gentle: as `Sending` has them. keep_secs: as `Remembered` has it.
    """

    def __init__(
        self,
        socket: ClientConnection,
        has: Mapping[str, str],
        rate: int,
        heard: Heard,
        *,
        keep_secs: float = 30.0,
        gentle: bool = False,
    ) -> None:
        self.socket = socket
        self.has = dict(has)
        self.spoke = False
        self.held: list[Message | None] = []
        self.voiced_secs = 0.0
        self.left = False
        self.told: tuple[Message, dict[str, str | None], float] = ({}, {}, 0.0)
        self.error: tuple[object, str] | None = None
        self.memory = Remembered(keep_secs)
        self.forced = False
        self.terminated = False
        self.began_at = time.time()
        self.expires_at = 0.0
        self.over = asyncio.Event()
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = heard
        self._sending = Sending(socket, rate, gentle=gentle)
        self._turn_open = False
        self._may_speak_until = 0.0
        self._finished: set[tuple[object, ...]] = set()
        self._finished_orders: set[object] = set()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._sending.run())]

    @property
    def is_open(self) -> bool:
        return self.socket.state is State.OPEN and not self.over.is_set()

    @property
    def turn_open(self) -> bool:
        """It has heard, or may have heard, words that it has not finished yet."""
        return self._turn_open or time.monotonic() < self._may_speak_until

    def expect_words(self) -> None:
        """The caller has just stopped speaking: words may come, though none were shown yet."""
        self._may_speak_until = time.monotonic() + WORDS_SECS

    def hear(self, piece: bytes, *, loud: bool) -> None:
        """One piece of the caller's sound, 16 bits mono at the rate of the call."""
        self.memory.add(piece, loud=loud)
        if loud:
            self.voiced_secs += PIECE_SECS
        self._sending.sound(piece)

    def say(self, message: Message) -> None:
        self._sending.message(message)

    def tell(self, fields: Message, as_in_address: Mapping[str, str]) -> None:
        """One live update. as_in_address: the same values as an address would have them."""
        self.told = (fields, {name: self.has.get(name) for name in as_in_address}, time.monotonic())
        self.has.update(as_in_address)
        self.say({"type": "UpdateConfiguration", **fields})

    def force_end(self) -> None:
        """Ask for the end of the caller's turn."""
        self.forced = True
        self.expect_words()
        self.say({"type": "ForceEndpoint"})

    @property
    def finished_turns(self) -> int:
        """How many ends of turns it has said."""
        return len(self._finished)

    def unheard(self, *, speaking: bool) -> bytes:
        """What another session has to hear when this one breaks: all since the last finished turn, as much as is remembered.
        Where nobody spoke, the last moment and what never left.

        speaking: the caller speaks now.
        """
        if speaking or self.turn_open or self.memory.loud_secs:
            return self.memory.all()
        return self.memory.last(QUIET_SECS_AGAIN, least=len(self._sending.take_unsent()))

    def _answered(self, until: float) -> None:
        """A turn is finished that ended `until` seconds after the session's first sound."""
        self._turn_open, self._may_speak_until, self.forced = False, 0.0, False
        self.memory.forget_until(min(until, self.memory.sent_secs))

    def finish(self) -> None:
        """Tell the session to say its last words. They, and its goodbye, are told like everything it says."""
        if not self.left:
            self.left = True
            self._sending.end_of_sound()
            self.say({"type": "Terminate"})

    async def leave(self) -> None:
        """Let the session finish its last words and close it. Returns when that is done; never raises."""
        self.finish()
        try:
            async with asyncio.timeout(LEAVE_SECS):
                await self.over.wait()
        except TimeoutError:
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection at once: nothing that it still says counts. Never raises."""
        self.over.set()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        with contextlib.suppress(Exception):
            await self.socket.close()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                message = _readable(data)
                if message is None:
                    self.error = (UNREADABLE, f"It sent what nobody can read: {str(data)[:60]}")
                else:
                    self._take(message)
                if self.error or self.terminated:
                    break
        except ConnectionClosed:
            pass
        finally:
            self.over.set()
            self._note_the_code()
            if not self.begun.done():
                code, text = self.error or (None, "The connection was closed before the session began")
                self.begun.set_exception(refusal(code, text, before_begin=True))
            self._heard(self, None)
        await self.close()

    def _note_the_code(self) -> None:
        """A code of the vendor's counts as its `Error` message where that is missing."""
        code = self.socket.close_code
        if not self.error and code is not None and (code >= 3000 or code in (1008, 1011)):
            self.error = (code, closed(code, self.socket.close_reason or ""))

    def _take(self, message: Message) -> None:
        match message.get("type"):
            case "Begin":
                self.expires_at = float(message.get("expires_at") or 0)
                if not self.begun.done():
                    self.begun.set_result(None)
            case "Error":
                self.error = (message.get("error_code"), str(message.get("error")))
            case "SpeechStarted":
                self._turn_open = self.spoke = True
            case "Turn" if self._came_before(message):
                return
            case "Turn" if self._is_end(message):
                words: list[dict[str, Any]] = message.get("words") or [{}]
                self._answered(float(words[-1].get("end") or 1000 * self.memory.sent_secs) / 1000)
            case "Turn" if message.get("transcript"):
                self._turn_open = self.spoke = True
            case "Termination":
                self.terminated = True
                self.over.set()
            case _:
                pass
        self._heard(self, message)

    def _came_before(self, message: Message) -> bool:
        """The same end of a turn a second time, or a part of a turn that has ended."""
        order = message.get("turn_order")
        if not self._is_end(message):
            return order in self._finished_orders and not message.get("end_of_turn")
        words: list[dict[str, Any]] = message.get("words") or [{}]
        end = (order, message.get("transcript"), words[0].get("start"))
        if end in self._finished:
            return True
        self._finished.add(end)
        self._finished_orders.add(order)
        return False

    def _is_end(self, message: Message) -> bool:
        return bool(message.get("end_of_turn")) and not self._formats_again(message)

    def _formats_again(self, message: Message) -> bool:
        """The universal-streaming family sends the end of a turn twice where it formats."""
        return self.has.get("format_turns") == "true" and not message.get("turn_is_formatted")


async def open_session(
    connect: Connect,
    has: Mapping[str, str],
    rate: int,
    heard: Heard,
    *,
    within: float = BEGIN_SECS,
    keep_secs: float = 30.0,
    gentle: bool = False,
) -> Session:
    """A session that has begun.

    within: seconds until `Begin`.

    Raises:
        RefusedError: the vendor, or the way there, said no.
    """
    until = asyncio.get_running_loop().time() + within
    try:
        async with asyncio.timeout_at(until):
            socket = await connect()
    except TimeoutError as error:
        words = f"no answer to the connection within {within:.2g} s"
        raise RefusedError(words, ErrorCategory.CONNECTIVITY, again=True) from error
    except (OSError, EOFError, InvalidHandshake) as error:
        raise no_connection(error) from error
    session = Session(socket, has, rate, heard, keep_secs=keep_secs, gentle=gentle)
    try:
        async with asyncio.timeout_at(until):
            await session.begun
    except TimeoutError:
        words = f"the session did not begin within {within:.2g} s"
        raise RefusedError(words, ErrorCategory.CONNECTIVITY, again=True) from None
    finally:
        if not session.begun.done() or session.begun.cancelled() or session.begun.exception():
            await session.close()
    return session


def _readable(data: str | bytes) -> Message | None:
    """A message of the vendor; None for what is none, or lacks what one of its kind has."""
    try:
        found = json.loads(data)
        if not isinstance(found, dict):
            return None
        message = cast(Message, found)
        if model := _READ_AS.get(message.get("type")):
            model.model_validate(message)
    except (ValueError, RecursionError):  # pydantic's and JSON's errors are ValueErrors
        return None
    return message
