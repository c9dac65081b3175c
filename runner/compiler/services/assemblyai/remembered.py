"""The sound that one session was sent and has not answered yet, so that another session can hear it when this one breaks.

Comes in: pieces of the caller's sound, and until where the session has answered. Goes out: what is owed. Pure.
"""

from __future__ import annotations

import math

from runner.compiler.services.assemblyai.sending import PIECE_SECS

_SPARE_SECS = 5.0
"""Old sound is thrown away in lumps of this size, not piece by piece."""


class Remembered:
    """keep_secs: how much of an unfinished turn is remembered, seconds. sent_secs: how much sound there was in all."""

    def __init__(self, keep_secs: float) -> None:
        self.keep_secs = keep_secs
        self.sent_secs = 0.0
        self._sound = bytearray()
        self._from_secs = 0.0
        self._loud = bytearray()
        self._piece_bytes = 0

    def add(self, piece: bytes, *, loud: bool) -> None:
        """One piece, 16 bits mono, `PIECE_SECS` long."""
        self._sound += piece
        self._loud.append(loud)
        self._piece_bytes = len(piece)
        self.sent_secs += PIECE_SECS
        if self.sent_secs - self._from_secs > self.keep_secs + _SPARE_SECS:
            self.forget_until(self.sent_secs - self.keep_secs)

    def forget_until(self, secs: float) -> None:
        """Forget what came before `secs` of the session's sound. To the sample: a word is neither cut nor heard twice."""
        old = round((secs - self._from_secs) / PIECE_SECS * self._piece_bytes / 2) * 2
        if old > 0:
            del self._sound[:old]
            self._from_secs = secs
            left = math.ceil(len(self._sound) / self._piece_bytes)
            del self._loud[: len(self._loud) - left]

    @property
    def loud_secs(self) -> float:
        """How much of it is voice, seconds."""
        return sum(self._loud) * PIECE_SECS

    def all(self) -> bytes:
        return bytes(self._sound)

    def last(self, secs: float, least: int) -> bytes:
        """The last `secs`; the last `least` bytes if that is more."""
        size = max(least, round(secs / PIECE_SECS) * self._piece_bytes)
        return bytes(self._sound[-size:]) if size else b""
