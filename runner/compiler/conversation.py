"""Where a call is in its agent, and how it gets on: entering stages, hearing the caller, taking a new version of the file.

Comes in: a definition and the parts of a compiled call. Goes out: frames to those parts, and events. Whatever differs between
two moments is told by `effective.change` and applied in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from pipecat.flows import FlowsFunctionSchema, NodeConfig
from pipecat.frames.frames import LLMContextFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage

from runner.compiler.callers.said import Correction, Turn
from runner.compiler.callers.spoken_language import LanguageSpoken
from runner.compiler.likely import likely
from runner.compiler.stages import ENTER, StageFlow, functions_of, node, way_of_last_resort
from runner.definition import BACK, AgentDefinition, Transition
from runner.effective import Change, Effective, change, effective, held_after, own_language
from runner.events import (
    AgentVersion,
    CallerSaid,
    Event,
    LanguageChanged,
    Listener,
    SpeakerCorrected,
    StageEntered,
)
from runner.following import follow

Chooser = Callable[[str, Sequence[Transition]], Transition | None]
"""What the caller said and the ways out that have a `when` -> the way meant, or None. May take some milliseconds."""


_VERSION = "version"
"""Which version a node was made by, kept in its first action."""


class Parts(Protocol):
    """What a conversation needs of the call it runs in (`pipeline.Compiled` is one)."""

    async def apply(self, changed: Change, now: Effective) -> None: ...
    async def queue_frame(self, frame: TTSSpeakFrame) -> None: ...
    async def ask_model(self, frame: LLMContextFrame) -> None: ...
    def ask_ahead(
        self, request: LLMContextFrame, function: str, then: LLMContext, changed: Change, coming: Effective
    ) -> None: ...
    async def say_ahead(self, line: str, changed: Change, coming: Effective) -> None: ...
    async def finish(self, reason: str) -> None: ...
    @property
    def ending(self) -> bool: ...


class Conversation:
    """One call's way through its agent.

    choose: decides the ways out by meaning, before the model is asked; None leaves the choice to the model's functions.
    """

    def __init__(self, agent: AgentDefinition, *, version: int, listener: Listener, choose: Chooser | None) -> None:
        self._agent: AgentDefinition = agent
        self._version = version
        self._listener = listener
        self._choose = choose
        self._now = self._held = effective(agent, agent.first_stage)
        self._visited: list[str] = []
        self._renamed: dict[str, str] = {}
        self._kept: str | None = None
        self._moving = asyncio.Lock()
        self._tries = 0
        self._flow: StageFlow | None = None
        self._parts: Parts | None = None
        self._begun = self._opened = False
        self._languages: dict[str | None, LanguageSpoken] = {}
        self._language: str | None = None
        self._speaker: str | None = None

    @property
    def language(self) -> str | None:
        """The short code of what the caller speaks, None for the agent's own language."""
        return self._language

    @property
    def names(self) -> dict[str, str]:
        """What the file calls the speakers, by the ear's letters."""
        return {letter: one.name for letter, one in self._agent.speakers.people.items() if one.name}

    @property
    def now(self) -> Effective:
        """What the call is set to at this moment."""
        return self._now

    @property
    def held(self) -> Effective:
        """What the parts of the call hold: like `now`, but with a service's last settings where a save names another one."""
        return self._held

    @property
    def begun(self) -> bool:
        """Whether the caller is there."""
        return self._begun

    @property
    def version(self) -> int:
        return self._version

    @property
    def agent(self) -> AgentDefinition:
        """What the call holds: its version of the file, with the old text of its stage where a save removed that."""
        return self._agent

    @property
    def ending(self) -> bool:
        """Whether the call is in a stage that ends it."""
        return self._begun and self._now.end

    def attach(self, flow: StageFlow, parts: Parts) -> None:
        """Connect the conversation with the call that was compiled for it."""
        self._flow, self._parts = flow, parts
        flow.enter_by(self._moving, self._renewed, self._end_if_last)
        flow.register_action(ENTER, self._entered)

    async def get_ready(self) -> None:
        """The caller is about to come: have the call's first line spoken, so that it can be heard at once."""
        now = self._now
        line = now.greeting.text if now.greeting else now.say
        if line and not self._begun and now.turns.look_ahead == "likely":
            await self._attached()[1].say_ahead(line, Change(), now)

    async def begin(self, context: LLMContext) -> None:
        """The caller is there: speak the greeting (or let the model open) in the first stage. Later calls do nothing."""
        if self._begun:
            return
        self._begun = True
        flow, parts = self._attached()
        flow.set_global_functions(self._anywhere())
        await flow.initialize(self._opening())
        greeting = self._now.greeting
        if greeting and greeting.text:
            await parts.queue_frame(TTSSpeakFrame(greeting.text, append_to_context=True))
        elif greeting and greeting.prompt:
            text = f"The call begins now and you speak first. {greeting.prompt}"
            opening: LLMContextMessage = {"role": "developer", "content": text}
            await parts.ask_model(LLMContextFrame(context=LLMContext(messages=[*context.messages, opening])))
        self._opened = True
        await self._end_if_last()

    async def heard(
        self, turns: Sequence[Turn], frame: LLMContextFrame, speaker: str | None = None
    ) -> LLMContextFrame | None:
        """Finished turns of a caller, before the model is asked. speaker: whom it will answer.

        Returns the request to make, or None when none is to be made: another stage was entered and makes its own, or the
        call is ending and what the caller says into the goodbye gets no answer.
        """
        for turn in turns:
            self._tell_said(turn, answered=True)
        said = " ".join(turn.text for turn in turns)
        if self._now.end or self._attached()[1].ending:
            return None
        await self._turn_to(turns, speaker)
        ways = self._now.ways
        if not ways:
            return frame
        self._tries += 1
        resort = next((way for way in ways if self._used_up(way)), None)
        if self._choose is not None:
            named = [way for way in ways if way.when]
            way = await asyncio.to_thread(self._choose, said, named) if named else None
            way = way or resort
            if way is None:
                return frame
            await self.enter(self._target(way))
            return None
        request = frame
        if resort is not None:
            flow, _ = self._attached()
            functions = [*self._functions(), way_of_last_resort(resort, self._take)]
            request = LLMContextFrame(context=await flow.must_choose(frame.context, functions))
        await self._look_ahead(said, request, frame.context)
        return request

    def overheard(self, turns: Sequence[Turn]) -> None:
        """Turns of somebody whom the agent does not answer."""
        for turn in turns:
            self._tell_said(turn, answered=False)

    def corrected(self, correction: Correction) -> None:
        """The ear has found that somebody else said something."""
        words = correction.words
        told = SpeakerCorrected(correction.turn, words.text, words.speaker, correction.speaker, self._version)
        self._tell(told)

    def _tell_said(self, turn: Turn, *, answered: bool) -> None:
        language, confidence = turn.language or (None, None)
        self._tell(
            CallerSaid(
                text=turn.text,
                stage=self._now.stage,
                version=self._version,
                turn=turn.number,
                speaker=turn.speaker,
                name=self.names.get(turn.speaker or "", ""),
                language=language,
                confidence=confidence,
                answered=answered,
            )
        )

    async def _turn_to(self, turns: Sequence[Turn], speaker: str | None) -> None:
        """Go over to the language of these turns, and to what the model is told for this speaker."""
        apart = self._agent.speakers.mode != "together"
        spoken = self._languages.setdefault(speaker if apart else None, LanguageSpoken())
        language = spoken.after(turns, self._agent.languages, own_language(self._agent))
        if (language, speaker) == (self._language, self._speaker):
            return
        async with self._moving:
            left, self._language, self._speaker = self._language, language, speaker
            now = self._at(self._now.stage)
            changed = change(self._held, now)
            self._now, self._held = now, held_after(self._held, now)
            if changed:
                await self._attached()[1].apply(changed, now)
        if language != left:
            self._tell(LanguageChanged(left, language, self._version))

    def _at(self, stage: str | None) -> Effective:
        """What the call is set to in a stage, for whom it answers now."""
        return effective(self._agent, stage, self._language, self._speaker)

    async def _look_ahead(self, said: str, request: LLMContextFrame, context: LLMContext) -> None:
        """Get ready for the stage that the caller has probably asked for, while the model still chooses."""
        way = likely(said, self._now.ways) if self._now.turns.look_ahead == "likely" else None
        if way is None:
            return
        flow, parts = self._attached()
        coming = self._at(self._target(way))
        changed = change(self._held, coming)
        if coming.say is not None:
            await parts.say_ahead(coming.say, changed, coming)
        elif coming.asks:
            name = self._names()[way]
            then = await flow.after(context, name, functions_of(self._own(coming), self._take))
            parts.ask_ahead(request, name, then, changed, coming)

    async def enter(self, stage: str) -> None:
        """Go to `stage` now."""
        flow, _ = self._attached()
        await flow.set_node_from_config(self._node(stage))

    async def take_version(self, agent: AgentDefinition, version: int, noticed: Sequence[str] = ()) -> Change | None:
        """Swap the definition of the running call and tell its parts what differs. Returns what was told, None for nothing:
        the call has this version or a newer one, or it is ending and keeps its own to the last word.

        A stage that is being entered is entered first, with the version it was begun with. One that the new file has under
        another name goes on there; one that it no longer has keeps its old text until the call leaves it.

        noticed: what the caller notices, in plain words, for whoever shows it.
        """
        async with self._moving:
            if version <= self._version or self.ending:
                return None
            stage = self._now.stage if self._begun else None
            going = follow(self._agent, stage, agent) if self._begun else None
            if going is None:
                held, stage = agent, agent.first_stage
            else:
                held, stage = going.agent, going.stage
                self._kept = stage if going.fate == "removed" else None
                self._renamed = {was: going.names.get(to, to) for was, to in self._renamed.items()} | dict(going.names)
                self._visited = [name for was in self._visited if (name := self._renamed.get(was, was)) in agent.stages]
            now = effective(held, stage, self._language, self._speaker)
            changed = change(self._held, now)
            self._agent, self._version = held, version
            self._now, self._held = now, held_after(self._held, now)
            flow, parts = self._attached()
            await parts.apply(changed, now)
            flow.set_global_functions(self._anywhere())
            if changed.touches("next") and self._begun and self._choose is None:
                await flow.replace_functions(self._functions())
            self._tell(AgentVersion(version=version, stage=stage, changes=tuple(noticed)))
            return changed

    def _used_up(self, way: Transition) -> bool:
        return way.otherwise or (way.after_tries is not None and self._tries >= way.after_tries)

    def _target(self, way: Transition) -> str:
        """The stage a way leads to."""
        first = self._agent.first_stage or ""
        return self._there_is((self._visited[-1] if self._visited else first) if way.to == BACK else way.to) or ""

    def _there_is(self, stage: str | None) -> str | None:
        """The stage itself, its new name, or the beginning when a save removed it while the call was on the way there."""
        if stage is None or stage in self._agent.stages:
            return stage
        now = self._renamed.get(stage, stage)
        return now if now in self._agent.stages else self._agent.first_stage

    async def _take(self, way: Transition) -> NodeConfig:
        return self._node(self._target(way))

    def _node(self, stage: str) -> NodeConfig:
        coming = self._at(stage)
        return self._stamped(node(coming, functions_of(() if self._choose else self._own(coming), self._take)))

    def _opening(self) -> NodeConfig:
        return self._stamped(node(self._now, self._functions(), opening=True))

    def _stamped(self, config: NodeConfig) -> NodeConfig:
        _first_action(config)[_VERSION] = self._version
        return config

    def _renewed(self, config: NodeConfig) -> NodeConfig:
        """A stage is about to be entered: its node, made again if a save came since it was made."""
        action = _first_action(config)
        if action[_VERSION] == self._version:
            return config
        stage = self._there_is(action["stage"])
        return self._opening() if action["opening"] or stage is None else self._node(stage)

    def _functions(self) -> list[FlowsFunctionSchema]:
        return [] if self._choose is not None else functions_of(self._own(self._now), self._take)

    def _own(self, now: Effective) -> tuple[Transition, ...]:
        """The ways out of a stage that are not there from anywhere."""
        return tuple(way for way in now.ways if way not in self._agent.anywhere)

    def _names(self) -> dict[Transition, str]:
        """The function of each way that the model may choose now."""
        offered = ((self._own(self._now), self._functions()), (self._agent.anywhere, self._anywhere()))
        return {
            way: function.name
            for ways, functions in offered
            for way, function in zip((way for way in ways if way.when), functions, strict=True)
        }

    def _anywhere(self) -> list[FlowsFunctionSchema]:
        if self._choose is not None:
            return []
        return [
            replace(function, name=f"anywhere_{function.name}"[:64])
            for function in functions_of(self._agent.anywhere, self._take)
        ]

    async def _entered(self, action: dict[str, Any], _flow: object) -> None:
        stage, opening = cast("str | None", action["stage"]), bool(action["opening"])
        _, parts = self._attached()
        before, now = self._now, self._at(stage)
        if not opening:
            if before.stage is not None and before.stage != self._kept:
                self._visited.append(before.stage)
            changed, self._held = change(self._held, now), held_after(self._held, now)
            await parts.apply(changed, now)
            if self._kept not in (None, stage):
                stages = {name: one for name, one in self._agent.stages.items() if name != self._kept}
                self._agent, self._kept = replace(self._agent, stages=stages), None
        self._now, self._tries = now, 0
        if stage is not None:
            left = None if opening else before.stage
            self._tell(StageEntered(left=left, stage=stage, version=self._version))
        if now.say:
            await parts.queue_frame(TTSSpeakFrame(now.say, append_to_context=True))

    async def _end_if_last(self) -> None:
        """End the call after its last stage's words. They are on their way, and the end of the call follows behind them: it
        comes when they are out, when the caller cuts them off, and also when nothing is said. Pipecat's Flows would wait for
        the agent to have spoken."""
        if self._now.end and self._opened:
            await self._attached()[1].finish(f"the agent ended it (stage {self._now.stage})")

    def _attached(self) -> tuple[StageFlow, Parts]:
        if self._flow is None or self._parts is None:
            raise RuntimeError("attach() comes before the call begins")
        return self._flow, self._parts

    def _tell(self, event: Event) -> None:
        self._listener(event)


def _first_action(config: NodeConfig) -> dict[str, Any]:
    return cast("dict[str, Any]", config.get("pre_actions", [])[0])
