"""What a call does about a part that fails: no caller hears nothing for long, and no call goes on that cannot hear or speak.

Comes in: errors that nobody else took care of (a fallback does before they come here), services that are gone, an output of which
the carrier takes nothing, silences that last too long. Goes out: a sentence to the caller (`on_trouble`), and the end of a call
that is of no use any more, with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMContextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.frames.frames import Frame as PipecatFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory

from runner.catalog import PARTS, Part
from runner.compiler.services.gone import ServiceGone, tell_when_gone
from runner.compiler.services.kept_lines import KeptLines, Sound
from runner.compiler.services.lost import AnswerLost
from runner.compiler.services.openai.asking import LIMIT_SECS
from runner.definition import OnTrouble
from runner.effective import Effective
from runner.events import Event, SilenceOver, Silent, Trouble
from runner.live.silence import Silence

_PATIENCE_SECS = 8.0
"""How long a caller waits for a first word when the file says nothing."""

_BEYOND_THE_LIMIT_SECS = 3.0
"""What is added to a longer limit of the model: it gives up first, and says why."""

_OWN_MACHINE_SECS = 45.0
"""A model on this machine that takes long is slow, not out of reach."""

_LAST_WORDS_SECS = 12.0
"""How long an ending call may take to say goodbye before it is cut."""

_CUT_SECS = 1.0
_PIECE_SECS = 0.1

_FAILS: dict[Part, str] = {"stt": "hear", "llm": "think", "tts": "speak"}
_AWAITED: dict[Part, str] = {
    "stt": "the caller's words",
    "llm": "the model's first word",
    "tts": "the voice's first sound",
}

_LASTING = (ErrorCategory.AUTHENTICATION, ErrorCategory.AUTHORIZATION, ErrorCategory.QUOTA)
"""Failures that nothing in the agent file mends while a call runs. An unknown model or voice may be mended by a save."""


class Parts(Protocol):
    """What is needed of a compiled call (`compiler.pipeline.Compiled` is one)."""

    @property
    def llm(self) -> FrameProcessor: ...
    @property
    def stt(self) -> FrameProcessor | None: ...
    @property
    def tts(self) -> FrameProcessor | None: ...
    @property
    def ending(self) -> bool: ...
    @property
    def spoken(self) -> bool: ...
    @property
    def lines(self) -> KeptLines: ...
    async def queue_frame(self, frame: TTSSpeakFrame) -> None: ...
    async def finish(self, reason: str) -> None: ...


class Lifeline:
    """Of one call.

    now:    what the call is set to. vendor: who does a part, for people. plain: an error as a sentence.
    listener, output: the caller's side of the context, and what the carrier plays.
    cut:    sends an interruption through the call. cancel: ends it at once.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        now: Callable[[], Effective],
        vendor: Callable[[Part], str],
        plain: Callable[[ErrorFrame], str | None],
        on_this_machine: frozenset[Part],
        listener: FrameProcessor,
        output: FrameProcessor,
        cut: Callable[[PipecatFrame], Awaitable[None]],
        cancel: Callable[[str], Coroutine[Any, Any, None]],
        tell: Callable[[Event], None],
        version: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._parts, self._now, self._here = parts, now, on_this_machine
        self._vendor, self._plain = vendor, plain
        self._output, self._cut, self._cancel = output, cut, cancel
        self._tell, self._version, self._spawn = tell, version, spawn
        self._begun = False
        self._gone: ServiceGone | None = None
        self._in_a_row = 0
        self._failed = self._speaking_of_it = self._voice_fails = False
        self._last = ""
        self._was_cut = asyncio.Event()
        self.silence = Silence(
            patience=self._patience,
            noticed=self._noticed,
            ended=lambda seconds: tell(SilenceOver(seconds, version())),
            too_long=self._too_long,
        )
        self.silence.follow(listener, parts.llm, parts.tts, output)
        for part in PARTS:
            if (service := self._service(part)) is not None:
                tell_when_gone(part, service, self._is_gone)
        self._follow(parts.llm)

    def begun(self) -> None:
        """The caller is there. What went wrong before counts now."""
        self._begun = True
        gone, self._gone = self._gone, None
        if gone:
            self._spawn(self._is_gone(gone))
        else:
            self._spawn(self._keep_lines())

    async def failed(self, frame: ErrorFrame, said: str | None) -> None:
        """An error that came to the end of the pipeline. said: the sentence for people that was made of it."""
        if frame.processor is self._output and not self._output.is_usable:
            if not self._parts.ending:
                self._spawn(self._cancel(f"the caller cannot hear the agent any more: {said or frame.error}"))
            return
        part = self._part_of(frame)
        if part is None or frame.category is ErrorCategory.APPLICATION:
            return
        self._last = said or self._last or frame.error
        service = self._service(part)
        several = bool(_members(service))
        if several and service is not None and not service.is_usable:
            return  # all of them are gone, which is told by itself
        lasting = frame.category in _LASTING and not several
        if lasting and frame.category is ErrorCategory.QUOTA:
            await self._is_gone(ServiceGone(part, frame))
        elif lasting:
            return  # told by itself too
        elif part == "llm":
            await self._unanswered("llm")
        elif part == "tts" and (isinstance(frame, AnswerLost) or "completed with no audio" in frame.error):
            await self._unanswered("tts", speaks=not isinstance(frame, AnswerLost) or frame.vendor_answers)
        elif part == "tts" and frame.category is ErrorCategory.INVALID_REQUEST:
            await self._unanswered("tts", speaks=False)

    def close(self) -> None:
        self.silence.over()

    # What happens

    def _follow(self, model: FrameProcessor) -> None:
        @model.event_handler("on_before_process_frame")
        async def _asked(_: object, frame: PipecatFrame) -> None:
            if isinstance(frame, LLMContextFrame):
                if not self._failed:
                    self._in_a_row, self._voice_fails = 0, False
                self._failed = self._speaking_of_it = False
                self._spawn(self._keep_lines())

        @self._output.event_handler("on_before_process_frame")
        async def _interrupted(_: object, frame: PipecatFrame) -> None:
            if isinstance(frame, InterruptionFrame):
                self._was_cut.set()

    def _noticed(self, part: Part, seconds: float) -> None:
        awaited = f"{_AWAITED[part]} ({self._vendor(part)})"
        text = f"Nobody has spoken for {seconds:.1f} s. The call waits for {awaited}."
        logger.warning(text)
        self._tell(Silent(text, part, seconds, self._version(), awaited))

    async def _too_long(self, part: Part, seconds: float) -> None:
        if self._parts.ending:
            return
        self._last = f"{self._vendor(part)} let the caller wait for {seconds:g} s (on_trouble.after)."
        self._tell(Trouble(f"{self._last} The answer is given up.", self._version()))
        await self._cut_off()
        await self._unanswered(part, speaks=part != "tts")

    async def _is_gone(self, gone: ServiceGone) -> None:
        """A part does not come back. An unknown model or voice counts as a turn without an answer: a save may name another."""
        error = gone.error
        category = error.category if error else None
        if gone.part != "stt" and category is ErrorCategory.INVALID_REQUEST and not _members(self._service(gone.part)):
            return
        if not self._begun:
            self._gone = gone
            return
        why = (error and self._plain(error)) or self._last or gone.why
        await self._say_goodbye(f"the agent cannot {_FAILS[gone.part]} any more: {why}", speaks=gone.part != "tts")

    async def _unanswered(self, part: Part, *, speaks: bool = True) -> None:
        """The turn has no answer, or not a whole one. speaks: whether the voice can be asked to say so."""
        if self._parts.ending or not self._begun:
            return
        self._voice_fails = self._voice_fails or part == "tts"
        trouble = self._trouble
        if self._failed:
            if self._speaking_of_it and part == "tts":  # that line was not heard either
                await self._say_or_end(trouble, speaks=False)
            return
        self._failed = True
        self._in_a_row += 1
        await self._give_another_chance(part)
        tries = (trouble or OnTrouble()).tries
        if self._in_a_row >= tries:
            turns = "a turn" if tries == 1 else f"{tries} turns in a row"
            await self._say_goodbye(f"{turns} could not be answered (on_trouble.tries): {self._last}", speaks=speaks)
        elif trouble:
            self._speaking_of_it = speaks
            await self._say_or_end(trouble, speaks=speaks)

    async def _say_or_end(self, trouble: OnTrouble | None, *, speaks: bool) -> None:
        """Say that there was trouble, or end a call that has no way to say so."""
        if trouble is None or not await self._say(trouble.say, speaks=speaks):
            await self._say_goodbye(f"the agent cannot speak any more: {self._last}", speaks=False)

    async def _give_another_chance(self, part: Part) -> None:
        """A part that was refused is asked again with the next turn; the file may be mended by then."""
        service = self._service(part)
        if service is not None and not service.is_usable:
            await service.set_usable(True)

    # What is said

    async def _say(self, line: str, *, speaks: bool) -> bool:
        """Say a line by whichever way there is; the one that is kept where the voice failed just now. Returns whether there
        is one."""
        sound = self._parts.lines.sound_of(line) if self._parts.spoken else None
        if sound and (self._voice_fails or not speaks):
            self._speaking_of_it = False
            await self._play(line, sound)
        elif speaks or not self._parts.spoken:
            await self._parts.queue_frame(TTSSpeakFrame(line, append_to_context=True))
        else:
            return False
        return True

    async def _keep_lines(self) -> None:
        """See to it that what is said in trouble can be heard without the voice, as it is said now."""
        if self._parts.spoken and (trouble := self._trouble):
            await self._parts.lines.keep(trouble.say, trouble.goodbye)

    async def _play(self, line: str, sound: Sound) -> None:
        """Let a line that is kept be heard, past the voice. It is recorded when it is out, like everything that is said."""
        output, size = self._output, int(sound.rate * _PIECE_SECS) * 2
        await output.queue_frame(TTSStartedFrame())
        for start in range(0, len(sound.pcm), size):
            await output.queue_frame(TTSAudioRawFrame(sound.pcm[start : start + size], sound.rate, 1))
        text = TTSTextFrame(line, text_type="sentence")
        text.append_to_context = True
        await output.queue_frame(text)
        await output.queue_frame(TTSStoppedFrame())
        await output.queue_frame(LLMAssistantPushAggregationFrame())

    async def _cut_off(self) -> None:
        """Stop what is being worked on."""
        self._was_cut.clear()
        await self._cut(InterruptionFrame())
        try:
            async with asyncio.timeout(_CUT_SECS):
                await self._was_cut.wait()
        except TimeoutError:
            logger.debug("An interruption took long to pass")
        await asyncio.sleep(0.02)

    async def _say_goodbye(self, reason: str, *, speaks: bool) -> None:
        if self._parts.ending:
            return
        self.silence.over()
        if (trouble := self._trouble) is not None:
            await self._say(trouble.goodbye, speaks=speaks)
        await self._parts.finish(reason)
        self._spawn(self._cut_at_last(reason))

    async def _cut_at_last(self, reason: str) -> None:
        await asyncio.sleep(_LAST_WORDS_SECS)
        await self._cancel(reason)

    # What is known

    @property
    def _trouble(self) -> OnTrouble | None:
        return self._now().on_trouble

    def _patience(self) -> float | None:
        trouble = self._trouble
        if trouble is None:
            return None
        if trouble.after is not None:
            return trouble.after
        given = self._now().llm.settings.get("timeout")
        limit = float(given) if isinstance(given, int | float) else LIMIT_SECS
        usual = _OWN_MACHINE_SECS if "llm" in self._here else _PATIENCE_SECS
        return max(usual, limit + _BEYOND_THE_LIMIT_SECS)

    def _service(self, part: Part) -> FrameProcessor | None:
        return {"stt": self._parts.stt, "llm": self._parts.llm, "tts": self._parts.tts}[part]

    def _part_of(self, frame: ErrorFrame) -> Part | None:
        for part in PARTS:
            service = self._service(part)
            if service is not None and (frame.processor is service or frame.processor in _members(service)):
                return part
        return None


def _members(service: FrameProcessor | None) -> list[FrameProcessor]:
    """Those that a switcher switches between; none for a single service."""
    return getattr(service, "services", None) or []
