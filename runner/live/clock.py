"""How long a call may last: a warning before the end, a goodbye, the end.

Comes in: the limits of the moment, which a save may change, and when the caller's turns begin and end. Goes out: lines to speak,
and the end of the call with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor

from runner.definition import Limits


class Clock:
    """Of one call.

    limits: those of now.
    say:    speaks a line as written, after what is being said.
    finish: ends the call, with a reason, when all that was said before is out.
    spawn:  runs in the background.
    caller: the caller's side of the context (Pipecat's user aggregator), which tells of turns.
    """

    def __init__(
        self,
        *,
        limits: Callable[[], Limits],
        say: Callable[[str], Coroutine[Any, Any, None]],
        finish: Callable[[str], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        caller: FrameProcessor,
    ) -> None:
        self._limits, self._say, self._finish, self._spawn = limits, say, finish, spawn
        self._timers: list[asyncio.TimerHandle] = []
        self._began: float | None = None
        self._speaks = self._owes_warning = self._warned = False

        @caller.event_handler("on_user_turn_started")
        async def speaks(*_: object) -> None:
            self._speaks = True

        @caller.event_handler("on_user_turn_stopped")
        async def has_spoken(*_: object) -> None:
            self._speaks = False
            if self._owes_warning:
                self._warn()

    @property
    def seconds(self) -> float:
        """Since the call began; 0 before."""
        return 0.0 if self._began is None else asyncio.get_running_loop().time() - self._began

    @property
    def runs(self) -> bool:
        return self._began is not None

    def begin(self) -> None:
        """The call begins now. Once."""
        self._began = asyncio.get_running_loop().time()
        self.follow()

    def follow(self) -> None:
        """Go by the limits of now, counted from the call's beginning; one that has passed ends the call at once."""
        self.close()
        limits, loop = self._limits(), asyncio.get_running_loop()
        if limits.max_call is None or self._began is None:
            return
        end = self._began + limits.max_call
        if limits.warning and not self._warned and end > loop.time():
            self._timers.append(loop.call_at(max(loop.time(), end - limits.warn_before), self._warn))
        self._timers.append(loop.call_at(max(loop.time(), end), self._end))

    def close(self) -> None:
        """No warning and no end any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers, self._owes_warning = [], False

    def _warn(self) -> None:
        warning = self._limits().warning
        self._owes_warning = self._speaks
        if warning and not self._speaks:
            self._warned = True
            self._spawn(self._say(warning))

    def _end(self) -> None:
        self._owes_warning = False
        self._spawn(self._good_bye())

    async def _good_bye(self) -> None:
        if goodbye := self._limits().goodbye:
            await self._say(goodbye)
        await self._finish("the call reached its longest time (limits.max_call)")
