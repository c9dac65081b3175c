"""The next stage's first words are made ready while the model still chooses: an answer asked beside the choice, a line spoken
before it is said. What was made ready is heard only where it is what would be asked or said now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.caller import Caller
from tests.cloud.vendors import Vendors
from tests.emulators import until
from tests.emulators.openai import Reply, Request, ToolCall
from tests.emulators.openai_rules import RefusedError
from tests.running import Running

Call = Callable[[str], Caller]

GREETING = "Hello, this is the shop."
REFUND, PARCEL, BACK = "I want my money back.", "Where is my parcel?", "Start again, please."
LINE = "Let me look for your parcel."
ASKED_AHEAD = "Why do you want it back?"


def chosen(*calls: str, text: str = "", then: str = ASKED_AHEAD) -> Callable[[Mapping[str, Any]], Reply]:
    """A model that answers what the caller says with `text` and `calls`, and what its calls led to with `then`."""

    def answer(body: Mapping[str, Any]) -> Reply:
        if body["messages"][-1]["role"] == "tool":
            return Reply(then)
        return Reply(text, tuple(ToolCall(name) for name in calls))

    return answer


def without_id(request: Request) -> dict[str, Any]:
    """What was asked, the call's own id left out."""
    messages = [dict(message) for message in request.messages]
    for message in messages:
        message.pop("tool_call_id", None)
        message["tool_calls"] = [{**call, "id": ""} for call in message.get("tool_calls", [])]
    return {**request.body, "messages": messages}


def of_voice(vendors: Vendors, text: str) -> Any:
    """The only context in which the voice was asked for `text`."""
    (context,) = [context for context in vendors.voice.contexts if context.text.strip() == text]
    return context


async def greeted(caller: Caller) -> None:
    await caller.wait_for_agent_words(GREETING)


@pytest.fixture
def slow(vendors: Vendors) -> Vendors:
    """A model that thinks for a third of a second and takes its time with every word."""
    vendors.mind.first_delay, vendors.mind.piece_delay = 0.35, 0.05
    return vendors


async def test_way_that_was_likely_answers_from_the_request_that_went_out_beside_the_choice(
    call: Call, slow: Vendors
) -> None:
    mind = slow.mind
    mind.answer = chosen("go_to_refund")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await caller.wait_for_agent_words(ASKED_AHEAD)
    assert caller.stages == ["start", "refund"]
    choice, ahead = mind.requests
    assert choice.messages[-1]["content"] == REFUND
    assert ahead.at - choice.at < 0.2, "beside it, not after it"
    assert not ahead.abandoned
    assert ahead.system == "You are brief.\n\nAsk for the reason."
    assert (choice.body["temperature"], ahead.body["temperature"]) == (0.2, 0.9)
    assert ahead.tools == ["anywhere_go_to_human", "go_to_start"]
    assert slow.spoken == [GREETING, ASKED_AHEAD]


async def test_what_is_asked_ahead_is_what_would_be_asked_without(call: Call, vendors: Vendors) -> None:
    mind = vendors.mind
    for agent in ("looks_ahead", "looks_not_ahead"):
        mind.answer = chosen("go_to_refund")
        async with call(agent) as caller:
            await greeted(caller)
            await caller.send_text(REFUND)
            await caller.wait_for_agent_words(ASKED_AHEAD)
            mind.answer = lambda body: "I see."
            await caller.send_text("It is broken.")
            await caller.wait_for_agent_words("I see.")
    ahead, after = mind.requests[:3], mind.requests[3:]
    assert [without_id(request) for request in ahead] == [without_id(request) for request in after]


async def test_words_that_ask_for_no_way_make_one_request(call: Call, vendors: Vendors) -> None:
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text("When are you open?")
        await caller.wait_for_agent_words("You said: When are you open?")
    assert len(vendors.mind.requests) == 1
    assert len(vendors.spoken) == 2


