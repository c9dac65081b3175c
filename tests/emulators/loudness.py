"""A light voice detection, so that many calls fit into one process.

Comes in: clean speech. Goes out: 1 where it is loud, else 0.
"""

from __future__ import annotations

import numpy as np
from pipecat.audio.vad.vad_analyzer import VADAnalyzer


class Loudness(VADAnalyzer):
    """Takes what is above a fixed loudness for voice."""

    def num_frames_required(self) -> int:
        return self.sample_rate // 50

    def voice_confidence(self, buffer: bytes) -> float:
        return float(np.abs(np.frombuffer(buffer, "<i2").astype(int)).max() > 500)
