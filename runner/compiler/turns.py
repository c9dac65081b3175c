"""Turn taking: who decides that the caller has begun and ended, and whether the agent may be interrupted."""

from __future__ import annotations

from collections.abc import Sequence

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_mute import (
    AlwaysUserMuteStrategy,
    BaseUserMuteStrategy,
    FunctionCallUserMuteStrategy,
    MuteUntilFirstBotCompleteUserMuteStrategy,
)
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    ExternalUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from runner.compiler.barge_in import StartByServiceInSilence, StartBySoundInSilence, StartByWords
from runner.definition import Mute, Turns, Vad


def user_params(turns: Turns, *, external: bool, opens: bool) -> LLMUserAggregatorParams:
    """Pipecat's parameters of the user's side.

    external: the speech-to-text service decides (AssemblyAI's own turn detection). Its strategies come with its metadata
    frame and are used only when none are given here (Pipecat 1.14); the local VAD then only serves the latency report.
    opens: the agent speaks first.
    """
    return LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=vad_params(turns.vad)),
        user_turn_strategies=_external_strategies(turns) if external else _strategies(turns),
        user_mute_strategies=_mutes(turns.mute, opens),
        user_idle_timeout=turns.idle.after if turns.idle else 0,
    )


def vad_params(vad: Vad) -> VADParams:
    """All four at once: Pipecat's update replaces the whole set."""
    return VADParams(
        confidence=vad.confidence, start_secs=vad.start_secs, stop_secs=vad.stop_secs, min_volume=vad.min_volume
    )


def _strategies(turns: Turns) -> UserTurnStrategies:
    start: list[BaseUserTurnStartStrategy] = []
    if _by_words(turns):
        start = [StartBySoundInSilence()] if "vad" in turns.start else []
        start.append(_start_by_words(turns))
    else:
        if "vad" in turns.start:
            start.append(VADUserTurnStartStrategy(enable_interruptions=turns.barge_in))
        if "transcription" in turns.start:
            start.append(TranscriptionUserTurnStartStrategy(enable_interruptions=turns.barge_in))
    stop: list[BaseUserTurnStopStrategy]
    if turns.smart_turn:
        analyzer = LocalSmartTurnAnalyzerV3(
            params=SmartTurnParams(
                stop_secs=turns.smart_turn_stop_secs,
                pre_speech_ms=turns.smart_turn_pre_speech_ms,
                max_duration_secs=turns.smart_turn_max_duration_secs,
            )
        )
        stop = [TurnAnalyzerUserTurnStopStrategy(turn_analyzer=analyzer)]
    else:
        stop = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=turns.speech_timeout)]
    return UserTurnStrategies(start=start, stop=stop)


def _external_strategies(turns: Turns) -> UserTurnStrategies | None:
    """None leaves it to those that the recogniser brings along."""
    if not _by_words(turns):
        return None
    return UserTurnStrategies(
        start=[StartByServiceInSilence(), _start_by_words(turns)], stop=[ExternalUserTurnStopStrategy()]
    )


def _by_words(turns: Turns) -> bool:
    return turns.barge_in and bool(turns.barge_in_after_words or turns.barge_in_ignore)


def _start_by_words(turns: Turns) -> StartByWords:
    return StartByWords(min_words=max(1, turns.barge_in_after_words), ignore=turns.barge_in_ignore)


def _mutes(mute: Sequence[Mute], opens: bool) -> list[BaseUserMuteStrategy]:
    """When the caller is not listened to. Before its first words the agent is deaf only if it has any: a caller who has to
    speak first would never be heard."""
    strategies: list[BaseUserMuteStrategy] = []
    if "greeting" in mute and opens:
        strategies.append(MuteUntilFirstBotCompleteUserMuteStrategy())
    if "tools" in mute:
        strategies.append(FunctionCallUserMuteStrategy())
    if "always" in mute:
        strategies.append(AlwaysUserMuteStrategy())
    return strategies


def warm() -> None:
    """Load both voice models once, so that the first call does not pay for reading them from disk."""
    SileroVADAnalyzer()
    LocalSmartTurnAnalyzerV3()
