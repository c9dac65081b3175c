"""Models of which one answers: a turn that the first leaves unanswered is asked again at the next.

Comes in: requests. Goes out: answers, sentence by sentence, so that of an answer which breaks off it is known what is being
spoken. Nothing of it: the same request goes to the next model. Something: the next model is told what was said, and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.utils.errors import ErrorCategory

from runner.compiler.fallback.member import DOWN, Member
from runner.compiler.fallback.relay import Relay
from runner.compiler.sentences import Sentences
from runner.compiler.services.looking_ahead import without_ahead
from runner.compiler.services.openai.asking import Asking, NoAnswer

FIRST_SECS, GAP_SECS = 1.1, 3.0
"""How long a model may say nothing before its answer begins, and within it, while another one could take over."""

_GO_ON = (
    "Your last answer was cut off after these words; the caller has heard them. "
    "Go on exactly where they end. Do not repeat them, do not apologize."
)

_OF_CALLS = (
    FunctionCallsStartedFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
)

_NEWS = (LLMTextFrame, LLMThoughtTextFrame, FunctionCallsStartedFrame)
"""What a model that works sends. Anything else may only have passed it."""


class Models(Relay):
    """spoken: whether answers are spoken; otherwise they are written."""

    keeps_services = True

    def __init__(self, members: Sequence[Member], *, spoken: bool) -> None:
        super().__init__(members)
        self._spoken = spoken
        self._sentences = Sentences()
        self._asked: deque[LLMContextFrame] = deque()
        self._open = False
        self._said: list[str] = []
        self._called = False
        self._news_at = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def take(self, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            if not self._asked:
                await self.back()
            self._ask(frame)
            self._tell_alone()
        elif isinstance(frame, InterruptionFrame):
            self._asked.clear()
            await self._begin_anew()
            self._open = False
        await self.send(frame)

    def _tell_alone(self) -> None:
        if isinstance(self.service, Asking):
            self.service.alone = self.successor is None

    def _ask(self, frame: LLMContextFrame) -> None:
        if not self._asked:
            self._news_at = time.monotonic()
        self._asked.append(frame)
        if not self._watching or self._watching.done():
            self._watching = self.create_task(self._watch(), "watches")

    async def made(self, frame: Frame) -> None:
        if isinstance(frame, _NEWS):
            self._news_at = time.monotonic()
        match frame:
            case LLMFullResponseStartFrame():
                if self._open:
                    return
                self._open = True
            case LLMTextFrame() if not frame.skip_tts:
                await self._say(await self._sentences.take(frame.text))
                return
            case LLMFullResponseEndFrame():
                await self._say(await self._sentences.rest())
                if self._asked:
                    self._asked.popleft()
                await self._begin_anew()
                self._open = False
                self.worked()
            case FunctionCallsStartedFrame():
                self._called = True
            case _:
                pass
        await self.push_frame(frame)

    async def _say(self, sentences: Sequence[AggregatedTextFrame]) -> None:
        for one in sentences:
            self._said.append(one.text)
            await self.push_frame(one if self._spoken else LLMTextFrame(f"{one.text} "))

    async def _begin_anew(self) -> None:
        await self._sentences.forget()
        self._said, self._called = [], False
        self._news_at = time.monotonic()

    def passes(self, frame: Frame) -> bool:
        return isinstance(frame, _OF_CALLS)

    def fails(self, error: ErrorFrame) -> bool:
        return bool(self._asked) and not self._called

    async def hand_over(self, before: Member, *, failed: bool) -> None:
        await self._sentences.forget()
        self._news_at = time.monotonic()
        self._tell_alone()
        if self._asked:
            first, *others = self._asked
            for frame in (self._continued(first), *others):
                await self.send(frame)

    def _continued(self, frame: LLMContextFrame) -> LLMContextFrame:
        """The request again; with what was said of its answer, when something was."""
        if not self._said:
            again = LLMContextFrame(frame.context)
            again.metadata.update(without_ahead(frame.metadata))
            return again
        said: list[LLMContextMessage] = [
            {"role": "assistant", "content": " ".join(self._said)},
            {"role": "developer", "content": _GO_ON},
        ]
        was = frame.context
        again = LLMContextFrame(LLMContext([*was.messages, *said], tools=was.tools, tool_choice=was.tool_choice))
        again.metadata.update(without_ahead(frame.metadata))
        return again

    async def wakes(self, member: Member) -> bool:
        return True

    async def _watch(self) -> None:
        while self._asked:
            await asyncio.sleep(0.05)
            began = bool(self._said) or self._sentences.holds
            secs = self._limit(GAP_SECS if began else FIRST_SECS)
            if not self._asked or self._called or self.successor is None or time.monotonic() - self._news_at < secs:
                continue
            member = self.at_work
            words = f"said nothing{' more' if began else ''} for {secs:g} s"
            error = ErrorFrame(
                words, exception=NoAnswer(words), category=ErrorCategory.SERVER, processor=member.service
            )
            await self.fail(member, error)
            if member is not self.at_work:
                await member.queue_frame(InterruptionFrame(), DOWN)

    def _limit(self, usual: float) -> float:
        """Seconds of silence: the file's `timeout`, where the model has one."""
        given = self.service._settings.extra.get("timeout")
        return float(given) if isinstance(given, int | float) else usual

    async def cleanup(self) -> None:
        if self._watching:
            await self.cancel_task(self._watching)
        await super().cleanup()
