"""What was heard, piece by piece, from the ear to the request: who said it and in which language.

Comes in: finished pieces of the ear in the order in which they were heard, and the texts that Pipecat's aggregator made of them.
Goes out: the turns of the callers, numbered through the call; and which turn a later correction of the ear is about.

Pipecat 1.14's aggregator keeps the words alone. It also drops some: what was said while the caller is not listened to, and what
counts as no interruption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.assemblyai.models import TurnMessage

SESSION = "runner.session"
"""Where a `TranscriptionFrame` says in its metadata which session of the ear it comes from."""

_REMEMBERED = 200
"""Pieces that wait to be found in a text, and turns that may still be corrected."""


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of what was heard, finished.

    speaker:    the ear's letter, None where nobody is told apart. language: its short code, and how sure the ear is, 0..1.
    origin:     the session of the ear and the turn there that it comes from.
    """

    text: str
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    origin: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said in one go. number: among all of the call, from 1."""

    number: int
    words: tuple[Words, ...]

    @property
    def text(self) -> str:
        return " ".join(words.text for words in self.words)

    @property
    def speaker(self) -> str | None:
        return self.words[0].speaker

    @property
    def language(self) -> tuple[str, float] | None:
        """The language of most of it, and how sure the ear is of that; None where the ear does not tell."""
        told = [words for words in self.words if words.language is not None]
        if not told:
            return None
        longest = max(told, key=lambda words: len(words.text))
        return cast("str", longest.language), longest.confidence or 0.0


@dataclass(frozen=True, slots=True)
class Correction:
    """Somebody else said it. words: the piece as it was taken for."""

    turn: int
    words: Words
    speaker: str


class Said:
    """What was said in one call."""

    def __init__(self) -> None:
        self._pieces: deque[Words] = deque(maxlen=_REMEMBERED)
        self._turns: deque[Turn] = deque(maxlen=_REMEMBERED)
        self._number = 0

    def follow(self, listener: FrameProcessor) -> None:
        """Note what arrives at Pipecat's aggregator of the callers' side."""

        @listener.event_handler("on_before_process_frame")
        async def arrives(_: object, frame: Frame) -> None:
            if isinstance(frame, TranscriptionFrame):
                self.note(self.words_of(frame))

    def note(self, words: Words) -> None:
        self._pieces.append(words)

    def turns(self, texts: Sequence[str]) -> list[Turn]:
        """The turns that these texts are made of, in the order of speaking; one speaker's pieces in a row are one turn."""
        found: list[list[Words]] = []
        for words in (words for text in texts for words in self._found(text)):
            if found and found[-1][0].speaker == words.speaker:
                found[-1].append(words)
            else:
                found.append([words])
        made = [Turn(self._number + at, tuple(words)) for at, words in enumerate(found, 1)]
        self._number += len(made)
        self._turns.extend(made)
        return made

    def corrections(self, session: int, order: int, speaker: str) -> Iterator[Correction]:
        """What is wrong in the account if `speaker` said the turn `order` of the ear's session."""
        for turn in self._turns:
            for words in turn.words:
                if words.origin == (session, order) and words.speaker != speaker:
                    yield Correction(turn.number, words, speaker)

    def _found(self, text: str) -> list[Words]:
        """The pieces of a text. They are looked for from its end, because pieces that were dropped are older; newer ones that
        belong to the next text stay."""
        rest, found = text.strip(), list[Words]()
        newer = deque[Words](maxlen=_REMEMBERED)
        while self._pieces:
            words = self._pieces.pop()
            piece = words.text.strip()
            if rest and piece and rest.endswith(piece):
                found.insert(0, words)
                rest = rest[: len(rest) - len(piece)].rstrip()
            elif not found:
                newer.appendleft(words)
        self._pieces = newer
        return [Words(rest), *found] if rest else found

    @staticmethod
    def words_of(frame: TranscriptionFrame) -> Words:
        """What a transcription says. Only AssemblyAI's messages tell who spoke and how sure the language is (Pipecat 1.14)."""
        heard, session = frame.result, frame.metadata.get(SESSION)
        if not isinstance(heard, TurnMessage):
            return Words(frame.text)
        return Words(
            frame.text,
            speaker=heard.speaker,
            language=heard.language_code.lower() if heard.language_code else None,
            confidence=heard.language_confidence,
            origin=(session, heard.turn_order) if isinstance(session, int) else None,
        )
