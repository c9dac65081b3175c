"""Keys kept out of what anybody reads.

Comes in: a text, and the keys of a process by the names of their variables. Goes out: the text with names in the keys' places.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from runner.providers import is_secret


def masked(text: str, keys: Mapping[str, str]) -> str:
    """`text` with each of these keys replaced by the name of its variable, also where it stands as in an address."""
    for name, key in keys.items():
        if len(key) > 3 and is_secret(name):
            for written in (key, quote(key, safe="")):
                text = text.replace(written, f"[{name}]")
    return text
