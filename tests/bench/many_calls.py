"""Many calls at once on one `runner`, for measurements: the callers, the vendors and a clock of the machine's own delays.

Comes in: how many calls. Goes out: the calls' sessions at the emulated vendors, each with the time of every message. All of it
runs in one event loop, in another process than `runner`, and costs little: sound is made once and not looked at when it comes
back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import websockets
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import ClientConnection

from tests.cloud.vendors import KEYS, Ports
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.emulators.assemblyai import AssemblyAISession
from tests.speech import Samples, speak

RATE, FRAME_SECS = 16_000, 0.02
_FRAME = int(RATE * FRAME_SECS)


def _frame(**kind: Any) -> bytes:
    return frames_pb2.Frame(**kind).SerializeToString()  # pyright: ignore[reportAttributeAccessIssue]


def _sound(samples: Samples) -> bytes:
    return _frame(audio={"audio": samples.tobytes(), "sample_rate": RATE, "num_channels": 1})


_SILENCE = _sound(np.zeros(_FRAME, np.int16))


@dataclass
class Talker:
    """One caller. `saying`: the frames that are still to be sent. `closed`: the code that ended the call, None while it is on.
    `versions`: those of the agent file that the call was told to go on with, in order."""

    socket: ClientConnection
    saying: list[bytes] = field(default_factory=list)
    closed: int | None = None
    versions: list[int] = field(default_factory=list)

    async def type(self, text: str) -> None:
        """A turn, as if it had been spoken."""
        data = {"content": text, "options": {"run_immediately": True, "audio_response": True}}
        await self.tell("send-text", data)

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        body = {"label": "rtvi-ai", "type": kind, "id": f"{time.monotonic_ns()}", "data": data}
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.socket.send(_frame(message={"data": json.dumps(body)}))

    async def listen(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosedError):
            async for data in self.socket:
                if isinstance(data, bytes) and b'"version"' in data:
                    self._take(data)
        self.closed = self.socket.close_code

    def _take(self, data: bytes) -> None:
        frame = frames_pb2.Frame.FromString(data)  # pyright: ignore[reportAttributeAccessIssue]
        if frame.WhichOneof("frame") == "message":
            said = json.loads(frame.message.data).get("data") or {}
            if said.get("type") == "version":
                self.versions.append(said["version"])


@dataclass
class Calls:
    """Running calls and their vendors."""

    ears: AssemblyAIEmulator
    mind: OpenAIEmulator
    voice: CartesiaEmulator
    port: int
    talkers: list[Talker] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)

    @property
    def ear_sessions(self) -> list[AssemblyAISession]:
        """The newest open session of each call."""
        return [session for session in self.ears.sessions if session.is_open]

    async def ring(self, number: int, name: str) -> None:
        """So many more calls, one after another, each connected to its ear."""
        for _ in range(number):
            before = len(self.ears.sessions)
            address = f"ws://127.0.0.1:{self.port}/ws-client/{name}"
            socket = await websockets.connect(address, compression=None, proxy=None, max_size=None)
            talker = Talker(socket)
            self.talkers.append(talker)
            asyncio.ensure_future(talker.listen()).add_done_callback(lambda _: None)
            await talker.tell("client-ready", {"version": "2.0.0", "about": {"library": "tests"}})
            await until(lambda before=before: len(self.ears.sessions) > before, 20)

    def speak(self, text: str, talkers: Sequence[Talker]) -> None:
        """Let these callers say something, each from now on."""
        samples = speak(text)
        whole = np.pad(samples, (0, -len(samples) % _FRAME))
        frames = [_sound(whole[at : at + _FRAME]) for at in range(0, len(whole), _FRAME)]
        for talker in talkers:
            talker.saying = list(frames)

    async def _send_sound(self) -> None:
        due = time.monotonic()
        while True:
            for number, talker in enumerate(self.talkers):
                with contextlib.suppress(websockets.ConnectionClosed):
                    await talker.socket.send(talker.saying.pop(0) if talker.saying else _SILENCE)
                if number % 5 == 4:
                    await asyncio.sleep(0)
            due += FRAME_SECS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _watch_the_clock(self) -> None:
        """How late this process itself is, and how late an empty request to `runner` is answered: the noise of the machine."""
        async with aiohttp.ClientSession() as session:
            while True:
                due = time.monotonic() + 0.05
                await asyncio.sleep(0.05)
                self.lags.append(time.monotonic() - due)
                begun = time.monotonic()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{self.port}/health") as answer:
                        await answer.read()
                    self.pings.append(time.monotonic() - begun)


@asynccontextmanager
async def vendors(ports: Ports, port: int) -> AsyncGenerator[Calls]:
    """Emulated vendors on `ports`, no call yet; `port` is where `runner` answers. Hangs up at the end."""
    calls = Calls(
        AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]),
        OpenAIEmulator(key=KEYS["OPENAI_API_KEY"], answer=lambda body: str(body["messages"][-1]["content"])),
        CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"]),
        port,
    )
    calls.ears.termination_delay = 0.05
    for vendor, at in ((calls.ears, ports.ears), (calls.mind, ports.mind), (calls.voice, ports.voice)):
        await vendor.start(at)
    tasks = [asyncio.create_task(calls._send_sound()), asyncio.create_task(calls._watch_the_clock())]  # pyright: ignore[reportPrivateUsage]
    try:
        yield calls
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(talker.socket.close() for talker in calls.talkers))
        for vendor in (calls.ears, calls.mind, calls.voice):
            await vendor.stop()


def save(file: Path, text: str) -> float:
    """Save as most editors do, a new file in the old one's place. Returns when it was there, `time.monotonic()` seconds."""
    draft = file.with_name(f"{file.name}~")
    draft.write_text(text)
    draft.replace(file)
    return time.monotonic()


def quantile(numbers: Sequence[float], part: float) -> float:
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")
