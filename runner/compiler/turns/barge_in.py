"""How much a caller must say before the agent stops: strategies for Pipecat's turn start, beside its own.

While the agent speaks, words decide (Pipecat 1.14's MinWordsUserTurnStartStrategy); while it is silent, the first sound of
speech does, as without any of this. Pipecat's strategy alone would wait for words then too, and a short answer would begin
its turn only with the final transcript.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import (
    ExternalUserTurnStartStrategy,
    MinWordsUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class StartByWords(MinWordsUserTurnStartStrategy):
    """A turn starts with so many words while the agent speaks, with any word while it is silent.

    min_words: how many. ignore: words and phrases that do not count while the agent speaks; capitals and punctuation make
    no difference.

    What was too little goes out as Pipecat's `UserBackchannelFrame` and is no part of any turn. Words that come while a turn is
    open belong to it, also when the agent begins to speak meanwhile (Pipecat 1.14 would drop them).
    """

    def __init__(self, *, min_words: int, ignore: Sequence[str] = ()) -> None:
        super().__init__(min_words=min_words)
        self._ignored = tuple(_words(phrase) for phrase in ignore)
        self._turn_is_open = False

    async def handle_user_turn_started(self) -> None:
        await super().handle_user_turn_started()
        self._turn_is_open = True

    async def handle_user_turn_stopped(self) -> None:
        await super().handle_user_turn_stopped()
        self._turn_is_open = False

    async def _handle_transcription(self, frame: TranscriptionFrame | InterimTranscriptionFrame) -> ProcessFrameResult:
        if self._turn_is_open:
            return ProcessFrameResult.CONTINUE
        unfinished = isinstance(frame, InterimTranscriptionFrame)
        if self._bot_speaking and count_words(frame.text, self._ignored, unfinished=unfinished) < self._min_words:
            await self.trigger_reset_aggregation()
            if not unfinished and frame.text.strip():
                await self.push_frame(UserBackchannelFrame(frame.text, frame.user_id, frame.timestamp))
            return ProcessFrameResult.CONTINUE
        return await super()._handle_transcription(frame)


class StartBySoundInSilence(VADUserTurnStartStrategy):
    """A turn starts with the first sound of speech, unless the agent speaks."""

    _agent_speaks = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        self._agent_speaks = _agent_speaks(frame, self._agent_speaks)
        return ProcessFrameResult.CONTINUE if self._agent_speaks else await super().process_frame(frame)


class StartByServiceInSilence(ExternalUserTurnStartStrategy):
    """A turn starts when the recogniser says so (AssemblyAI's SpeechStarted), unless the agent speaks."""

    _agent_speaks = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        self._agent_speaks = _agent_speaks(frame, self._agent_speaks)
        if self._agent_speaks and isinstance(frame, ProposedUserStartedSpeakingFrame):
            return ProcessFrameResult.CONTINUE
        return await super().process_frame(frame)


def count_words(text: str, ignored: Sequence[tuple[str, ...]], *, unfinished: bool) -> int:
    """How many words of `text` are none of the ignored ones.

    ignored: phrases as their words, in small letters. unfinished: the text may end within a word; what can still become an
    ignored phrase does not count.
    """
    words = _words(text)
    counted = at = 0
    while at < len(words):
        rest = words[at:]
        length = max((len(phrase) for phrase in ignored if rest[: len(phrase)] == phrase), default=0)
        if not length and unfinished and any(_may_become(rest, phrase) for phrase in ignored):
            break
        counted += not length
        at += length or 1
    return counted


def _may_become(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    last = len(words) - 1
    return len(words) <= len(phrase) and words[:-1] == phrase[:last] and phrase[last].startswith(words[-1])


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))


def _agent_speaks(frame: Frame, before: bool) -> bool:
    if isinstance(frame, BotStartedSpeakingFrame):
        return True
    return before and not isinstance(frame, BotStoppedSpeakingFrame)
