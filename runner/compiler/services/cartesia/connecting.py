"""Cartesia's voice that comes back when its connection breaks.

Comes in: messages to send, and what the socket does. Goes out: the vendor's messages, over one connection after another; and an
error with the reason when none can be made. What was being said meanwhile is not known here (`steady`).

Pipecat 1.14 waits four seconds before its second try to connect, and gives the service up after three.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, cast

from loguru import logger
from pipecat.utils.errors import ErrorCategory, classify_http_exception
from websockets import ConnectionClosed, State

from runner.compiler.services.cartesia.voice import CartesiaVoice
from runner.compiler.services.lost import AnswerLost

LASTING = frozenset({ErrorCategory.QUOTA}) | {kind for kind in ErrorCategory if kind.is_permanent}
"""Refusals that another try does not change."""

_CONNECT_SECS = 2.5
_WAITS = (0.0, 0.3, 0.8, 1.5)
"""Seconds before each try to connect again. All of them together stay below what a caller waits."""

_SHORT_SECS, _SHORT_ONES = 3.0, 3
"""A connection that lasts less than the first is a short one; after so many in a row none is made until there is something to
say."""

_MAX_MESSAGE = 2**24


class CartesiaConnected(CartesiaVoice):
    """The service, as far as its connection goes."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._short = 0

    # What those do who know what is being said

    async def _connected_again(self) -> None:
        """There is a connection again: go on with what was being said."""

    async def _stays_unsaid(self) -> bool:
        """There will be no connection: forget what was being said. Returns whether there was something."""
        return False

    # The connection

    def _break(self) -> None:
        """Drop a connection that is of no use, for another one; it does not count as short."""
        self._short -= 1
        cast(Any, self._websocket).transport.abort()  # the listening task notices and comes back

    async def _connect(self) -> None:
        self._disconnecting = False
        self._short = 0
        fault = await self._open()
        if not self._receive_task or self._receive_task.done():
            self._receive_task = self.create_task(self._listen(fault), "listens")

    async def _open(self) -> Exception | None:
        """Connect. Returns what kept it from that."""
        headers = {"X-API-Key": self._api_key, "Cartesia-Version": self._cartesia_version, **self._extra_headers}
        try:
            self._websocket = await self._websocket_connect(
                self._url, additional_headers=headers, open_timeout=_CONNECT_SECS, max_size=_MAX_MESSAGE
            )
        except Exception as fault:
            self._websocket = None
            return fault
        await self._call_event_handler("on_connected")
        return None

    async def _listen(self, fault: Exception | None) -> None:
        """As long as the service runs, and the vendor does not refuse it."""
        while True:
            if (self._websocket is None or fault) and not await self._come_back(fault):
                return
            since = time.monotonic()
            try:
                await self._process_messages()
                fault = ConnectionError("the connection was closed")
            except Exception as broken:
                fault = broken
            if self._disconnecting:
                return
            logger.warning(f"{self}: the connection broke: {fault}")
            self._short = self._short + 1 if time.monotonic() - since < _SHORT_SECS else 0
            if self._short >= _SHORT_ONES:
                await self._give_up(fault)
                return

    async def _come_back(self, fault: Exception | None) -> bool:
        """Connect again and go on with what was being said. fault: why the connection broke, or could not be made."""
        just_tried = self._websocket is None and fault is not None
        await self._drop_socket()
        for tried, wait in enumerate(_WAITS):
            if tried or not just_tried:
                await asyncio.sleep(wait)
                fault = await self._open()
            if fault is None:
                await self._connected_again()
                return True
            if classify_http_exception(fault) in LASTING:
                break
            if tried == 0:
                await self.push_error(f"{self} reconnection attempt 1 failed: {fault}", exception=fault)
        await self._give_up(fault)
        return False

    async def _drop_socket(self) -> None:
        socket, self._websocket = cast(Any, self._websocket), None
        if socket and socket.state is State.OPEN:
            socket.transport.abort()

    async def _give_up(self, fault: Exception | None) -> None:
        """There is no connection. The next text tries again, unless the vendor refuses this account or what it asks for."""
        await self._drop_socket()
        category = classify_http_exception(fault) if fault else ErrorCategory.CONNECTIVITY
        if category is ErrorCategory.UNKNOWN:
            category = ErrorCategory.CONNECTIVITY
        words = f"Unknown error occurred: {fault}"
        if await self._stays_unsaid() and category not in LASTING:
            await self.push_error_frame(AnswerLost(words, exception=fault, category=category))
        else:
            await self.push_error(words, exception=fault, category=category)

    async def _send(self, message: dict[str, Any], *, wake: bool = True) -> None:
        """What cannot be sent now is when the connection is there again; `wake`: see to it that it comes."""
        socket = cast(Any, self._websocket)
        if socket and socket.state is State.OPEN:
            with suppress(ConnectionClosed):
                await socket.send(json.dumps(message))
        elif wake and (not self._receive_task or self._receive_task.done()):
            self._short = 0
            self._disconnecting = False
            self._receive_task = self.create_task(self._listen(None), "listens")
