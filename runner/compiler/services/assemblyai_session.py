"""One session at AssemblyAI: opened, spoken to and left, without ever making the caller's sound wait.

Comes in: an address, pieces of the caller's sound, messages to send. Goes out: the vendor's messages through a callback, in
order. What is sent goes through a queue with a task of its own, so that nobody waits for the network; what the vendor has not
yet answered with a finished turn is remembered, so that another session can hear it when this one breaks.

Sources: AssemblyAI, streaming API (Begin and its `expires_at`, errors after the upgrade, frames of 50 to 1000 ms).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from pipecat.utils.errors import ErrorCategory, classify_http_exception
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

Message = dict[str, Any]
Heard = Callable[["Session", Message | None], None]
"""Told every message of a session, and None when its connection is over."""

Connect = Callable[[], Awaitable[ClientConnection]]

PIECE_SECS = 0.05
"""How much sound goes into one frame: the vendor's shortest, and Pipecat 1.14's size."""

BEGIN_SECS = 10.0
"""How long a new session may take to begin. The vendor: about 1.2 s."""

LEAVE_SECS = 2.0
"""How long a session that was left may take for its last words. The vendor: 0.55 to 1.2 s."""

WORDS_SECS = 1.5
"""How long after the caller stopped words may still come of which nothing was shown."""

UNANSWERED_SECS = 15.0
"""How much of an unfinished turn is remembered."""

_REFUSES_THE_ACCOUNT = "concurrent sessions"


class RefusedError(Exception):
    """A session that did not begin.

    words:    the vendor's own.
    category: what kind of refusal it is.
    again:    whether the same may be worth another try soon.
    """

    def __init__(self, words: str, category: ErrorCategory, *, again: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.category = category
        self.again = again


def category_of(code: object, text: str) -> ErrorCategory:
    """What kind of refusal an `Error` message is. 1008 is used for keys and for the number of sessions alike, so the text
    decides."""
    if _REFUSES_THE_ACCOUNT in text:
        return ErrorCategory.RATE_LIMIT
    if code == 1008:
        return ErrorCategory.AUTHENTICATION
    return ErrorCategory.SERVER if code in (1011, 3005) else ErrorCategory.UNKNOWN


class Session:
    """One connection.

    has:      the parameters it runs with now, as they stand in an address; live updates included.
    rate:     of the sound the vendor gets, Hz.
    spoke:    it has heard speech.
    held:     its messages that wait for the last words of the session before it.
    voiced_secs: how much loud sound it got.
    left:     it was told to finish; nothing more is said to it.
    told:     the last live update, what stood there before it, and when it was sent (`time.monotonic()`).
    error:    the vendor's last `Error`, code and text.
    expires_at: seconds since 1970, from `Begin`; 0 before.
    """

    def __init__(self, socket: ClientConnection, has: Mapping[str, str], rate: int, heard: Heard) -> None:
        self.socket = socket
        self.has = dict(has)
        self.rate = rate
        self.spoke = False
        self.held: list[Message | None] = []
        self.voiced_secs = 0.0
        self.left = False
        self.told: tuple[Message, dict[str, str | None], float] = ({}, {}, 0.0)
        self.error: tuple[object, str] | None = None
        self.began_at = time.time()
        self.expires_at = 0.0
        self.over = asyncio.Event()
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = heard
        self._out: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._turn_open = False
        self._may_speak_until = 0.0
        self._unanswered = bytearray()
        self._unanswered_from = 0.0
        self._sent_secs = 0.0
        self._going: bytes | str | None = None
        self._resampler = SOXRStreamAudioResampler(clear_after_secs=None)
        self._rest = bytearray()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

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
        self._unanswered += piece
        self._sent_secs += PIECE_SECS
        if self._sent_secs - self._unanswered_from > 2 * UNANSWERED_SECS:
            del self._unanswered[: -round(UNANSWERED_SECS / PIECE_SECS) * len(piece)]
            self._unanswered_from = self._sent_secs - UNANSWERED_SECS
        if loud:
            self.voiced_secs += PIECE_SECS
        self._out.put_nowait(piece)

    def say(self, message: Message) -> None:
        self._out.put_nowait(json.dumps(message))

    def tell(self, fields: Message, as_in_address: Mapping[str, str]) -> None:
        """One live update. as_in_address: the same values as an address would have them."""
        self.told = (fields, {name: self.has.get(name) for name in as_in_address}, time.monotonic())
        self.has.update(as_in_address)
        self.say({"type": "UpdateConfiguration", **fields})

    @property
    def unanswered(self) -> bytes:
        """The sound since the last finished turn, at most some seconds."""
        return bytes(self._unanswered)

    @property
    def unsent(self) -> bytes:
        """The sound that never left, after the connection broke."""
        left = [self._going]
        while not self._out.empty():
            left.append(self._out.get_nowait())
        return b"".join(piece for piece in left if isinstance(piece, bytes))

    def _answered(self, until: float) -> None:
        """A turn is finished that ended `until` seconds after the session's first sound."""
        self._turn_open, self._may_speak_until = False, 0.0
        pieces = round((min(until, self._sent_secs) - self._unanswered_from) / PIECE_SECS)
        whole = round((self._sent_secs - self._unanswered_from) / PIECE_SECS)
        if pieces > 0 and whole:
            del self._unanswered[: pieces * (len(self._unanswered) // whole)]
            self._unanswered_from += pieces * PIECE_SECS

    async def leave(self) -> None:
        """Let the session finish its last words and close it. Returns when that is done; never raises."""
        if not self.left:
            self.left = True
            self._out.put_nowait(None)
            self.say({"type": "Terminate"})
        try:
            async with asyncio.timeout(LEAVE_SECS):
                await self.over.wait()
        except TimeoutError:
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection at once. Never raises."""
        with contextlib.suppress(Exception):
            await self.socket.close()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.over.set()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                with contextlib.suppress(ValueError):
                    self._take(json.loads(data))
        except ConnectionClosed:
            pass
        finally:
            self.over.set()
            if not self.begun.done():
                code, text = self.error or (
                    self.socket.close_code,
                    "The connection was closed before the session began",
                )
                self.begun.set_exception(RefusedError(text, category_of(code, text), again=self.error is None))
            self._heard(self, None)

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
            case "Turn" if message.get("end_of_turn") and not self._formats_again(message):
                words: list[dict[str, Any]] = message.get("words") or [{}]
                self._answered(float(words[-1].get("end") or 1000 * self._sent_secs) / 1000)
            case "Turn" if message.get("transcript"):
                self._turn_open = self.spoke = True
            case _:
                pass
        self._heard(self, message)
        if message.get("type") == "Termination":
            self.over.set()

    def _formats_again(self, message: Message) -> bool:
        """The universal-streaming family sends the end of a turn twice where it formats."""
        return self.has.get("format_turns") == "true" and not message.get("turn_is_formatted")

    async def _write(self) -> None:
        """Sends in the order of saying. A connection that breaks is seen by the reader."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._going = await self._out.get()
                match self._going:
                    case bytes() as piece:
                        await self._send(piece)
                    case str() as message:
                        await self.socket.send(message)
                    case None:
                        await self._send_rest()
                self._going = None

    async def _send(self, piece: bytes) -> None:
        rate = round(len(piece) / 2 / PIECE_SECS)
        if rate == self.rate:
            await self.socket.send(piece)
            return
        self._rest += await self._resampler.resample(piece, rate, self.rate)
        size = self.piece_bytes
        while len(self._rest) >= size:
            await self.socket.send(bytes(self._rest[:size]))
            del self._rest[:size]

    async def _send_rest(self) -> None:
        """What the resampler still holds, filled up with silence: the vendor refuses shorter frames."""
        self._rest += await self._resampler.flush()
        if self._rest:
            await self.socket.send(bytes(self._rest.ljust(self.piece_bytes, b"\0")))
            self._rest.clear()

    @property
    def piece_bytes(self) -> int:
        return round(self.rate * PIECE_SECS) * 2


async def open_session(connect: Connect, has: Mapping[str, str], rate: int, heard: Heard) -> Session:
    """A session that has begun.

    Raises:
        RefusedError: the vendor, or the way there, said no.
    """
    try:
        async with asyncio.timeout(BEGIN_SECS):
            socket = await connect()
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise _no_connection(error) from error
    session = Session(socket, has, rate, heard)
    try:
        async with asyncio.timeout(BEGIN_SECS):
            await session.begun
    except TimeoutError:
        words = f"the session did not begin within {BEGIN_SECS:g} s"
        raise RefusedError(words, ErrorCategory.CONNECTIVITY, again=True) from None
    finally:
        if not session.begun.done() or session.begun.cancelled() or session.begun.exception():
            await session.close()
    return session


def _no_connection(error: Exception) -> RefusedError:
    response = getattr(error, "response", None)
    status, body = getattr(response, "status_code", None), getattr(response, "body", None)
    if status is None:
        words = str(error) or "no answer"
        return RefusedError(words, ErrorCategory.CONNECTIVITY, again=True)
    text = body.decode(errors="replace").strip() if isinstance(body, bytes | bytearray) else ""
    return RefusedError(
        f"{text or 'the connection is refused'} (HTTP {status})", classify_http_exception(error), again=status >= 500
    )
