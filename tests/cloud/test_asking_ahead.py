"""The service that asks ahead, alone in a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import LLMContextFrame, LLMTextFrame, MetricsFrame
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.tests.utils import SleepFrame, run_test

from runner.compiler.services.looking_ahead import Ahead, LookingAhead, attach, taken
from tests.emulators import OpenAIEmulator
from tests.emulators.openai import Reply, ToolCall

ASKED = {"role": "user", "content": "I want my money back."}


async def _ignored(params: FunctionCallParams) -> None:
    await params.result_callback({"status": "acknowledged"})


def offering(*messages: Any) -> LLMContext:
    way = FunctionSchema("go", "The caller wants to go.", {}, [], handler=_ignored)
    return LLMContext(messages=list(messages), tools=ToolsSchema(standard_tools=[way]))


def answer(body: Mapping[str, Any]) -> Reply:
    last = body["messages"][-1]
    return Reply("Gone.") if last["role"] == "tool" else Reply("", (ToolCall("go"),))


async def heard(*contexts: LLMContext, ahead: Ahead) -> tuple[list[str], int, int]:
    """Requests with these contexts, `ahead` beside the first. Returns the words that came, the reports of usage, and the
    number of requests."""
    async with OpenAIEmulator(answer=answer) as mind:
        llm = LookingAhead(api_key="sk-a", base_url=mind.url, settings=OpenAILLMService.Settings(model="gpt-4o"))
        frames = [LLMContextFrame(context=context) for context in contexts]
        attach(frames[0], ahead)
        steps = [step for frame in frames for step in (frame, SleepFrame(0.5))]
        params = PipelineParams(enable_metrics=True, enable_usage_metrics=True)
        down, _ = await run_test(llm, frames_to_send=steps, pipeline_params=params)
        await llm._client.close()
    words = [frame.text for frame in down if isinstance(frame, LLMTextFrame)]
    usage = [d for f in down if isinstance(f, MetricsFrame) for d in f.data if isinstance(d, LLMUsageMetricsData)]
    return words, len(usage), len(mind.requests)


async def test_answer_asked_ahead_is_used_for_the_same_request_with_another_id() -> None:
    ahead = Ahead("go", offering(ASKED, *taken("go", '{"status": "acknowledged"}')))
    then = offering(ASKED, *taken("go", '{"status": "acknowledged"}'))
    assert await heard(offering(ASKED), then, ahead=ahead) == (["Gone."], 2, 2)


async def test_other_words_other_result_and_other_tools_are_other_requests() -> None:
    ahead = Ahead("go", offering(ASKED, *taken("go", '{"status": "acknowledged"}')))
    for then in (
        offering(ASKED, *taken("go", '{"status": "done"}')),
        offering(ASKED, {"role": "assistant", "content": "Sure."}, *taken("go", '{"status": "acknowledged"}')),
        LLMContext(messages=[ASKED, *taken("go", '{"status": "acknowledged"}')]),
    ):
        words, counted, requests = await heard(offering(ASKED), then, ahead=ahead)
        assert (words, counted, requests) == (["Gone."], 3, 3), "made anew, and the one for nothing is counted too"


async def test_settings_told_meanwhile_make_another_request() -> None:
    history = [ASKED, *taken("go", '{"status": "acknowledged"}')]
    ahead = Ahead("go", offering(*history), OpenAILLMService.Settings(temperature=0.9))
    _, counted, requests = await heard(offering(ASKED), offering(*history), ahead=ahead)
    assert (counted, requests) == (3, 3)
