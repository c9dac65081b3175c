"""Turn taking: who decides that the caller has begun and ended, and whether the agent may be interrupted."""

from __future__ import annotations

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from runner.definition import Turns, Vad


def user_params(turns: Turns, *, external: bool) -> LLMUserAggregatorParams:
    """Pipecat's parameters of the user's side.

    external: the speech-to-text service decides (AssemblyAI's own turn detection). Its strategies come with its metadata
    frame and are used only when none are given here (Pipecat 1.14); the local VAD then only serves the latency report.
    """
    return LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=vad_params(turns.vad)),
        user_turn_strategies=None if external else _strategies(turns),
        user_idle_timeout=turns.idle.after if turns.idle else 0,
    )


def vad_params(vad: Vad) -> VADParams:
    """All four at once: Pipecat's update replaces the whole set."""
    return VADParams(
        confidence=vad.confidence, start_secs=vad.start_secs, stop_secs=vad.stop_secs, min_volume=vad.min_volume
    )


def _strategies(turns: Turns) -> UserTurnStrategies:
    start: list[BaseUserTurnStartStrategy] = [
        VADUserTurnStartStrategy(enable_interruptions=turns.barge_in),
        TranscriptionUserTurnStartStrategy(enable_interruptions=turns.barge_in),
    ]
    stop: list[BaseUserTurnStopStrategy]
    if turns.smart_turn:
        analyzer = LocalSmartTurnAnalyzerV3(params=SmartTurnParams(stop_secs=turns.smart_turn_stop_secs))
        stop = [TurnAnalyzerUserTurnStopStrategy(turn_analyzer=analyzer)]
    else:
        stop = [SpeechTimeoutUserTurnStopStrategy()]
    return UserTurnStrategies(start=start, stop=stop)


def warm() -> None:
    """Load both voice models once, so that the first call does not pay for reading them from disk."""
    SileroVADAnalyzer()
    LocalSmartTurnAnalyzerV3()
