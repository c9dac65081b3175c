"""A caller over WebRTC, as Pipecat's `@pipecat-ai/small-webrtc-transport` 1.10 is one: three transceivers, the data channel
`chat`, a `ping` every second, RTVI messages as JSON beside the sound.

Comes in: where to send the offer. Goes out: what the agent's side sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack

VOICED = 300.0
"""Root mean square of 16-bit samples from which a frame counts as voice."""


class WebRTCCaller:
    """One connection. Use as `async with WebRTCCaller("http://127.0.0.1:7860/api/offer?agent=support") as caller:`.

    data: what the offer carries for the session, `request_data`. answer: the answer to the offer.
    ready: say `client-ready`. again: the `pc_id` of an answer whose connection is given up for this one (`restart_pc`).
    """

    def __init__(
        self, address: str, *, data: dict[str, Any] | None = None, ready: bool = True, again: str | None = None
    ) -> None:
        self._address, self._data, self._ready, self._again = address, data, ready, again
        self._pc = RTCPeerConnection()
        self._channel = self._pc.createDataChannel("chat", ordered=True)
        self._tasks: list[asyncio.Task[None]] = []
        self.answer: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []
        self.voiced: list[float] = []
        self.closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._pc.addTrack(AudioStreamTrack())
        self._pc.addTransceiver("video", direction="recvonly")
        self._pc.addTransceiver("video", direction="recvonly")
        opened = asyncio.Event()
        self._channel.on("open", opened.set)
        self._channel.on("message", self._take)

        @self._pc.on("track")
        def track(track: MediaStreamTrack) -> None:
            if track.kind == "audio":
                self._tasks.append(asyncio.create_task(self._hear(track)))

        @self._pc.on("connectionstatechange")
        def changed() -> None:
            if self._pc.connectionState in ("closed", "failed"):
                self.closed.set()

        await self._pc.setLocalDescription(await self._pc.createOffer())
        body = {"sdp": self._pc.localDescription.sdp, "type": self._pc.localDescription.type}
        again = {"pc_id": self._again, "restart_pc": True} if self._again else {}
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(self._address, json={**body, "request_data": self._data or {}, **again})
        if answer.status_code != 200:
            await self._pc.close()
            raise ConnectionRefusedError(answer.status_code, answer.json().get("detail"))
        self.answer = answer.json()
        await self._pc.setRemoteDescription(RTCSessionDescription(self.answer["sdp"], self.answer["type"]))
        await asyncio.wait_for(opened.wait(), 20)
        self._tasks.append(asyncio.create_task(self._ping()))
        if self._ready:
            await self.tell("client-ready", {"version": "2.0.0", "about": {"library": "tests"}})
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close the connection, as a browser does whose page is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pc.close()

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Send one RTVI message."""
        self._channel.send(json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data}))

    async def send_text(self, text: str) -> None:
        """Type a turn instead of speaking it."""
        await self.tell("send-text", {"content": text, "options": {"run_immediately": True, "audio_response": True}})

    async def wait_until(self, condition: Callable[[], object], what: str, *, seconds: float = 20) -> None:
        """Returns when `condition()` is true.

        Raises:
            AssertionError: it did not become true in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come within {seconds} s. What came: {self.messages}")
            await asyncio.sleep(0.02)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one RTVI type."""
        return [message for message in self.messages if message["type"] == kind]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of runner's own messages of one type."""
        return [m["data"] for m in self.of("server-message") if m["data"].get("type") == kind]

    @property
    def agent_text(self) -> str:
        """What the agent has spoken so far, its finished sentences joined by a space."""
        outputs = [message["data"] for message in self.of("bot-output")]
        return " ".join(data["text"].strip() for data in outputs if data.get("spoken_status") == "completed")

    def _take(self, text: str) -> None:
        message = json.loads(text)
        if message.get("label") == "rtvi-ai":
            self.messages.append(message)

    async def _hear(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                samples = (await track.recv()).to_ndarray().astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]
                if float(np.sqrt(np.mean(samples**2))) > VOICED:
                    self.voiced.append(time.monotonic())

    async def _ping(self) -> None:
        while True:
            self._channel.send(f"ping: {time.time()}")
            await asyncio.sleep(1)
