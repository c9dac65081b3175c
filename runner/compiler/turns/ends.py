"""The end of a turn in which the caller dictates: after a long silence, or a short one when what was heard sounds complete.

Pipecat 1.14 ends AssemblyAI's turn at every stop of the local voice detection, so an address spoken with pauses falls into
pieces, and Smart Turn may take a piece for the whole or wait three seconds after it. Here the local silence is counted on, and
the recogniser is asked for the end of its turn once, when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import BaseUserTurnStopStrategy

from runner.catalog import DICTATION_SETTLED_SECS
from runner.compiler.turns.dictation import sounds_complete
from runner.effective import Dictation

_ANSWER_SECS = 1.5
"""How long the last words may take after they were asked for; then the turn ends with what was heard. The vendor: 0.27."""

_BY_ITSELF_SECS = 0.3
"""How much longer a recogniser that decides gets, so that it is not asked for the end of a turn that it has just ended: what
AssemblyAI does then is not documented."""


class EndOfDictation(BaseUserTurnStopStrategy):
    """Asks for the end when the caller has been silent for `dictation.wait`, or for 0.7 s after something complete.

    ask:     makes the recogniser finish its turn.
    decides: this strategy also ends the caller's turn, with the recogniser's last words. Otherwise the recogniser does
             (AssemblyAI's own turn detection); it is asked when it has not ended the turn by itself.
    """

    def __init__(self, dictation: Dictation, ask: Callable[[], None], *, decides: bool) -> None:
        super().__init__()
        self._dictation = dictation
        self._ask = ask
        self._decides = decides
        self._speaking = False
        self._final = ""
        self._partial = ""
        self._is_new = False
        self._asked = False
        self._silent_since = 0.0
        self._news = asyncio.Event()
        self._counting: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        match frame:
            case VADUserStartedSpeakingFrame():
                self._speaking, self._asked, self._is_new = True, False, False
                await self._stop_counting()
            case VADUserStoppedSpeakingFrame():
                self._speaking = False
                self._silent_since = time.monotonic() - frame.stop_secs
                await self._stop_counting()
                self._counting = self.create_task(self._count(), f"{self}::count")
            case InterimTranscriptionFrame():
                self._partial, self._is_new = frame.text, True
                self._news.set()
            case TranscriptionFrame():
                self._final = f"{self._final} {frame.text}".strip()
                self._partial, self._is_new = "", True
                self._news.set()
                if not self._speaking and (self._asked or self._counting is None):
                    await self._end()
            case _:
                pass
        return ProcessFrameResult.CONTINUE

    async def handle_user_turn_started(self) -> None:
        self._final = self._partial = ""

    async def handle_user_turn_stopped(self) -> None:
        self._final = self._partial = ""
        self._asked = False
        await self._stop_counting()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._stop_counting()

    async def _count(self) -> None:
        """The caller is silent: wait until that is the end, and see to it that the last words come."""
        while (left := self._due() - time.monotonic()) > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        self._asked = True
        if self._decides and self._final and not self._partial and self._is_new:
            self._counting = None  # the recogniser has ended its turn by itself: no more words come
            await self._end()
            return
        self._ask()
        if self._decides:
            await asyncio.sleep(_ANSWER_SECS)
            self._counting = None
            await self._end()

    def _due(self) -> float:
        """When the silence is the end. Only words that came since the caller spoke last count: older ones lack the newest."""
        said = f"{self._final} {self._partial}".strip()
        if self._is_new and sounds_complete(self._dictation.kind, said):
            return self._silent_since + DICTATION_SETTLED_SECS
        return self._silent_since + self._dictation.wait + (0 if self._decides else _BY_ITSELF_SECS)

    async def _end(self) -> None:
        if self._decides and self._final and not self._speaking:
            await self.trigger_user_turn_stopped()

    async def _stop_counting(self) -> None:
        if self._counting and self._counting is not asyncio.current_task():
            await self.cancel_task(self._counting)
        self._counting = None
