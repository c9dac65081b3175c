"""Who on the line is answered, and in which conversation.

Comes in: requests that Pipecat's aggregators want made. Goes out: the requests that are made, each in the context of whom it
answers. Before that, what was said is written into the record as `speaker_format` shows it.

The stage, the ways out and the settings are those of the one call, whoever speaks: a call cannot be in two stages, because the
ear and the voice are set for one. What differs by speaker is what the model knows and is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage

from runner.catalog import UNKNOWN_SPEAKER
from runner.compiler.callers.own_contexts import NOBODY, OwnContexts
from runner.compiler.callers.said import Said, Turn
from runner.compiler.callers.speaker_marks import marked
from runner.compiler.conversation import Conversation
from runner.definition import SpeakersMode

_GO_ON: LLMContextMessage = {
    "role": "developer",
    "content": "Somebody else on the line cut you off. Do not answer them. Say again what the caller did not hear.",
}


@dataclass(frozen=True, slots=True)
class _New:
    """A turn that was not there before. whose: the speaker it counts for."""

    turn: Turn
    whose: str | None


class Callers:
    """The callers of one call. record: the context that the aggregators write."""

    def __init__(self, conversation: Conversation, record: LLMContext) -> None:
        self.said = Said()
        self.contexts = OwnContexts(record, apart=lambda: self._mode != "together")
        self._conversation = conversation
        self._record = record
        self._heard = 0
        self._first: str | None = None
        self._last: str | None = None
        self._speaks = self._owes = self._cut_off = False

    def notice(self, frame: Frame) -> None:
        """What becomes of the agent's answers."""
        match frame:
            case BotStartedSpeakingFrame():
                self._speaks = True
            case BotStoppedSpeakingFrame():
                self._speaks, self._owes = False, self._cut_off
            case InterruptionFrame():
                self._cut_off = self._owes or self._speaks
            case _:
                pass

    def corrected(self, session: int, order: int, speaker: str) -> None:
        """The ear says that a turn of its session was somebody else's."""
        for correction in self.said.corrections(session, order, speaker):
            self._conversation.corrected(correction)

    async def requests(self, frame: LLMContextFrame) -> AsyncIterator[LLMContextFrame]:
        """The requests to make instead of this one, each to be handed on before the next is asked for."""
        if frame.context is not self._record:
            yield frame
            return
        new = self._new_turns()
        if not new:
            asked = self.contexts.asked
            yield frame if self._mode == "together" else self.contexts.request(asked)
        elif self._mode == "together":
            turns = [one.turn for one in new]
            if request := await self._conversation.heard(turns, frame, turns[-1].speaker):
                yield self._owed(request)
        else:
            for whose in dict.fromkeys(one.whose for one in new):
                turns = [one.turn for one in new if one.whose == whose]
                if whose == NOBODY:
                    self._conversation.overheard(turns)
                elif request := await self._conversation.heard(turns, self.contexts.request(whose), whose):
                    yield self._owed(self.contexts.stamp(request, whose))
            if all(one.whose == NOBODY for one in new) and self._cut_off and not self._conversation.now.end:
                request = self.contexts.request(self._first)
                request.context.add_message(_GO_ON)
                yield self._owed(request)

    def _owed(self, request: LLMContextFrame) -> LLMContextFrame:
        self._owes, self._cut_off = True, False
        return request

    def _new_turns(self) -> list[_New]:
        """What was said since the last request, written into the record turn by turn."""
        messages = self._record.messages
        new = [message for message in messages if _is_callers(message)][self._heard :]
        found: list[_New] = []
        for message in new:
            text = cast("dict[str, Any]", message).get("content")
            if isinstance(text, str):
                found.extend(self._written(message, self.said.turns([text])))
        self._heard = sum(map(_is_callers, messages))
        return found

    def _written(self, message: LLMContextMessage, turns: Sequence[Turn]) -> list[_New]:
        """One message, as one for each turn where speakers have contexts of their own."""
        new = [_New(turn, self._whose(turn)) for turn in turns]
        content = cast("dict[str, Any]", message)
        if self._mode == "together":
            content["content"] = " ".join(map(self._shown, turns))
            return new
        at = next(place for place, other in enumerate(self._record.messages) if other is message)
        for offset, one in enumerate(new):
            if offset:
                message = cast("LLMContextMessage", {"role": "user"})
                self._record.messages.insert(at + offset, message)
            cast("dict[str, Any]", message)["content"] = self._shown(one.turn)
            self.contexts.mark(message, one.whose)
        return new

    def _whose(self, turn: Turn) -> str | None:
        """The speaker a turn counts for. One that was too short to tell is taken for whoever spoke last."""
        speaker = turn.speaker
        if speaker in (None, UNKNOWN_SPEAKER):
            whose = self._last or speaker
        else:
            if self._last is None and speaker:
                self.contexts.becomes(UNKNOWN_SPEAKER, speaker)
            self._first, whose = self._first or speaker, speaker
            if self._mode != "first_only" or speaker == self._first:
                self._last = speaker
        stranger = self._mode == "first_only" and whose not in (None, UNKNOWN_SPEAKER, self._first)
        return NOBODY if stranger else whose

    @property
    def _mode(self) -> SpeakersMode:
        return self._conversation.agent.speakers.mode

    def _shown(self, turn: Turn) -> str:
        """A turn as the model reads it."""
        template = self._conversation.now.stt.settings.get("speaker_format")
        if turn.speaker is None or not isinstance(template, str):
            return turn.text
        names = self._conversation.names
        return marked(template, names.get(turn.speaker, turn.speaker), turn.text, tuple(names.values()))


def _is_callers(message: LLMContextMessage) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"
