"""Voice activity detection whose settings change while somebody speaks."""

from __future__ import annotations

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams


class SteadyVAD(SileroVADAnalyzer):
    """Pipecat's analyser, which keeps what it has heard when it is given other parameters.

    Pipecat 1.14 starts again in silence then: a save in mid-word would look like the end of the caller's turn.
    """

    def set_params(self, params: VADParams) -> None:
        if not self.sample_rate or not hasattr(self, "_vad_state"):
            super().set_params(params)
            return
        heard = self._vad_state, self._vad_starting_count, self._vad_stopping_count
        super().set_params(params)
        self._vad_state, self._vad_starting_count, self._vad_stopping_count = heard
