"""How loud the caller's side is, for going over to another session between two words.

Comes in: pieces of sound. Goes out: whether it is quiet, and for how long.
"""

from __future__ import annotations

import time

import numpy as np

from runner.compiler.services.assemblyai.sending import PIECE_SECS

NO_SOUND_SECS = 0.3
"""After so long without any sound nobody is speaking."""


class Sound:
    """How loud the caller's side is. Loudness counts against the loudest of the last seconds, so that a noisy line has quiet
    moments too."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._loud_at = self._at = 0.0
        self.quiet_secs = 0.0

    def hear(self, piece: bytes) -> bool:
        """One piece of sound. Returns whether it is loud."""
        samples = np.frombuffer(piece, dtype="<i2").astype(np.float32)
        level = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
        self._peak = max(level, self._peak * 0.985)
        loud = level > max(150.0, 0.15 * self._peak)
        self._at = time.monotonic()
        if loud:
            self._loud_at = self._at
        self.quiet_secs = 0.0 if loud else self.quiet_secs + PIECE_SECS
        return loud

    @property
    def silent_secs(self) -> float:
        """How long nothing loud was heard, sound or no sound."""
        return time.monotonic() - self._loud_at

    @property
    def flows(self) -> bool:
        return time.monotonic() - self._at < NO_SOUND_SECS
