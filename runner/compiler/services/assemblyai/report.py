"""What an ear tells people about its sessions: that a change was refused, or that there is no session.

Comes in: refusals of the vendor. Goes out: error frames that name the settings of the agent file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipecat.frames.frames import ErrorFrame
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory

from runner.compiler.services.assemblyai.refusals import RefusedError
from runner.compiler.services.assemblyai.settings import NAMES
from runner.compiler.services.refused import RefusedChangeFrame, RefusedSessionFrame


class Report:
    """ear: whose sessions they are. reconnects: whether it opens another one after one that ended.

    Errors before the call has begun wait for its beginning: Pipecat 1.14 drops them.
    """

    def __init__(self, ear: STTService, reconnects: Callable[[], bool]) -> None:
        self._ear = ear
        self._reconnects = reconnects
        self._has_begun = False
        self._early: list[ErrorFrame] = []

    async def call_begins(self) -> None:
        self._has_begun = True
        for error in self._early:
            await self._ear.push_error_frame(error)

    async def refused_change(self, names: Iterable[str], words: str) -> None:
        """The vendor refuses these parameters, and the call goes on with what it had before."""
        settings = tuple(sorted(NAMES.get(name, name) for name in names))
        await self._tell(RefusedChangeFrame(error=words, category=ErrorCategory.UNKNOWN, settings=settings))

    async def no_session(self, refusal: RefusedError, *, last: bool) -> None:
        """A session ended by itself, or none can be opened. last: it is not tried again."""
        words = refusal.words
        if last and refusal.again and not self._reconnects():
            words = f"{words}, and stt.reconnect_on_error is off"
        settings = tuple(sorted(NAMES[name] for name in refusal.names & NAMES.keys()))
        if refusal.category is ErrorCategory.INVALID_REQUEST and refusal.status:
            settings = ("endpoint",)
        frame = RefusedSessionFrame(error=words, category=refusal.category, settings=settings, again=not last)
        await self._tell(frame, permanent=last)

    async def _tell(self, frame: ErrorFrame, *, permanent: bool = False) -> None:
        ear = self._ear
        if self._has_begun or not ear._setup:
            await ear.push_error_frame(frame, force_treat_as_permanent=permanent)
            return
        frame.processor = ear
        self._early.append(frame)
        if permanent:
            await ear.set_usable(False)
            await ear._call_event_handler("on_error", frame)
