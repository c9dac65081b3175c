"""Which language the callers speak, so that one foreign word changes nothing.

Comes in: finished turns with the language the ear heard. Goes out: the language to go on in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.compiler.callers.said import Turn
from runner.definition import SpokenLanguage

_ANY = SpokenLanguage()


class LanguageSpoken:
    """The language of one call. `now`: its short code, None as long as the agent's own is spoken."""

    def __init__(self) -> None:
        self._last: str | None = None
        self.now: str | None = None

    def after(self, turns: Sequence[Turn], languages: Mapping[str, SpokenLanguage], own: str) -> str | None:
        """The language after these turns.

        A turn counts when the ear is as sure as `languages` asks for. The first one in another language has to be as many
        words long; a second one in a row need not be.
        """
        for turn in turns:
            heard = turn.language
            if heard is None:
                continue
            code, confidence = heard
            wanted = languages.get(code, _ANY)
            if confidence < wanted.confidence:
                continue
            if code != (self.now or own) and (words_in(turn.text) >= wanted.words or code == self._last):
                self.now = None if code == own else code
            self._last = code
        return self.now


def words_in(text: str) -> int:
    """How many words; of scripts that do not separate them, two signs count as one."""
    dense = sum(1 for sign in text if "\u3040" <= sign <= "\u9fff" or "\uac00" <= sign <= "\ud7a3")
    return max(len(text.split()), dense // 2)
