"""Turn taking that changes while a call runs: how turns begin and end, who decides it, and when the caller is not listened to.

Comes in: what differs between two moments of a call. Goes out: other strategies in Pipecat's aggregator of the caller's side,
and what the ear has to be told with them. Both wait for a moment in which the caller does not speak, so that neither side
waits for signs of an end that the other one gives no more. Words that nobody may cut off are said out before that changes.

Pipecat 1.14 replaces strategies by a metadata frame of a service, and only where none were given. New ones begin with nothing:
no latency of the recogniser, no word of whether the agent speaks. Here strategies are always given, and are told both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    UserIdleTimeoutUpdateFrame,
    VADParamsUpdateFrame,
)
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.stt_service import STTService
from pipecat.turns.user_mute import (
    AlwaysUserMuteStrategy,
    BaseUserMuteStrategy,
    FunctionCallUserMuteStrategy,
    MuteUntilFirstBotCompleteUserMuteStrategy,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    ExternalUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from runner.compiler import services
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.compiler.turns.ends import EndOfDictation
from runner.compiler.turns.steady_vad import SteadyVAD
from runner.compiler.turns.strategies import smart_turn_params, starts, stop, vad_params
from runner.definition import Idle, Mute, Service, Turns, Vad
from runner.effective import Change, Dictation, Effective

_LOOK_SECS = 0.02
"""How often a change that waits looks whether the caller is silent."""

_SOON_SECS = 0.2
"""How long a change made in silence may take before the call goes on without waiting for it: loading Smart Turn."""

_WORDS_SECS = 3.0
"""After words that are still growing, how long their end is waited for. The vendor ends a turn in silence sooner."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What strategies are made of. external: the ear decides when the caller begins and ends."""

    external: bool
    dictation: Dictation | None
    turns: Turns


class Listening(BaseUserMuteStrategy):
    """When the caller is not listened to; and what of a call is known here: this sees every frame, in silence too.

    said: how often the agent has ended what it was saying, or was cut off.
    muted_in: which of the agent file's `mute` hold now. Each keeps its state while it does not hold, so that one that is
    switched on in mid-call knows what goes on. The first words are waited for only in a call that opens with some: a caller
    who has to speak first would never be heard.
    """

    def __init__(self, muted_in: tuple[Mute, ...], *, opens: bool) -> None:
        super().__init__()
        self.muted_in = muted_in
        self.agent_speaks = False
        self.said = 0
        self._words_until = 0.0
        self._kinds: dict[Mute, BaseUserMuteStrategy] = {
            "tools": FunctionCallUserMuteStrategy(),
            "always": AlwaysUserMuteStrategy(),
        }
        if opens:
            self._kinds["greeting"] = MuteUntilFirstBotCompleteUserMuteStrategy()

    @property
    def words_grow(self) -> bool:
        """The ear has shown words that it has not finished."""
        return time.monotonic() < self._words_until

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        for kind in self._kinds.values():
            await kind.setup(setup)

    async def cleanup(self) -> None:
        for kind in self._kinds.values():
            await kind.cleanup()
        await super().cleanup()

    async def process_frame(self, frame: Frame) -> bool:
        match frame:
            case BotStartedSpeakingFrame():
                self.agent_speaks = True
            case BotStoppedSpeakingFrame():
                self.agent_speaks = False
                self.said += 1
            case InterimTranscriptionFrame():
                self._words_until = time.monotonic() + _WORDS_SECS
            case TranscriptionFrame():
                self._words_until = 0.0
            case _:
                pass
        muted = False
        for name, kind in self._kinds.items():
            if name in self.muted_in or not isinstance(frame, ErrorFrame):
                muted |= await kind.process_frame(frame) and name in self.muted_in
        return muted


