"""The ways out of a stage, chosen by the model through its tools."""

from __future__ import annotations

from collections.abc import Callable

from tests.caller import Caller
from tests.cloud.vendors import Vendors
from tests.emulators import until

Call = Callable[[str], Caller]


async def test_tool_enters_the_stage_and_its_words_are_spoken_without_the_model(call: Call, vendors: Vendors) -> None:
    async with call("support") as caller:
        await caller.wait_for_agent_sound()
        vendors.mind.call_tool("go_to_refund")
        await caller.send_text("I want my money back.")
        await caller.wait_for_stage("refund")
        await caller.wait_for_agent_words("I can help with a refund. What is your order number?")
        assert vendors.spoken[1:] == ["I can help with a refund. What is your order number?"]
        assert len(vendors.mind.requests) == 1, "the request that chose the way, and none for what is written"

        await caller.send_text("I do not have it.")
        await until(lambda: len(vendors.mind.requests) == 2)
    request = vendors.mind.request
    assert request.system.endswith("Get the order number. It has five digits. Read it back.")
    assert "Find out why the caller is calling" not in request.system
    assert [m for m in request.messages[1:] if m["role"] in ("system", "developer")] == []
    assert request.tools == ["anywhere_go_to_human", "go_to_refunded"]
    call_made = next(m for m in request.messages if "tool_calls" in m)
    answer = request.messages[request.messages.index(call_made) + 1]
    assert [c["function"]["name"] for c in call_made["tool_calls"]] == ["go_to_refund"]
    assert (answer["role"], answer["tool_call_id"]) == ("tool", call_made["tool_calls"][0]["id"])


async def test_stage_without_words_of_its_own_lets_the_model_speak_at_once(call: Call, vendors: Vendors) -> None:
    async with call("ways") as caller:
        await caller.wait_for_stage("start")
        vendors.mind.call_tool("go_to_weather")
        await caller.send_text("Will it rain?")
        await caller.wait_for_stage("weather")
        vendors.mind.call_tool("none_of_these")
        vendors.mind.reply("Sorry, what was that?")
        await caller.send_text("Bananas.")
        await caller.wait_for_stage("lost")
        await caller.wait_for_agent_words("Sorry, what was that?")
    assert vendors.mind.request.system == "You are brief.\n\nSay that you did not understand."
    assert len(vendors.mind.requests) == 3


async def test_last_try_makes_the_model_choose(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("What do you want to know?")
    async with call("ways") as caller:
        await caller.wait_for_stage("start")
        await caller.send_text("Hm.")
        await caller.wait_for_agent_words("What do you want to know?")
        vendors.mind.call_tool("none_of_these")
        await caller.send_text("Hm.")
        await caller.wait_for_stage("lost")
    first, last = vendors.mind.requests[:2]
    assert "tool_choice" not in first.body
    assert first.tools == ["anywhere_go_to_human", "go_to_weather"]
    assert last.body["tool_choice"] == "required"
    assert last.tools == ["anywhere_go_to_human", "go_to_weather", "none_of_these"]


async def test_way_that_fits_wins_on_the_last_try_and_tries_begin_anew(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("What do you want to know?")
    async with call("ways") as caller:
        await caller.wait_for_stage("start")
        await caller.send_text("Hm.")
        await caller.wait_for_agent_words("What do you want to know?")
        vendors.mind.call_tool("go_to_weather")
        await caller.send_text("Will it rain?")
        await caller.wait_for_stage("weather")
        vendors.mind.call_tool("go_to_back")
        vendors.mind.reply("And now?", "Please say it again.")
        await caller.send_text("More.")
        await caller.wait_for_agent_words("And now?")
        await caller.send_text("Hm.")
        await caller.wait_for_agent_words("Please say it again.")
    assert caller.stages == ["start", "weather", "start"]
    assert "tool_choice" not in vendors.mind.request.body


async def test_otherwise_is_offered_with_the_first_turn(call: Call, vendors: Vendors) -> None:
    async with call("ways") as caller:
        await caller.wait_for_stage("start")
        vendors.mind.call_tool("go_to_weather")
        await caller.send_text("Will it rain?")
        await caller.wait_for_agent_words("It is sunny.")
        vendors.mind.call_tool("none_of_these")
        await caller.send_text("Bananas.")
        await caller.wait_for_stage("lost")
    assert vendors.mind.requests[1].body["tool_choice"] == "required"
    assert vendors.mind.requests[1].tools == ["anywhere_go_to_human", "go_to_back", "none_of_these"]


async def test_anywhere_leads_out_of_any_stage_and_the_end_hangs_up(call: Call, vendors: Vendors) -> None:
    async with call("ways") as caller:
        await caller.wait_for_stage("start")
        vendors.mind.call_tool("go_to_weather")
        await caller.send_text("Will it rain?")
        await caller.wait_for_stage("weather")
        vendors.mind.call_tool("anywhere_go_to_human")
        await caller.send_text("Give me a person.")
        await caller.wait_for_end()
    assert caller.stages == ["start", "weather", "human"]
    assert "One moment." in caller.agent_text, "the last words are out before the line is closed"
    assert len(vendors.mind.requests) == 2
