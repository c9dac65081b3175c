"""Which version of the agent made what is said.

Comes in: requests to the model and lines to be spoken, at the moment they are handed to the model or the voice. Goes out: for a
finished turn of the agent, the version and the stage that made it. An answer that was asked for before a save belongs to the
version whose prompt was in the request, however late it is spoken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import Frame, LLMContextFrame, LLMFullResponseStartFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameProcessor

_MADE = "runner.made"


@dataclass(frozen=True, slots=True)
class Made:
    """The version and the stage that something was made by."""

    version: int
    stage: str | None


class Authorship:
    """Keeps the author of each turn of one call. now: the version and stage of this moment."""

    def __init__(self, now: Callable[[], Made]) -> None:
        self._now = now
        self._lines: deque[tuple[str, Made]] = deque(maxlen=50)
        self._asked: Made | None = None
        self._answer: Made | None = None

    def stamp(self, frame: Frame) -> None:
        """A request or a line is handed over: it is the work of this moment."""
        if isinstance(frame, LLMContextFrame):
            frame.metadata[_MADE] = self._now()
        elif isinstance(frame, TTSSpeakFrame):
            self._lines.append((_plain(frame.text), self._now()))

    def follow(self, model: FrameProcessor, listener: FrameProcessor) -> None:
        """Watch where answers begin (`model`) and where they arrive in the order they are spoken (`listener`).

        Pipecat 1.14 hands the same frame on from part to part, and calls these handlers before it does anything with it.
        """

        @model.event_handler("on_before_process_frame")
        async def asked(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMContextFrame):
                self._asked = frame.metadata.get(_MADE) or self._now()

        @model.event_handler("on_before_push_frame")
        async def answers(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMFullResponseStartFrame) and self._asked:
                frame.metadata[_MADE] = self._asked

        @listener.event_handler("on_before_process_frame")
        async def arrives(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMFullResponseStartFrame):
                self._answer = frame.metadata.get(_MADE)

    @property
    def latest(self) -> Made:
        """Who made the answer that was asked for last."""
        return self._asked or self._now()

    def of(self, text: str) -> Made:
        """Who made this finished turn; a line that was cut off is known by its beginning."""
        said = _plain(text)
        for at, (line, made) in enumerate(self._lines):
            if line and (said.startswith(line) or line.startswith(said)):
                for _ in range(at + 1):
                    self._lines.popleft()
                return made
        answer, self._answer = self._answer, None
        return answer or self._now()


def _plain(text: str) -> str:
    return " ".join(text.split())
