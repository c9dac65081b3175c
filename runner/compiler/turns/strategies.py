"""Turn taking as an agent file has it becomes Pipecat's strategies: what tells that the caller has begun and has finished, and
whether the agent may be interrupted. `taking` puts them into a call."""

from __future__ import annotations

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    ExternalUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)

from runner.compiler.turns.barge_in import StartByServiceInSilence, StartBySoundInSilence, StartByWords
from runner.definition import Turns, Vad


def vad_params(vad: Vad) -> VADParams:
    """All four at once: Pipecat's update replaces the whole set."""
    return VADParams(
        confidence=vad.confidence, start_secs=vad.start_secs, stop_secs=vad.stop_secs, min_volume=vad.min_volume
    )


def starts(turns: Turns, *, external: bool) -> list[BaseUserTurnStartStrategy]:
    """What tells that the caller begins. external: the speech-to-text service says so (AssemblyAI's own turn detection)."""
    if external and _by_words(turns):
        return [StartByServiceInSilence(), _start_by_words(turns)]
    if external:
        return [ExternalUserTurnStartStrategy(enable_interruptions=turns.barge_in)]
    if _by_words(turns):
        return [*([StartBySoundInSilence()] if "vad" in turns.start else []), _start_by_words(turns)]
    found: list[BaseUserTurnStartStrategy] = []
    if "vad" in turns.start:
        found.append(VADUserTurnStartStrategy(enable_interruptions=turns.barge_in))
    if "transcription" in turns.start:
        found.append(TranscriptionUserTurnStartStrategy(enable_interruptions=turns.barge_in))
    return found


def stop(turns: Turns, analyzer: LocalSmartTurnAnalyzerV3 | None) -> BaseUserTurnStopStrategy:
    """What tells that the caller has finished, where this machine decides. analyzer: Smart Turn, None without it."""
    if analyzer:
        return TurnAnalyzerUserTurnStopStrategy(turn_analyzer=analyzer)
    return SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=turns.speech_timeout)


def smart_turn_params(turns: Turns) -> SmartTurnParams:
    return SmartTurnParams(
        stop_secs=turns.smart_turn_stop_secs,
        pre_speech_ms=turns.smart_turn_pre_speech_ms,
        max_duration_secs=turns.smart_turn_max_duration_secs,
    )


def _by_words(turns: Turns) -> bool:
    return turns.barge_in and bool(turns.barge_in_after_words or turns.barge_in_ignore)


def _start_by_words(turns: Turns) -> StartByWords:
    return StartByWords(min_words=max(1, turns.barge_in_after_words), ignore=turns.barge_in_ignore)


def warm() -> None:
    """Load both voice models once, so that the first call does not pay for reading them from disk."""
    SileroVADAnalyzer()
    LocalSmartTurnAnalyzerV3()
