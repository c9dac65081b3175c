"""What one session is sent: nobody waits for the network, and everything arrives in the order in which it was said.

Comes in: pieces of the caller's sound at the rate of the call, and messages. Goes out: both on the connection, the sound at the
session's rate; and the sound that never left when the connection broke.

Source: AssemblyAI, streaming API (frames of 50 to 1000 ms).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

PIECE_SECS = 0.05
"""How much sound goes into one frame: the vendor's shortest, and Pipecat 1.14's size."""

GENTLE = 4.0
"""How many times faster than it is spoken sound is sent to a vendor that was sent it too fast."""


class Sending:
    """A queue, and `run`, which empties it.

    rate:   of the sound the vendor gets, Hz.
    gentle: sound that waited is sent slowly.
    """

    def __init__(self, socket: ClientConnection, rate: int, *, gentle: bool) -> None:
        self._socket = socket
        self._rate = rate
        self._gentle = gentle
        self._out: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._going: bytes | str | None = None
        self._next_at = 0.0
        self._resampler = SOXRStreamAudioResampler(clear_after_secs=None)
        self._rest = bytearray()

    def sound(self, piece: bytes) -> None:
        """A piece of the caller's sound, 16 bits mono, `PIECE_SECS` long."""
        self._out.put_nowait(piece)

    def message(self, body: dict[str, Any]) -> None:
        self._out.put_nowait(json.dumps(body))

    def end_of_sound(self) -> None:
        """No more sound comes: what the resampler still holds goes out too."""
        self._out.put_nowait(None)

    def take_unsent(self) -> bytes:
        """The sound that never left, after the connection broke."""
        left = [self._going]
        while not self._out.empty():
            left.append(self._out.get_nowait())
        return b"".join(piece for piece in left if isinstance(piece, bytes))

    async def run(self) -> None:
        """Until the connection breaks, which the reader sees."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._going = await self._out.get()
                match self._going:
                    case bytes() as piece:
                        await self._send(piece)
                        if self._gentle and not self._out.empty():
                            await self._pace()
                    case str() as message:
                        await self._socket.send(message)
                    case None:
                        await self._send_rest()
                self._going = None

    async def _pace(self) -> None:
        """By the clock: waits that become longer than they should, on a busy machine, are made up for."""
        now = time.monotonic()
        self._next_at = max(self._next_at, now - 1.0) + PIECE_SECS / GENTLE
        if self._next_at > now:
            await asyncio.sleep(self._next_at - now)

    async def _send(self, piece: bytes) -> None:
        rate = round(len(piece) / 2 / PIECE_SECS)
        if rate == self._rate:
            await self._socket.send(piece)
            return
        self._rest += await self._resampler.resample(piece, rate, self._rate)
        while len(self._rest) >= self._frame_bytes:
            await self._socket.send(bytes(self._rest[: self._frame_bytes]))
            del self._rest[: self._frame_bytes]

    async def _send_rest(self) -> None:
        """Filled up with silence: the vendor refuses shorter frames."""
        self._rest += await self._resampler.flush()
        if self._rest:
            await self._socket.send(bytes(self._rest.ljust(self._frame_bytes, b"\0")))
            self._rest.clear()

    @property
    def _frame_bytes(self) -> int:
        return round(self._rate * PIECE_SECS) * 2
