"""A caller who says nothing: asked a few times, then the call ends (`turns.idle`).

Comes in: Pipecat's notices that the caller has been silent, and signs of life. Goes out: lines to speak, and the end of the call
with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from runner.definition import Idle


class Idleness:
    """Of one call.

    idle:   what the file says now, None for nothing.
    counts: whether the silence is the caller's: not while a client is gone, keys are pressed or an answer is awaited.
    again:  counts the caller's silence from its beginning.
    say:    speaks a line as written. finish: ends the call, with a reason, when all that was said before is out.
    """

    def __init__(
        self,
        *,
        idle: Callable[[], Idle | None],
        counts: Callable[[], bool],
        again: Callable[[], Awaitable[None]],
        say: Callable[[str], Awaitable[None]],
        finish: Callable[[str], Awaitable[None]],
    ) -> None:
        self._idle, self._counts, self._again, self._say, self._finish = idle, counts, again, say, finish
        self._silences = 0

    def is_broken(self) -> None:
        """The caller is there."""
        self._silences = 0

    async def noticed(self) -> None:
        """The caller has been silent for as long as the file allows."""
        idle = self._idle()
        if idle is None:
            return
        if not self._counts():
            await self._again()
            return
        self._silences += 1
        if self._silences <= idle.tries:
            await self._say(idle.say)
            return
        if idle.goodbye:
            await self._say(idle.goodbye)
        await self._finish("the caller said nothing any more (turns.idle)")
