"""Keys that a caller presses become a turn of the caller.

Comes in: keys, one by one. Goes out: the digits together, when `#` was pressed or none followed for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.audio.dtmf.types import KeypadEntry

PAUSE_SECS = 2.0
"""How long the next key may take (Pipecat 1.14, DTMFAggregator): people read numbers from a card."""


def pressed(keys: str) -> str:
    """How the turn reads, for the model and in the transcript: `[pressed 4711]`."""
    return f"[pressed {keys}]"


class Keypad:
    """Pipecat 1.14's DTMFAggregator makes a transcript of the keys; a turn of which nothing was heard would then have to be
    ended by turn detection, which waits for a voice. Here the turn is complete as it is.

    turn: what is done with a complete turn.
    """

    def __init__(self, turn: Callable[[str], Awaitable[None]]) -> None:
        self._turn = turn
        self._keys = ""
        self._pause: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[None]] = set()

    @property
    def is_being_used(self) -> bool:
        """Whether keys were pressed and more may come."""
        return bool(self._keys)

    async def press(self, key: KeypadEntry) -> None:
        """`#` ends what was pressed before and is not part of it; alone it is a turn."""
        self._stop_waiting()
        if key is KeypadEntry.POUND:
            await self._finish(self._keys or key.value)
        else:
            self._keys += key.value
            self._pause = asyncio.get_running_loop().call_later(PAUSE_SECS, self._paused)

    def close(self) -> None:
        """The call is over."""
        self._stop_waiting()
        self._keys = ""

    def _paused(self) -> None:
        task = asyncio.ensure_future(self._finish(self._keys))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, keys: str) -> None:
        self._keys = ""
        await self._turn(pressed(keys))

    def _stop_waiting(self) -> None:
        if self._pause:
            self._pause.cancel()
            self._pause = None