class TurnTaking:
    """Turn taking of one call.

    now: what the call begins with. stt: the ear of the call. `params` go into Pipecat's aggregator of the caller's side, which
    is handed to `attach` before the call begins.
    """

    def __init__(self, now: Effective, stt: STTService) -> None:
        self._now = now
        self._stt = stt
        self._ear = stt if isinstance(stt, AssemblyAIEars) else None
        self._external = services.decides_turns(stt)
        self._heard_by: Callable[[], Service] = lambda: self._now.stt
        self._applied = self._plan()
        self._vad = self._wanted_vad()
        self._listening = Listening(now.turns.mute, opens=now.opens)
        self._held: list[STTUpdateSettingsFrame] = []
        self._settling: asyncio.Task[None] | None = None
        self._said_out = 0
        self._smart_turns: list[tuple[SmartTurnParams, LocalSmartTurnAnalyzerV3]] = []
        if now.turns.smart_turn:
            params = smart_turn_params(now.turns)
            self._smart_turns.append((params, LocalSmartTurnAnalyzerV3(params=params)))
        self._user: LLMUserAggregator | None = None

    async def heard_by(self, stt: STTService, service: Callable[[], Service]) -> None:
        """Another ear hears from now on. service: what it is set to. It was made as the call is set; what an ear before was
        still to be told is not told."""
        self._stt, self._heard_by = stt, service
        self._ear = stt if isinstance(stt, AssemblyAIEars) else None
        self._external = services.decides_turns(stt)
        self._held.clear()
        self._hold_endpoint()
        if self._plan() != self._applied and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._settle())
        await self._tell_vad()

    def params(self) -> LLMUserAggregatorParams:
        """Strategies are always given: those that a service brings along would take the place of ours at any time (Pipecat
        1.14). With AssemblyAI's own turn detection the local VAD serves the latency report and dictation."""
        self._hold_endpoint()
        return LLMUserAggregatorParams(
            vad_analyzer=SteadyVAD(params=vad_params(self._vad)),
            user_turn_strategies=self._strategies(self._applied),
            user_mute_strategies=[self._listening],
            user_idle_timeout=idle_timeout(self._now.turns.idle),
        )

    def attach(self, user: LLMUserAggregator) -> None:
        self._user = user

    async def take(self, changed: Change, now: Effective, frame: STTUpdateSettingsFrame | None) -> None:
        """Change what differs: the idle time and the voice detection at once, the rest in the next silence of the caller, and
        after the words of the agent that were not to be cut off.

        frame: what the ear is told. It goes along with a change of who decides about turns, or of dictation; otherwise it
        goes at once.
        """
        self._now = now
        if changed.touches("turns.idle"):
            await self._aggregator.queue_frame(UserIdleTimeoutUpdateFrame(timeout=idle_timeout(now.turns.idle)))
        plan, applied = self._plan(), self._applied
        self._said_out = self._listening.said + self._listening.agent_speaks
        together = (plan.external, plan.dictation) != (applied.external, applied.dictation) or bool(self._held)
        if frame and together:
            self._held.append(frame)
        elif frame:
            await self._stt.queue_frame(frame)
        if not together:
            await self._tell_vad()
        if plan == applied and not self._held:
            return
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle())
        if self._may_change_to(plan):
            await asyncio.wait({self._settling}, timeout=_SOON_SECS)

    def close(self) -> None:
        """The call is over: what still waits will not happen."""
        if self._settling:
            self._settling.cancel()

    @property
    def _aggregator(self) -> LLMUserAggregator:
        assert self._user, "attach() comes before the call begins"
        return self._user

    @property
    def _is_quiet(self) -> bool:
        """No turn of the caller is open, and none is about to be."""
        user = self._aggregator
        vad = user._vad_controller
        speaks = vad is not None and vad._vad_state is VADState.SPEAKING
        return not (user._user_turn_controller._user_turn or speaks or self._listening.words_grow)

    def _may_change_to(self, plan: _Plan) -> bool:
        """Whether nobody is in the middle of a sentence: not the caller, nor the agent in one that must not be cut off."""
        guarded = _is_guarded(self._applied.turns) and not _is_guarded(plan.turns)
        return self._is_quiet and not (guarded and self._listening.said < self._said_out)

    def _plan(self) -> _Plan:
        now, ear = self._now, self._heard_by()
        if self._ear and ear.provider == "assemblyai":  # otherwise a save named another ear, which takes the next call
            self._external = ear.settings.get("turn_detection") == "assemblyai"
        return _Plan(self._external, now.listen_for, replace(now.turns, vad=Vad(), idle=None, look_ahead="off"))

    def _wanted_vad(self) -> Vad:
        """An ear that cannot be asked for the end of a turn ends it with the local voice detection, which waits instead."""
        vad, dictation = self._now.turns.vad, self._now.listen_for
        if dictation and not self._ear and not self._external:
            return replace(vad, stop_secs=max(vad.stop_secs, dictation.wait))
        return vad

    async def _tell_vad(self) -> None:
        if (vad := self._wanted_vad()) != self._vad:
            self._vad = vad
            await self._aggregator.queue_frame(VADParamsUpdateFrame(params=vad_params(vad)))

    async def _settle(self) -> None:
        """Wait for the moment, and change all that differs then."""
        while self._held or self._plan() != self._applied:
            plan = self._plan()
            await self._load_smart_turn(plan.turns)
            strategies = self._strategies(plan)
            while not self._may_change_to(plan) and plan == self._plan():  # noqa: ASYNC110 - Pipecat tells nobody
                await asyncio.sleep(_LOOK_SECS)
            if plan == self._plan():
                await self._install(plan, strategies)

    async def _install(self, plan: _Plan, strategies: UserTurnStrategies) -> None:
        """Nothing here waits before the new strategies are in place, so that no frame finds half of them."""
        changed = plan != self._applied
        held, self._held, self._applied = self._held, [], plan
        self._listening.muted_in = plan.turns.mute
        self._hold_endpoint()
        for frame in held:
            await self._stt.queue_frame(frame)
        if changed:
            controller = self._aggregator._user_turn_controller
            before, controller._user_turn_strategies = controller._user_turn_strategies, strategies
            await controller._setup_strategies()
            await self._tell_news(strategies)
            for strategy in (*(before.start or []), *(before.stop or [])):
                await strategy.cleanup()
        await self._tell_vad()

    async def _tell_news(self, strategies: UserTurnStrategies) -> None:
        """What strategies that were there from the beginning know."""
        frames: list[Frame] = [self._stt.service_metadata_frame()]
        if self._listening.agent_speaks:
            frames.append(BotStartedSpeakingFrame())
        for strategy in (*(strategies.start or []), *(strategies.stop or [])):
            for frame in frames:
                await strategy.process_frame(frame)

    def _hold_endpoint(self) -> None:
        if self._ear:
            self._ear.holds_endpoint = self._applied.dictation is not None

    async def _load_smart_turn(self, turns: Turns) -> None:
        """Its model takes a tenth of a second to load, which other calls must not wait for. The one before is kept, for a
        call that goes from a stage to another and back."""
        if turns.smart_turn and self._smart_turn(turns) is None:
            params = smart_turn_params(turns)
            loaded = await asyncio.to_thread(LocalSmartTurnAnalyzerV3, params=params)
            self._smart_turns = [*self._smart_turns[-1:], (params, loaded)]

    def _smart_turn(self, turns: Turns) -> LocalSmartTurnAnalyzerV3 | None:
        """What listens whether the caller has finished, None where a silence tells that."""
        params = smart_turn_params(turns)
        return next((one for known, one in self._smart_turns if turns.smart_turn and known == params), None)

    def _strategies(self, plan: _Plan) -> UserTurnStrategies:
        return UserTurnStrategies(start=starts(plan.turns, external=plan.external), stop=self._stops(plan))

    def _stops(self, plan: _Plan) -> list[BaseUserTurnStopStrategy]:
        ear, dictation = self._ear, plan.dictation
        found: list[BaseUserTurnStopStrategy] = [ExternalUserTurnStopStrategy()] if plan.external else []
        if dictation and ear:
            found.append(EndOfDictation(dictation, ear.end_utterance, decides=not plan.external))
        elif dictation and not plan.external:
            found.append(SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0))
        elif not plan.external:
            found.append(stop(plan.turns, self._smart_turn(plan.turns)))
        return found


def _is_guarded(turns: Turns) -> bool:
    """Whether the agent says out whatever it has begun."""
    return not turns.barge_in or "always" in turns.mute


def idle_timeout(idle: Idle | None) -> float:
    """Seconds of the caller's silence after which the agent speaks; 0 for never."""
    return idle.after if idle else 0