async def test_answer_in_words_cancels_what_was_asked_ahead(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen(text="We do not do that here any more.")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await until(lambda: len(slow.mind.requests) == 2 and slow.mind.requests[1].abandoned)
        assert slow.mind.requests[0].finished_at is None, "cancelled with the first word, not with the last"
        await caller.wait_for_agent_words("We do not do that here any more.")
    assert caller.stages == ["start"]
    assert slow.spoken == [GREETING, "We do not do that here any more."]


async def test_another_way_than_the_likely_one_cancels_too(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen("anywhere_go_to_human")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await caller.wait_for_agent_words("One moment.")
    assert caller.stages == ["start", "human"]
    assert [request.abandoned for request in slow.mind.requests] == [False, True]


async def test_model_that_speaks_and_calls_is_asked_again_in_the_new_stage(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen("go_to_refund", text="Of course.", then="What was wrong with it?")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await caller.wait_for_agent_words("What was wrong with it?")
    _, ahead, asked = slow.mind.requests
    assert ahead.abandoned
    assert asked.messages[-1]["role"] == "tool"
    assert "Of course." in caller.agent_text
    assert slow.spoken.count("What was wrong with it?") == 1


async def test_refused_request_ahead_is_made_again_when_it_is_needed(call: Call, vendors: Vendors) -> None:
    refused: list[float] = []

    def answer(body: Mapping[str, Any]) -> Reply:
        if body["messages"][-1]["role"] == "tool" and not refused:
            refused.append(time.monotonic())
            raise RefusedError(429, "Rate limit reached for requests.", code="rate_limit_exceeded")
        return chosen("go_to_refund")(body)

    vendors.mind.answer = answer
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await caller.wait_for_agent_words(ASKED_AHEAD)
        assert caller.told("problem") == []
    assert [request.status for request in vendors.mind.requests] == [200, 429, 200]


async def test_caller_who_goes_on_speaking_never_hears_what_was_asked_before(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen("go_to_refund")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await until(lambda: len(slow.mind.requests) == 2)
        slow.mind.answer = chosen(text="Then not.", then="Stale.")
        await caller.send_text("Oh, forget it.")
        await until(lambda: all(request.abandoned for request in slow.mind.requests[:2]))
        await caller.wait_for_agent_words("Then not.")
    assert caller.stages == ["start"]
    assert slow.spoken == [GREETING, "Then not."]


@pytest.fixture
def agent_file(agents: Path) -> Iterator[Path]:
    """An agent that a test may save; it is put back afterwards."""
    file = agents / "looks_ahead.yaml"
    text = file.read_text(encoding="utf-8")
    yield file
    file.write_text(text, encoding="utf-8")
    time.sleep(0.5)


def save(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


async def test_save_in_between_asks_again_with_the_new_prompt(call: Call, vendors: Vendors, agent_file: Path) -> None:
    mind = vendors.mind
    mind.first_delay = 1.5
    mind.answer = chosen("go_to_refund")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await until(lambda: len(mind.requests) == 2)
        save(agent_file, "Ask for the reason.", "Ask for the date.")
        await caller.wait_until(lambda: caller.told("version"), "the new version")
        mind.answer = chosen("go_to_refund", then="When did you buy it?")
        await caller.wait_for_agent_words("When did you buy it?")
    assert len(mind.requests) == 3
    assert mind.request.system == "You are brief.\n\nAsk for the date."
    assert ASKED_AHEAD not in vendors.spoken


async def test_switched_off_nothing_is_made_ready(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen("go_to_refund")
    async with call("looks_not_ahead") as caller:
        await greeted(caller)
        await caller.send_text(REFUND)
        await caller.wait_for_agent_words(ASKED_AHEAD)
        choice, asked = slow.mind.requests
        assert asked.at > (choice.finished_at or 0) - 0.05
        slow.mind.answer = chosen("go_to_start", then="Yes?")
        await caller.send_text(BACK)
        await caller.wait_for_agent_words("Yes?")
        slow.mind.answer = chosen("go_to_parcel")
        await caller.send_text(PARCEL)
        await caller.wait_for_agent_words(LINE)
    assert of_voice(slow, LINE).opened_at > (slow.mind.request.finished_at or 0) - 0.05


async def test_written_line_is_spoken_before_the_model_has_chosen_and_is_said_once(call: Call, slow: Vendors) -> None:
    slow.mind.answer = chosen("go_to_parcel")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(PARCEL)
        await caller.wait_for_agent_words(LINE)
        (choice,) = slow.mind.requests
        line = of_voice(slow, LINE)
        assert line.opened_at < choice.at + 0.3 < (choice.finished_at or 0)
        assert line.first.generation_config.speed == 1.2, "with the voice of the stage it belongs to"
        slow.mind.answer = chosen(text="Which one?")
        await caller.send_text("The blue one.")
        await caller.wait_for_agent_words("Which one?")
    assert slow.spoken == [GREETING, LINE, "Which one?"]
    spoken = [m for m in slow.mind.request.messages if m["role"] == "assistant" and m.get("content")]
    assert [m["content"] for m in spoken] == [GREETING, LINE]


async def test_written_line_that_is_not_said_is_cancelled_and_never_heard(call: Call, slow: Vendors) -> None:
    slow.voice.real_time_factor = 4.0
    slow.mind.answer = chosen(text="I do not know.")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(PARCEL)
        await caller.wait_for_agent_words("I do not know.")
    assert of_voice(slow, LINE).cancelled_at is not None
    assert LINE not in caller.agent_text
    heard = sum(piece.seconds for piece in caller.sound if piece.is_voiced)
    assert heard < 0.02 * len(GREETING + "I do not know.") + 0.3


async def test_greeting_is_spoken_while_the_caller_connects(house: tuple[Running, int], vendors: Vendors) -> None:
    vendors.voice.first_delay = 0.4
    async with Caller(f"ws://127.0.0.1:{house[1]}/ws-client/looks_ahead", ready=False) as caller:
        await until(lambda: vendors.spoken == [GREETING])
        await until(lambda: of_voice(vendors, GREETING).done_at)
        await asyncio.sleep(0.1)
        assert caller.voice_after(0) == []
        ready = time.monotonic()
        await caller.client_ready()
        assert await caller.wait_for_agent_sound() - ready < 0.35
        await greeted(caller)
        await caller.send_text("When are you open?")
        await caller.wait_for_agent_words("You said: When are you open?")
    assert vendors.spoken == [GREETING, "You said: When are you open?"]
    assert vendors.mind.request.messages[1] == {"role": "assistant", "content": GREETING}


async def test_line_spoken_ahead_is_cut_off_like_any_other(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    async with call("looks_ahead") as caller:
        await caller.wait_for_agent_sound()
        await caller.send_text("Stop.")
        await until(lambda: of_voice(vendors, GREETING).cancelled_at is not None)
        await caller.wait_for_agent_words("You said: Stop.")
    assert GREETING not in caller.agent_text


async def test_line_whose_connection_breaks_is_said_all_the_same(call: Call, slow: Vendors) -> None:
    slow.mind.first_delay = 1.0
    slow.voice.first_delay = 0.6
    slow.mind.answer = chosen("go_to_parcel")
    async with call("looks_ahead") as caller:
        await greeted(caller)
        await caller.send_text(PARCEL)
        await until(lambda: LINE in slow.spoken)
        slow.voice.session.drop()
        await caller.wait_for_agent_words(LINE)
    assert slow.spoken.count(LINE) == 2
