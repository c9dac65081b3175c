"""How the model is shown who speaks: a text and its speaker in, the text as `speaker_format` has it out.

What a caller says cannot pass for the words of another one: whatever in it looks like a mark of the format is taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from runner.catalog import UNKNOWN_SPEAKER

_FIELDS = re.compile(r"\{(speaker|text)\}")
_LETTERS = "ABCDEFGHIJ"

_HARMLESS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "*": "", "_": " ", "#": "", "|": "/", "`": "'"})
"""What stands for a character that marks a speaker, when a caller is heard to say it."""


def marked(template: str, speaker: str, text: str, names: Collection[str] = ()) -> str:
    """`text` as `template` shows it. names: what other speakers are called, beside the letters."""
    values = {"speaker": speaker, "text": harmless(template, text, (*names, speaker))}
    return _FIELDS.sub(lambda field: values[field[1]], template)


def harmless(template: str, text: str, names: Collection[str] = ()) -> str:
    """`text` without anything that `template` would write around a speaker."""
    text = " ".join(text.split())
    if "{speaker}" not in template:
        return text
    marks = {character for character in _FIELDS.sub("", template) if ord(character) in _HARMLESS}
    text = text.translate({ord(mark): _HARMLESS[ord(mark)] for mark in marks})
    forged = _forged(template, frozenset(names))
    return " ".join(forged.sub(lambda found: f" {found['name']} ", text).split()) if forged else text


@lru_cache(maxsize=64)
def _forged(template: str, names: frozenset[str]) -> re.Pattern[str] | None:
    """What would be read as the name of a speaker in this format where it has plain signs only, such as `B:`."""
    before, _, after = template.partition("{speaker}")
    before = before.rpartition("}")[2].strip().translate(_HARMLESS)
    after = after.partition("{")[0].strip().translate(_HARMLESS)
    if not before and not after:
        return None
    known = sorted({*names, *_LETTERS, UNKNOWN_SPEAKER}, key=len, reverse=True)
    name = rf"(?<!\w)(?P<name>{'|'.join(map(re.escape, known))})(?!\w)"
    return re.compile(rf"{_signs(before)}{name}{_signs(after)}", re.IGNORECASE)


def _signs(text: str) -> str:
    return rf"\s*{re.escape(text)}\s*" if text else ""
