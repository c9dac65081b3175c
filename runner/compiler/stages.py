"""Stages by Pipecat Flows: a stage becomes a node, its ways out become functions the model may call.

Nothing with braces reaches Flows: prompts are rendered before, and travel as the model's system instruction instead of as
messages, so that instructions never pile up in the history.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.flows import ActionConfig, FlowArgs, FlowManager, FlowsFunctionSchema, NodeConfig
from pipecat.frames.frames import LLMSetToolsFrame
from pipecat.processors.aggregators.llm_context import NOT_GIVEN, LLMContext

from runner.compiler.services.looking_ahead import taken
from runner.definition import Transition
from runner.effective import Effective

Take = Callable[[Transition], Awaitable[NodeConfig]]
"""Given a way out that the model chose, the node it leads to."""

ENTER = "enter_stage"
"""The action that tells the services what differs in a stage and speaks its `say`."""

_ACKNOWLEDGED = '{"status": "acknowledged"}'
"""What Flows answers to a call that only leads elsewhere (Pipecat 1.14)."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME = 64
"""OpenAI: function names are 1 to 64 letters, digits, underscores or dashes."""


class StageFlow(FlowManager):
    """Flows' manager, whose global functions and current functions can be replaced while a call runs.

    Pipecat 1.14 fixes the global functions at construction and changes a node's functions only by entering a node, which
    would drop a transition that is already under way.
    """

    _anywhere: Sequence[FlowsFunctionSchema] = ()
    _moving: asyncio.Lock
    _renew: Callable[[NodeConfig], NodeConfig]
    _entered: Callable[[], Awaitable[None]]

    def enter_by(
        self, moving: asyncio.Lock, renew: Callable[[NodeConfig], NodeConfig], entered: Callable[[], Awaitable[None]]
    ) -> None:
        """Hold `moving` while a stage is entered, and ask `renew` for its node then: it was made when the model chose it.
        Whatever the stage says or asks the model for is on its way when `entered` is called."""
        self._moving, self._renew, self._entered = moving, renew, entered

    async def _set_node(self, node_id: str, node_config: NodeConfig) -> None:
        async with self._moving:
            config = self._renew(node_config)
            await super()._set_node(node_id if config is node_config else config.get("name", node_id), config)
            await self._entered()

    def set_global_functions(self, functions: Sequence[FlowsFunctionSchema]) -> None:
        self._anywhere = functions
        self._global_functions = list(functions)

    async def replace_functions(self, functions: Sequence[FlowsFunctionSchema]) -> None:
        """Offer these functions, and the global ones, from the next request on, without entering a stage."""
        frame = LLMSetToolsFrame(tools=await self._tools(functions))
        frame.interruptible = False
        await self._worker.queue_frames([frame])

    async def must_choose(self, context: LLMContext, functions: Sequence[FlowsFunctionSchema]) -> LLMContext:
        """A copy of `context` for one request in which the model has to call one of these functions or a global one."""
        return LLMContext(messages=list(context.messages), tools=await self._tools(functions), tool_choice="required")

    async def after(self, context: LLMContext, function: str, functions: Sequence[FlowsFunctionSchema]) -> LLMContext:
        """A copy of `context` as it will be once `function` was called and led to a stage that offers `functions`."""
        tools = await self._tools(functions)
        messages = [*context.messages, *taken(function, _ACKNOWLEDGED)]
        return LLMContext(messages=messages, tools=tools if tools.standard_tools else NOT_GIVEN)

    async def _tools(self, functions: Sequence[FlowsFunctionSchema]) -> ToolsSchema:
        tools = [*self._anywhere, *functions]
        return ToolsSchema(standard_tools=[await self._create_function_schema(tool) for tool in tools])


def node(now: Effective, functions: Sequence[FlowsFunctionSchema], *, opening: bool = False) -> NodeConfig:
    """Flows' node for a stage. `opening`: the call begins here, so the model is not asked to speak.

    Its first action is `ENTER`, for which the flow needs a handler; Flows keeps one handler a type of action, so the action
    itself says which stage is meant.
    """
    return {
        "name": now.stage or "conversation",
        "task_messages": list[dict[str, Any]](),
        "functions": list(functions),
        "pre_actions": [cast(ActionConfig, {"type": ENTER, "stage": now.stage, "opening": opening})],
        "respond_immediately": now.asks and now.say is None and not opening,
    }


def functions_of(ways: Sequence[Transition], take: Take) -> list[FlowsFunctionSchema]:
    """One function for each way that has a `when`; the others are not the model's choice."""
    names: set[str] = set()
    return [_function(way, _free_name(way.to, names), way.when, take) for way in ways if way.when]


def way_of_last_resort(way: Transition, take: Take) -> FlowsFunctionSchema:
    """The function offered when the caller's tries are used up."""
    return _function(way, "none_of_these", "None of the other functions fits what the caller said.", take)


def _function(way: Transition, name: str, when: str, take: Take) -> FlowsFunctionSchema:
    async def chosen(_args: FlowArgs, _flow: FlowManager) -> tuple[None, NodeConfig]:
        return None, await take(way)

    examples = "".join(f'\n- "{example}"' for example in way.examples)
    description = f"{when}\nFor example:{examples}" if examples else when
    return FlowsFunctionSchema(
        name=name,
        description=description,
        properties={},
        required=[],
        handler=chosen,
        # Flows' default makes it a tool that answers later, and Pipecat 1.14 then adds a page about such tools to the prompt.
        cancel_on_interruption=True,
    )


def _free_name(stage: str, taken: set[str]) -> str:
    stem = _NOT_IN_NAMES.sub("_", f"go_to_{stage}")[: _MAX_NAME - 4]
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name
