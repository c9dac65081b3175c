"""How well words were heard."""

from __future__ import annotations

import re


def words_of(text: str) -> list[str]:
    """Words without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def word_error_rate(said: str, heard: str) -> float:
    """Substituted, lost and added words, divided by the number of words that were said."""
    reference, found = words_of(said), words_of(heard)
    row = list(range(len(found) + 1))
    for number, word in enumerate(reference, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(found, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1] / max(1, len(reference))
