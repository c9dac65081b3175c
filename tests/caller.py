"""A caller over websocket, as an app or the page's fallback is one: sound both ways in real time, RTVI messages beside it.

Comes in: what to say, as text, samples or typed words. Goes out: what the agent's side sent, each piece with its time
(`time.monotonic()` seconds, the clock the emulators use too).

The wire is Pipecat 1.14's ProtobufFrameSerializer: 16 kHz mono 16 bits towards the agent, 24 kHz back, JSON of the RTVI
protocol in message frames, and an interruption frame when the agent falls silent for the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import numpy as np
import websockets
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import ClientConnection

from tests.speech import Samples, speak

IN_RATE, OUT_RATE = 16_000, 24_000
FRAME_SECS = 0.02
_FRAME = int(IN_RATE * FRAME_SECS)

VOICED = 300.0
"""Root mean square of 16-bit samples from which a 20 ms frame counts as voice."""


@dataclass(frozen=True, slots=True)
class Received:
    """One RTVI message. kind: its `type`, such as `bot-output`, `user-transcription`, `server-message`."""

    at: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """One piece of the agent's sound as it arrived: mono, 16 bits, `rate` Hz."""

    at: float
    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def is_voiced(self) -> bool:
        return _loudness(self.samples) > VOICED


@dataclass(frozen=True, slots=True)
class Said:
    """When the first and the last voiced 20 ms of something said left for the agent."""

    began: float
    ended: float


@dataclass(slots=True)
class _Sentence:
    left: Samples
    done: asyncio.Future[Said]
    began: float | None = None
    ended: float | None = None


