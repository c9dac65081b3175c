"""What every emulator shares: a server on a free port of 127.0.0.1, recorded websocket sessions, planned faults.

Comes in: aiohttp routes of one vendor. Goes out: a running server, in the test's event loop or in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from aiohttp import WSCloseCode, web
from multidict import CIMultiDict

T = TypeVar("T")


async def until(condition: Callable[[], object], within: float = 5.0) -> None:
    """Returns as soon as `condition()` is true. Raises AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], object], within: float = 5.0) -> None:
    """`until` for tests without an event loop, beside an emulator that runs `in_thread`."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.005)


class Planned(Generic[T]):
    """Faults a test has ordered. `take` hands out one per occasion; `times=None` means every occasion from now on."""

    def __init__(self) -> None:
        self._orders: deque[tuple[T, int | None]] = deque()

    def plan(self, fault: T, times: int | None = 1) -> None:
        if times != 0:
            self._orders.append((fault, times))

    def take(self) -> T | None:
        if not self._orders:
            return None
        fault, times = self._orders[0]
        if times is not None:
            self._orders.popleft()
            if times > 1:
                self._orders.appendleft((fault, times - 1))
        return fault

    def clear(self) -> None:
        self._orders.clear()


@dataclass(frozen=True, slots=True)
class Message:
    """One JSON message on the wire. at: `time.monotonic()` seconds, the same clock in every process of this machine."""

    at: float
    body: dict[str, Any]


class Emulator:
    """A vendor's server. Subclasses give `routes()`; attributes may be changed while it runs."""

    path: ClassVar[str] = ""
    scheme: ClassVar[str] = "http"

    def __init__(self) -> None:
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._background: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What a client is given as the vendor's address, e.g. `ws://127.0.0.1:43121/v3/ws`."""
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path}"

    def routes(self) -> Iterable[web.RouteDef]:
        raise NotImplementedError

    async def start(self, port: int = 0) -> None:
        """Listens on 127.0.0.1. port: 0 takes a free one; `self.port` tells which."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.add_routes(self.routes())
        # Handlers end with their client, so that an abandoned answer is seen as such.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self._loop = asyncio.get_running_loop()

    async def refuse_connections(self) -> None:
        """Nobody listens on the port any more; open connections stay. `accept_connections` ends it."""
        assert self._site
        await self._site.stop()
        self._site = None

    async def accept_connections(self) -> None:
        assert self._runner
        assert not self._site
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()

    async def stop(self) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._runner:
            await self._runner.cleanup()
        self._runner = self._loop = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextmanager
    def in_thread(self, port: int = 0) -> Generator[Self]:
        """Runs in a thread and event loop of its own, for tests that start `runner` as a process."""
        ready, problems = threading.Event(), list[BaseException]()
        ending: asyncio.Event | None = None

        async def serve() -> None:
            nonlocal ending
            ending = asyncio.Event()
            try:
                await self.start(port)
            finally:
                ready.set()
            await ending.wait()
            await self.stop()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as problem:
                problems.append(problem)

        thread = threading.Thread(target=run, name=type(self).__name__, daemon=True)
        thread.start()
        ready.wait(10)
        if problems or not self._loop:
            thread.join(10)
            raise RuntimeError(f"{type(self).__name__} did not start") from (problems[0] if problems else None)
        loop = self._loop
        try:
            yield self
        finally:
            assert ending
            loop.call_soon_threadsafe(ending.set)
            thread.join(10)
        if problems:
            raise problems[0]

    def act(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` in the emulator's loop soon; may be called from any thread."""
        assert self._loop, "the emulator is not running"
        self._loop.call_soon_threadsafe(self._spawn, work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


@dataclass
class Session:
    """One websocket connection and everything that went over it. The methods may be called from any thread.

    headers: of the handshake, read without regard to case.  query: of the address, decoded.
    received, sent: JSON messages with their time.  opened_at, closed_at: `time.monotonic()` seconds.
    close_code: what ended it, the server's own code where the server closed; None while open.
    """

    emulator: Emulator
    request: web.Request
    socket: web.WebSocketResponse
    received: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    opened_at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None
    close_code: int | None = None

    def __post_init__(self) -> None:
        self.headers = CIMultiDict(self.request.headers)
        self.query = dict(self.request.query)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    def of_type(self, name: str) -> list[Message]:
        """The received messages whose `type` is `name`."""
        return [message for message in self.received if message.body.get("type") == name]

    def say(self, body: dict[str, Any]) -> None:
        """Sends one JSON message the vendor might send."""
        self.emulator.act(self.send(body))

    def say_text(self, text: str) -> None:
        """Sends one text frame as it is, JSON or not."""
        self.emulator.act(self.send_text(text))

    def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Closes the way the vendor does, with a code and a reason."""
        self.emulator.act(self.end(code, reason))

    def drop(self) -> None:
        """Breaks the connection without a close frame, like a lost network."""
        self.emulator.act(self._drop())

    async def send(self, body: dict[str, Any]) -> None:
        self.sent.append(Message(time.monotonic(), body))
        await self.send_text(json.dumps(body, ensure_ascii=False))

    async def send_text(self, text: str) -> None:
        if self.socket.closed:
            return
        try:
            await self.socket.send_str(text)
        except ConnectionError:
            self.note_closed(WSCloseCode.ABNORMAL_CLOSURE)

    async def end(self, code: int, reason: str) -> None:
        self.note_closed(code)
        await self.socket.close(code=code, message=reason.encode())

    async def _drop(self) -> None:
        self.note_closed(WSCloseCode.ABNORMAL_CLOSURE)
        if transport := self.request.transport:
            transport.abort()

    def note_closed(self, code: int | None) -> None:
        if self.closed_at is None:
            self.closed_at = time.monotonic()
            self.close_code = None if code is None else int(code)
