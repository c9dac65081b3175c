"""A save never surprises a call: what happens is told before, confirmed after, and true."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runner.compiler.services import Here
from runner.definition import AgentDefinition
from runner.document.load import load
from runner.events import AgentVersion, Event
from runner.live.call import Call
from runner.live.carriers.typed import TypedCarrier
from runner.live.reload import Agents, reader
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import OpenAIEmulator
from tests.live.test_reload import SHOP, House, save, saved
from tests.live.typed_call import TypedCall
from tests.running import Running, free_port

OLD_WAY = "        to: refund\n"


@pytest.fixture
def model() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def vendors() -> Iterator[tuple[Ports, Vendors]]:
    ports = Ports.free()
    with vendors_on(ports) as running:
        yield ports, running


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def in_refund(call: TypedCall, model: OpenAIEmulator) -> None:
    model.call_tool("go_to_refund")
    assert call.ask("I want a refund")["stage"] == "refund"


def rewrite(file: Path, text: str) -> None:
    draft = file.with_name("draft~")
    draft.write_text(text)
    draft.replace(file)


def renamed(text: str) -> str:
    return text.replace("to: refund", "to: money").replace("  refund:\n", "  money:\n    renamed_from: refund\n")


# the stage a call is in


def test_call_follows_its_renamed_stage_and_says_nothing_again(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        rewrite(shop, renamed(SHOP).replace("Find out what was bought", "Ask what was bought"))
        record = call.wait("reload")
        assert record["changes"] == ["1 call: goes on in money, the new name of refund; prompt from the next turn"]
        assert record["confirmed"] == ["1 call now runs version 2"]
        answer = call.ask("A kettle")
        assert (answer["stage"], answer["version"], answer["text"]) == ("money", 2, "You said: A kettle")
        assert model.request.system.endswith("Ask what was bought.")
        assert [m["content"] for m in model.request.messages if m["role"] == "user"] == ["I want a refund", "A kettle"]
        assert [stage["to"] for stage in call.of("stage")] == ["hello", "refund"]
        assert call.of("version")[-1]["stage"] == "money"
        model.call_tool("go_to_bye")
        assert call.ask("That is all")["text"] == "Goodbye from Bern."


def test_tries_are_kept_when_a_stage_is_renamed(shop: Path, model: OpenAIEmulator) -> None:
    text = SHOP.replace("      - when: The caller is done\n", "      - after_tries: 2\n")
    shop.write_text(text)
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        call.ask("Hm")
        rewrite(shop, renamed(text))
        call.wait("reload")
        model.call_tool("none_of_these")
        assert call.ask("Hm, hm")["text"] == "Goodbye from Bern."


def test_removed_stage_keeps_its_text_until_it_is_left(shop: Path, model: OpenAIEmulator) -> None:
    back = SHOP.replace("name: shop", "anywhere:\n  - when: The caller goes back\n    to: back")
    shop.write_text(back)
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        rewrite(
            shop,
            back.replace(OLD_WAY, "        to: repair\n").replace(
                "  refund:\n    say: A refund", "  repair:\n    say: A repair"
            ),
        )
        [said] = call.wait("reload")["changes"]
        assert "stays in the old text of refund until it leaves it" in said
        assert call.ask("A kettle")["stage"] == "refund"
        model.call_tool("anywhere_go_to_back")
        assert call.ask("Back, please")["stage"] == "hello"
        model.call_tool("anywhere_go_to_back")
        assert call.ask("And back again")["stage"] == "hello"
        model.call_tool("go_to_repair")
        assert call.ask("Repair it")["text"] == "A repair, gladly."


def test_old_text_lives_on_without_a_variable_that_the_file_lost(shop: Path, model: OpenAIEmulator) -> None:
    text = SHOP.replace("Find out what was bought", "Find out what was bought in {{ place }}")
    shop.write_text(text)
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        rewrite(shop, "name: shop\nprompt: You are Zoe.\ngreeting: Hello.\n")
        [said] = call.wait("reload")["changes"]
        assert "stays in the old text of refund to its end: the file has no stages any more" in said
        call.ask("A kettle")
        assert model.request.system == "You are Zoe.\n\nFind out what was bought in Bern."


def test_stages_come_with_the_next_call(tmp_path: Path, model: OpenAIEmulator) -> None:
    shop = tmp_path / "shop.yaml"
    shop.write_text(SHOP.partition("stages:")[0])
    with TypedCall(shop, model) as call:
        rewrite(shop, SHOP)
        assert call.wait("reload")["changes"] == ["1 call: the stages from the next call"]
        assert call.ask("Hello")["stage"] is None
        assert model.request.tools == []


def test_other_first_stage_and_other_order_are_told(shop: Path, model: OpenAIEmulator) -> None:
    head, stages = SHOP.split("stages:\n")
    hello, rest = stages.split("  refund:\n")
    refund, bye = rest.split("  bye:\n")
    with TypedCall(shop, model) as call:
        rewrite(shop, f"{head}stages:\n{hello}  bye:\n{bye}  refund:\n{refund}")
        assert call.wait("reload")["changes"] == ["1 call: the order of the stages from the next call"]


# a save in the middle of something


def test_answer_under_way_belongs_to_the_version_that_asked_for_it(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        model.first_delay = 1.5
        call.type("Good morning")
        call.wait_that(lambda: model.requests, "the request")
        saved(call, shop, "version one", "version two", version=2)
        assert not [r for r in call.of("agent") if r["text"] == "You said: Good morning"]
        answer = call.wait("agent", number=2)
        assert (answer["text"], answer["version"]) == ("You said: Good morning", 1)
        assert model.requests[0].system.startswith("You are Maya, version one.")
        model.first_delay = 0
        assert call.ask("And now")["version"] == 2
        assert call.hang_up() == 0
        assert call.wait("end")["version"] == 2


def test_way_under_way_to_a_stage_renamed_meanwhile_arrives_there(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        model.call_tool("go_to_refund")
        model.first_delay = 1.5
        call.type("I want a refund")
        call.wait_that(lambda: model.requests, "the request")
        rewrite(shop, renamed(SHOP).replace("A refund, gladly", "Money back, gladly"))
        call.wait("reload")
        answer = call.wait("agent", number=2)
        assert (answer["stage"], answer["version"], answer["text"]) == ("money", 2, "Money back, gladly.")


def test_way_under_way_to_a_removed_stage_begins_again_and_does_not_end_the_call(
    shop: Path, model: OpenAIEmulator
) -> None:
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        model.call_tool("go_to_bye")
        model.first_delay = 1.5
        before = len(model.requests)
        call.type("That is all")
        call.wait_that(lambda: model.requests[before:], "the request")
        rewrite(shop, SHOP.replace("to: bye", "to: over").replace("  bye:\n", "  over:\n"))
        call.wait("reload")
        model.first_delay = 0
        call.wait_that(lambda: call.of("stage")[-1]["to"] == "hello", "the beginning")
        assert call.ask("Hello")["stage"] == "hello"
        assert not call.of("end")


def test_ending_call_keeps_its_version_to_the_last_word(shop: Path, model: OpenAIEmulator) -> None:
    shop.write_text(SHOP.replace("    say: Goodbye from {{ place }}.", "    prompt: Say goodbye."))
    with TypedCall(shop, model) as call:
        in_refund(call, model)
        model.call_tool("go_to_bye")
        model.piece_delay = 0.4
        model.reply("Goodbye, it was a pleasure to talk to you, see you soon.")
        call.type("That is all")
        call.wait_that(lambda: call.of("stage")[-1]["to"] == "bye", "the goodbye")
        save(shop, "version one", "version two")
        assert "keeps version 1: ending" in call.wait("reload")["changes"][0]
        assert call.wait("end")["version"] == 1
        assert {r["version"] for r in call.of("agent")} == {1}


async def test_saves_of_every_moment_of_a_spoken_call_neither_lose_nor_double_a_word(
    shop: Path, vendors: tuple[Ports, Vendors]
) -> None:
    ports, their = vendors
    with House(shop, ports) as house:
        async with house.call() as caller:
            await caller.wait_until(lambda: caller.sound, "the greeting's sound")
            save(shop, "version one", "version two")  # in the greeting
            house.wait_for("1 call now runs version 2")
            await caller.wait_for_agent_words("Welcome to the shop.")
            said = asyncio.create_task(their.hear(caller, "Good morning to you all in there"))
            await asyncio.sleep(0.5)
            save(shop, "version two", "version three")  # in the caller's words
            house.wait_for("1 call now runs version 3")
            await said
            await caller.wait_for_agent_words("You said: Good morning to you all in there")
            their.mind.reply("This is a long answer, and while it is spoken somebody saves the file.")
            before = time.monotonic()
            await caller.send_text("Tell me more")
            await caller.wait_for_agent_sound(after=before)
            save(shop, "version three", "version four")  # in the agent's words
            house.wait_for("1 call now runs version 4")
            await caller.wait_for_agent_words("somebody saves the file.")
            await caller.wait_until(lambda: len(caller.told("agent")) == 3, "three turns of the agent")
            assert [told["version"] for told in caller.told("agent")] == [1, 3, 3]
            assert their.spoken[0] == "Welcome to the shop."
            assert len([text for text in their.spoken if "Welcome" in text]) == 1
            assert [r.system.split(".")[0] for r in their.mind.requests] == ["You are Maya, version three"] * 2
        house.wait_for("call ended: the caller hung up (version 4)")
        assert house.wait_for("[agent] You said: Good morning").endswith("(version 3)")
        assert house.wait_for("[agent] Welcome").endswith("Welcome to the shop.")


# plans of several calls, pins


async def test_each_group_of_calls_has_its_plan_and_its_confirmation(
    shop: Path, vendors: tuple[Ports, Vendors]
) -> None:
    ports, their = vendors
    with House(shop, ports) as house:
        pinned = Caller(f"ws://127.0.0.1:{house.port}/ws-client/shop?pin=1")
        async with house.call() as first, house.call() as second, pinned:
            for caller in (first, second, pinned):
                await caller.wait_for_agent_words("Welcome to the shop.")
            their.mind.call_tool("go_to_refund")
            await second.send_text("I want a refund")
            await second.wait_for_stage("refund")
            save(shop, "Find out what was bought", "Ask what was bought")
            house.wait_for("1 call (1): prompt when the call next enters refund")
            house.wait_for("1 call (2): prompt from the next turn")
            house.wait_for("1 call (3) is pinned to version 1")
            house.wait_for("2 calls now run version 2")
            save(shop, "version one", "version two")
            house.wait_for("2 calls (1, 2): prompt from the next turn")
            house.wait_for("2 calls now run version 3")
            await pinned.send_text("Hello")
            await pinned.wait_for_agent_words("You said: Hello")
            assert their.mind.request.system.startswith("You are Maya, version one.")
            assert not pinned.told("version")
            assert [told["changes"] for told in first.told("version")] == [
                ["prompt when the call next enters refund"],
                ["prompt from the next turn"],
            ]


@pytest.mark.parametrize("word", ["maybe", "2", ""])
def test_unknown_word_for_pin_is_refused_politely(shop: Path, vendors: tuple[Ports, Vendors], word: str) -> None:
    ports, _ = vendors
    with House(shop, ports) as house:
        address = f"http://127.0.0.1:{house.port}/api/offer?pin={word}"
        answer = httpx.post(address, json={"sdp": "v=0 m=audio", "type": "offer"}, trust_env=False)
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "pin takes 1 (keep the version the call begins with) or 0.",
        )
        told = {"sdp": "v=0 m=audio", "type": "offer", "requestData": {"pin": word}}
        assert httpx.post(address.partition("?")[0], json=told, trust_env=False).status_code == 422
        assert house.health()["calls"] == 0


def test_pinned_chat_keeps_its_version(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model, "--pin") as call:
        save(shop, "version one", "version two")
        record = call.wait("reload")
        assert record["changes"] == ["1 call is pinned to version 1", "prompt from the next call"]
        assert (record["version"], record["confirmed"]) == (2, [])
        assert call.ask("Hello")["version"] == 1
        assert model.request.system.startswith("You are Maya, version one.")


# limits, reload modes


def test_longest_time_changes_in_a_running_call(shop: Path, model: OpenAIEmulator) -> None:
    save(shop, "name: shop", "name: shop\nlimits:\n  max_call: 1h\n  warning: One minute left.")
    with TypedCall(shop, model) as call:
        assert call.wait("agent")["text"] == "Welcome to the shop."
        time.sleep(6)
        began = time.monotonic()
        assert saved(call, shop, "max_call: 1h", "max_call: 20s\n  goodbye: Bye.", version=2) == [
            "1 call: limits.max_call and limits.goodbye at once"
        ]
        assert call.wait("agent", number=2)["text"] == "One minute left."
        assert saved(call, shop, "max_call: 20s", "max_call: 10s", version=3) == ["1 call: limits.max_call at once"]
        assert call.wait("agent", number=3)["text"] == "Bye."
        end = call.wait("end")
        assert time.monotonic() - began < 8, "the ten seconds count from the beginning of the call"
        assert end == {
            "type": "end",
            "reason": "the call reached its longest time (limits.max_call)",
            "version": 3,
        }


def test_limit_that_has_passed_ends_the_call_and_says_so(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        time.sleep(10.2)
        [said] = saved(call, shop, "name: shop", "name: shop\nlimits:\n  max_call: 10s", version=2)
        assert "ends at once: it has lasted longer than limits.max_call" in said
        assert call.wait("end")["reason"] == "the call reached its longest time (limits.max_call)"


def test_save_that_changes_reload_counts_for_itself_and_for_what_follows(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        changes = saved(call, shop, "version one", "version two", version=2)
        assert changes == ["1 call: prompt from the next turn"]
        changes = saved(
            call,
            shop,
            "name: shop\nprompt: You are Maya, version two",
            "name: shop\nreload: next-call\nprompt: You are Maya, version three",
            version=3,
        )
        assert changes[0] == "1 call keeps version 2 (reload: next-call)"
        assert call.ask("Hello")["version"] == 2
        saved(call, shop, "reload: next-call", "reload: live", version=4)
        assert call.ask("Hello again")["version"] == 4
        assert model.request.system.startswith("You are Maya, version three.")
        changes = saved(call, shop, "reload: live", "reload: off", version=5)
        assert changes[0] == "1 call keeps version 4 (reload: off)"
        save(shop, "version three", "version four")
        assert "not applied, its file says reload: off" in call.wait("not-applied")["message"]
        assert call.ask("And now")["version"] == 4


@pytest.mark.parametrize("mode", ["next-call", "off"])
def test_chat_takes_reload_from_the_command_line(shop: Path, model: OpenAIEmulator, mode: str) -> None:
    with TypedCall(shop, model, "--reload", mode) as call:
        save(shop, "version one", "version two")
        if mode == "off":
            assert "not applied, --reload off" in call.wait("not-applied")["message"]
        else:
            assert call.wait("reload")["changes"][0] == "1 call keeps version 1 (reload: next-call)"
        assert call.ask("Hello")["version"] == 1


# log lines


async def test_log_lines_of_a_call_say_whose_they_are(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, _ = vendors
    port = free_port()
    arguments = ["--no-browser", "--port", str(port), "--log-level", "debug", *ports.arguments]
    with Running(shop, *arguments, cwd=shop.parent, env=KEYS) as running:
        running.wait_for("ready")
        async with Caller(f"ws://127.0.0.1:{port}/ws-client/shop") as caller:
            await caller.wait_for_agent_words("Welcome to the shop.")
            running.wait_for("[call 1, shop version 1]")
            save(shop, "version one", "version two")
            running.wait_for("1 call now runs version 2")
            before = len(running.lines)
            await caller.send_text("Hello")
            await caller.wait_for_agent_words("You said: Hello")
            running.wait_for("[call 1, shop version 2]", after=before)
            assert not [line for line in list(running.lines)[before:] if "[call 1, shop version 1]" in line]


# order


async def test_call_that_is_not_connected_yet_takes_the_newest_version_when_it_is(
    shop: Path, model: OpenAIEmulator
) -> None:
    """As in a Daily room that takes long to join: saves do not wait for it, and the older one is never taken."""
    ones = [_read(shop, SHOP.replace("version one", f"version {n}")) for n in ("one", "two", "three")]
    told: list[Event] = []
    carrier = TypedCarrier()
    call = Call(
        *(ones[0], 1, carrier),
        carrier_name="daily",
        keys={"OPENAI_API_KEY": "sk-dummy-mind"},
        here=Here(),
        choose=None,
        listener=told.append,
        writer=carrier,
    )
    await asyncio.gather(call.take_version(ones[2], 3), call.take_version(ones[1], 2))
    assert (call.version, call.awaits) == (1, 3)
    running = asyncio.create_task(call.run())
    await call.begin()
    assert (call.version, call.awaits, call.conversation.agent) == (3, None, ones[2])
    await call.take_version(ones[1], 2)
    assert call.version == 3
    assert [event.version for event in told if isinstance(event, AgentVersion)] == [3]
    await call.end("the test is over")
    await running


async def test_saves_that_reach_a_call_at_once_leave_the_newest(shop: Path, model: OpenAIEmulator) -> None:
    ones = [_read(shop, SHOP.replace("version one", f"version {n}")) for n in range(1, 30)]
    told: list[Event] = []
    carrier = TypedCarrier()
    call = Call(
        *(ones[0], 1, carrier),
        carrier_name="typed",
        keys={"OPENAI_API_KEY": "sk-dummy-mind"},
        here=Here(),
        choose=None,
        listener=told.append,
        writer=carrier,
    )
    running = asyncio.create_task(call.run())
    await call.begin()
    order = list(range(1, 29))
    random.Random(4).shuffle(order)
    await asyncio.gather(*(call.take_version(ones[n], n + 1) for n in order))
    versions = [event.version for event in told if isinstance(event, AgentVersion)]
    assert call.conversation.agent == ones[28]
    assert versions == sorted(set(versions))
    assert versions[-1] == 29
    await call.end("the test is over")
    await running


def _read(file: Path, text: str) -> AgentDefinition:
    found = load(file, text=text, env={}).definition
    assert found
    return found


def test_older_version_never_follows_a_newer_one(shop: Path) -> None:
    agents = Agents(reader({}, {}, lambda: {}))
    agents.open(shop)
    [agent] = agents
    versions: list[int] = []
    for number in range(5):
        shop.write_text(SHOP.replace("version one", f"number {number}"))
        [done] = asyncio.run(agents.take(frozenset({shop})))
        versions.append(done.agent.version)
    assert versions == [2, 3, 4, 5, 6]
    assert "number 4" in agent.definition.prompt


def test_saves_within_a_short_moment_are_one_version(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        for number in range(8):
            rewrite(shop, SHOP.replace("version one", f"number {number}"))
            time.sleep(0.01)
        call.wait("reload")
        time.sleep(0.5)
        assert len(call.of("reload")) <= 2
        call.ask("Hello")
        assert model.request.system.startswith("You are Maya, number 7.")
        told = [record["version"] for record in call.of("version")]
        assert told == sorted(set(told))