class Caller:
    """One call. Use as `async with Caller("ws://127.0.0.1:7860/ws-client/support") as caller:`.

    The microphone is open from the start and sends a frame every 20 ms, silence when nothing is said. What the agent
    sends is kept: `messages`, `sound`, `interruptions` (the times at which the agent's side told the caller to stop
    playing). `close_code` is what ended the connection, None while it is open, and `closed_at` when it did.

    ready: say `client-ready` at once, so that the agent may greet. Without it the agent waits for `client_ready()`.
    """

    def __init__(self, address: str, *, ready: bool = True) -> None:
        self._address = address
        self._ready = ready
        self._waiting: asyncio.Queue[_Sentence] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._plays_until = 0.0
        self.messages: list[Received] = []
        self.sound: list[Heard] = []
        self.interruptions: list[float] = []
        self.connected_at = 0.0
        self.close_code: int | None = None
        self.closed_at = 0.0

    async def __aenter__(self) -> Self:
        # No proxy of the environment and no compression: the agent is on this machine and sound does not shrink.
        self._socket = await websockets.connect(self._address, compression=None, proxy=None, max_size=None)
        self.connected_at = time.monotonic()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._talk())]
        if self._ready:
            await self.client_ready()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.hang_up()

    async def client_ready(self) -> None:
        """Tell the agent's side that this side can play sound."""
        await self._tell("client-ready", {"version": "2.0.0", "about": {"library": "tests"}})

    async def say(self, text: str, *, pace: float = 1.0) -> Said:
        """Speak `text` with the caller's voice. Returns when its last sound has left."""
        return await self.say_samples(await asyncio.to_thread(_spoken, text, pace))

    async def say_samples(self, samples: Samples) -> Said:
        """Send these samples (16 kHz, mono, 16 bits) in real time. Returns when the last one has left."""
        sentence = _Sentence(samples, asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(sentence)
        return await sentence.done

    async def send_text(self, text: str) -> None:
        """Type a turn instead of speaking it."""
        await self._tell("send-text", {"content": text, "options": {"run_immediately": True, "audio_response": True}})

    async def hang_up(self) -> None:
        """Leave. Safe to call more than once."""
        for task in self._tasks[1:]:
            task.cancel()
        if self._socket:
            await self._socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        """Be gone without a word, as when the network is."""
        assert self._socket, "the call has not begun"
        self._socket.transport.abort()

    async def wait_until(self, condition: Callable[[], object], what: str, *, seconds: float = 10) -> None:
        """Returns when `condition()` is true; it is asked again after everything that arrives and every 20 ms.

        Raises:
            AssertionError: it did not become true in time; says `what` was waited for and what came instead.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come within {seconds} s. What came: {self._summary()}")
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), FRAME_SECS)

    async def wait_for_stage(self, name: str, *, seconds: float = 10) -> None:
        """Until the call is in the stage `name`."""
        await self.wait_until(lambda: self.stage == name, f"stage {name}", seconds=seconds)

    async def wait_for_agent_words(self, words: str, *, seconds: float = 10) -> None:
        """Until the agent has said `words` to their end: they stand in its transcript of what was spoken."""
        await self.wait_until(lambda: words in self.agent_text, f"the agent's {words!r}", seconds=seconds)

    async def wait_for_agent_sound(self, *, after: float = 0, seconds: float = 10) -> float:
        """Until voice of the agent has arrived later than `after`. Returns when it came."""
        await self.wait_until(lambda: self.voice_after(after), "the agent's voice", seconds=seconds)
        return self.voice_after(after)[0].at

    async def wait_for_silence(self, *, seconds: float = 20) -> None:
        """Until a loudspeaker on this side would have played all that came."""
        await self.wait_until(lambda: not self.hears_agent, "the agent's silence", seconds=seconds)

    async def wait_for_end(self, *, seconds: float = 15) -> None:
        """Until the agent's side has ended the call."""
        await self.wait_until(lambda: self.close_code is not None, "the end of the call", seconds=seconds)

    @property
    def stage(self) -> str | None:
        """The stage the call is in, None as long as none was told."""
        return self.stages[-1] if self.stages else None

    @property
    def stages(self) -> list[str]:
        """Every stage that was entered, in order."""
        return [str(data["to"]) for data in self.told("stage")]

    @property
    def agent_text(self) -> str:
        """What the agent has spoken so far, its finished sentences joined by a space."""
        outputs = self.of("bot-output")
        return " ".join(str(m.data["text"]).strip() for m in outputs if m.data.get("spoken_status") == "completed")

    @property
    def own_text(self) -> str:
        """What the agent's ear made of this caller, final words only."""
        return " ".join(str(m.data["text"]) for m in self.of("user-transcription") if m.data.get("final"))

    @property
    def hears_agent(self) -> bool:
        """Whether a loudspeaker on this side would be playing now."""
        return time.monotonic() < self._plays_until

    def of(self, kind: str) -> list[Received]:
        """The messages of one RTVI type."""
        return [message for message in self.messages if message.kind == kind]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of runner's own messages of one type: `stage`, `version`, `latency`, `problem`, `end`."""
        return [m.data for m in self.of("server-message") if m.data.get("type") == kind]

    def voice_after(self, moment: float) -> list[Heard]:
        """The voiced pieces of the agent's sound that came later than `moment`."""
        return [heard for heard in self.sound if heard.at > moment and heard.is_voiced]

    async def _talk(self) -> None:
        due = time.monotonic()
        sentence: _Sentence | None = None
        silence = np.zeros(_FRAME, np.int16)
        while True:
            if sentence is None and not self._waiting.empty():
                sentence = self._waiting.get_nowait()
            frame = silence
            if sentence:
                frame, sentence.left = sentence.left[:_FRAME], sentence.left[_FRAME:]
                frame = np.pad(frame, (0, _FRAME - len(frame)))
            await self._send_sound(frame)
            if sentence:
                now = time.monotonic()
                if _loudness(frame) > VOICED:
                    sentence.began, sentence.ended = sentence.began or now, now
                if not len(sentence.left):
                    sentence.done.set_result(Said(sentence.began or now, sentence.ended or now))
                    sentence = None
            due += FRAME_SECS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _listen(self) -> None:
        assert self._socket
        try:
            async for data in self._socket:
                if isinstance(data, bytes):
                    self._take(data, time.monotonic())
                    self._news.set()
        except websockets.ConnectionClosedError:
            pass
        finally:
            self.close_code, self.closed_at = self._socket.close_code, time.monotonic()
            self._news.set()

    def _take(self, data: bytes, now: float) -> None:
        frame = frames_pb2.Frame.FromString(data)  # pyright: ignore[reportAttributeAccessIssue]
        match frame.WhichOneof("frame"):
            case "audio":
                heard = Heard(now, np.frombuffer(frame.audio.audio, "<i2"), frame.audio.sample_rate)
                self.sound.append(heard)
                self._plays_until = max(self._plays_until, now) + heard.seconds
            case "interruption":
                self.interruptions.append(now)
                self._plays_until = now
            case "message":
                body = json.loads(frame.message.data)
                if body.get("label") == "rtvi-ai":
                    self.messages.append(Received(now, body["type"], body.get("data") or {}))
            case _:
                pass

    async def _tell(self, kind: str, data: dict[str, Any]) -> None:
        body = {"label": "rtvi-ai", "type": kind, "id": uuid.uuid4().hex[:8], "data": data}
        await self._send(message={"data": json.dumps(body)})

    async def _send_sound(self, samples: Samples) -> None:
        await self._send(audio={"audio": samples.tobytes(), "sample_rate": IN_RATE, "num_channels": 1})

    async def _send(self, **frame: dict[str, Any]) -> None:
        assert self._socket, "the call has not begun"
        data = frames_pb2.Frame(**frame).SerializeToString()  # pyright: ignore[reportAttributeAccessIssue]
        with contextlib.suppress(websockets.ConnectionClosed):
            await self._socket.send(data)

    def _summary(self) -> str:
        told = [m.data for m in self.of("server-message") if m.data.get("type") != "latency"]
        return (
            f"stages {self.stages}, agent {self.agent_text!r}, caller {self.own_text!r}, "
            f"{sum(heard.seconds for heard in self.sound):.1f} s of sound, close code {self.close_code}, told {told}"
        )


def _loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float32) ** 2))) if len(samples) else 0.0


@cache
def _spoken(text: str, pace: float) -> Samples:
    return speak(text, pace=pace)
