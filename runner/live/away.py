"""The moments in which nobody is on the line of a call, though the call goes on: a page that is loaded again, a lost network.

Comes in: that the client is gone, or there. Goes out: the voice waits meanwhile, the caller's silence is not counted, and a call
to which nobody comes back in time ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from loguru import logger

from runner.live.call import Call
from runner.live.carriers.returning import Returning

_READY_SECS = 1.5
"""A client that is connected again may take so long to say that it is ready. One that never left the page never says it."""

_CHANGES_SECS = 20.0
"""A connection that takes the place of another one has to come about in this time."""


class Away:
    """Keeps one call while its client is gone.

    carrier: the call's. It tells this when its client is gone and when one is there.
    waits: whether the call waits for a client that is gone; otherwise it ends.
    """

    def __init__(self, call: Call, carrier: Returning, *, waits: bool) -> None:
        self._call, self._carrier, self._waits = call, carrier, waits
        self._since: float | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._spawned: set[asyncio.Task[None]] = set()
        carrier.when_gone, carrier.when_changing = self._gone, self._changing
        carrier.when_there, carrier.when_hung_up = self._there, self.hang_up

        @call.worker.rtvi.event_handler("on_client_ready")
        async def ready(*_: object) -> None:
            await self._back()

        self._spawn(self._close_with_call())

    async def hang_up(self) -> None:
        """The caller has left on purpose."""
        await self._call.cancel("the caller hung up")

    async def _gone(self, lost: float) -> None:
        seconds = self._call.conversation.agent.limits.wait_for_return if self._waits else 0.0
        if not seconds or not self._call.conversation.begun:
            await self.hang_up()
        elif self._hold(lost):
            logger.info(f"The client is gone; the call waits {seconds:g} s for it")
            self._later(max(0.0, seconds - lost), lambda: self._give_up(seconds))

    async def _changing(self) -> None:
        if self._call.conversation.begun and self._hold(0.0):
            self._later(_CHANGES_SECS, lambda: self._give_up(_CHANGES_SECS))

    async def _there(self) -> None:
        if self._since is not None:
            self._later(_READY_SECS, self._back)

    def _hold(self, lost: float) -> bool:
        if self._since is not None or self._call.is_over:
            return False
        self._since = asyncio.get_running_loop().time() - lost
        self._call.nobody_listens = True
        self._carrier.hold(lost)
        return True

    async def _back(self) -> None:
        """A client is there and can hear: go on."""
        since, self._since = self._since, None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if since is None or self._call.is_over:
            return
        gone = asyncio.get_running_loop().time() - since
        logger.info(f"The client is back after {gone:.1f} s")
        await self._call.go_on(gone)
        self._carrier.release()

    async def _give_up(self, seconds: float) -> None:
        if self._since is not None:
            await self._call.cancel(f"the caller did not come back within {seconds:g} s (limits.wait_for_return)")

    def _later(self, seconds: float, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, lambda: self._spawn(what())))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    async def _close_with_call(self) -> None:
        await self._call.over()
        for timer in self._timers:
            timer.cancel()
        self._carrier.close()
