"""Each speaker's own conversation with the agent, within the one record of a call.

Comes in: the record (Pipecat's context, which the aggregators write), whose each message of a caller is, and the answers as they
arrive. Goes out: for one speaker, a context with what that one said, what was answered to it, and what the agent said to all.

An answer belongs to whom it was asked for, also when somebody else has spoken meanwhile; a function's result belongs to the
request that called the function. Lines that the agent says by itself (greeting, say, idle) belong to all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pipecat.frames.frames import (
    Frame,
    LLMAssistantPushAggregationFrame,
    LLMContextFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameProcessor

_FOR = "runner.for"
NOBODY = "-"
"""The mark of what no context has: words of somebody who is not answered."""


class OwnContexts:
    """The contexts of one call. `asked`: whom the newest request at the model is for. apart: whether they are used."""

    def __init__(self, record: LLMContext, apart: Callable[[], bool]) -> None:
        self.record = record
        self._apart = apart
        self.asked: str | None = None
        self._answered: str | None = None
        self._marks: dict[int, tuple[LLMContextMessage, str | None]] = {}
        self._seen = 0

    def mark(self, message: LLMContextMessage, speaker: str | None) -> None:
        """Whose a message is; None for all, `NOBODY` for none."""
        self._marks[id(message)] = message, speaker

    def becomes(self, speaker: str, name: str) -> None:
        """It turns out that what `speaker` was taken for is `name`."""
        for key, (message, of) in list(self._marks.items()):
            if of == speaker:
                self._marks[key] = message, name

    def of(self, speaker: str | None) -> LLMContext:
        """The record as this speaker's own conversation."""
        return LLMContext(
            messages=[message for message in self.record.messages if self._whose(message) in (None, speaker)],
            tools=self.record.tools,
            tool_choice=self.record.tool_choice,
        )

    def request(self, speaker: str | None) -> LLMContextFrame:
        frame = LLMContextFrame(context=self.of(speaker))
        frame.metadata[_FOR] = speaker
        return frame

    def stamp(self, frame: LLMContextFrame, speaker: str | None) -> LLMContextFrame:
        """A request that was made of one of these contexts is for this speaker."""
        frame.metadata[_FOR] = speaker
        return frame

    def follow(self, model: FrameProcessor, listener: FrameProcessor) -> None:
        """Watch whom the model is asked for (`model`), and whose answers are written into the record (`listener`)."""

        @model.event_handler("on_before_process_frame")
        async def asks(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMContextFrame):
                if _FOR in frame.metadata:
                    self.asked = frame.metadata[_FOR]
                elif (
                    frame.context is self.record and self._apart()
                ):  # a function's result asks the model without passing the callers' side
                    frame.context = self.of(self.asked)

        @model.event_handler("on_before_push_frame")
        async def answers(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMFullResponseStartFrame):
                frame.metadata[_FOR] = self.asked

        @listener.event_handler("on_before_process_frame")
        async def arrives(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMFullResponseStartFrame):
                self._note(self._answered)
                self._answered = frame.metadata.get(_FOR)

        @listener.event_handler("on_after_process_frame")
        async def written(_: object, frame: Frame) -> None:
            self._note(None if isinstance(frame, LLMAssistantPushAggregationFrame) else self._answered)

    def _note(self, speaker: str | None) -> None:
        """New messages of the agent's side are for `speaker`."""
        messages = self.record.messages
        if len(messages) == self._seen:
            return
        for message in messages[min(self._seen, len(messages)) :]:
            if id(message) not in self._marks and _role(message) in ("assistant", "tool"):
                self.mark(message, self._whose_call(message, speaker))
        self._seen = len(messages)
        held = {id(message) for message in messages}
        self._marks = {key: value for key, value in self._marks.items() if key in held}

    def _whose_call(self, message: LLMContextMessage, speaker: str | None) -> str | None:
        """A function's result goes where its call is."""
        call = cast("dict[str, Any]", message).get("tool_call_id") if isinstance(message, dict) else None
        if call is None:
            return speaker
        for other, of in self._marks.values():
            calls = cast("dict[str, Any]", other).get("tool_calls") or () if isinstance(other, dict) else ()
            if any(one.get("id") == call for one in calls):
                return of
        return speaker

    def _whose(self, message: LLMContextMessage) -> str | None:
        return self._marks.get(id(message), (message, None))[1]


def _role(message: LLMContextMessage) -> object:
    return message.get("role") if isinstance(message, dict) else None
