"""What a save does while a call is on: typed calls as processes, their model an emulator that keeps every request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import OpenAIEmulator
from tests.live.typed_call import TypedCall
from tests.running import Running, free_port

SHOP = """
name: shop
prompt: You are Maya, version one.
greeting: Welcome to the shop.
variables:
  place: Bern
stages:
  hello:
    prompt: Find out what is wanted.
    next:
      - when: The caller wants a refund
        to: refund
  refund:
    say: A refund, gladly.
    prompt: Find out what was bought.
    next:
      - when: The caller is done
        to: bye
  bye:
    say: Goodbye from {{ place }}.
    end: true
"""


@pytest.fixture
def model() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def save(file: Path, old: str, new: str) -> None:
    """Save `file` with every `old` replaced, the way most editors do."""
    text = file.read_text()
    assert old in text
    draft = file.with_name(f"{file.name}~")
    draft.write_text(text.replace(old, new))
    draft.replace(file)


def saved(call: TypedCall, file: Path, old: str, new: str, *, version: int) -> list[str]:
    """Save, wait until the call has taken it, and return what changed."""
    save(file, old, new)
    record = call.wait("reload", number=len([r for r in call.of("reload") if r["version"] < version]) + 1)
    assert record["version"] == version
    return record["changes"]


# running typed calls


def test_prompt_reaches_the_next_request_and_the_history_stays(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        call.ask("Good morning")
        assert model.request.system == "You are Maya, version one.\n\nFind out what is wanted."
        changes = saved(call, shop, "version one", "version two", version=2)
        assert changes == ["1 call: prompt from the next turn"]
        answer = call.ask("And now")
        assert answer["version"] == 2
        assert model.request.system == "You are Maya, version two.\n\nFind out what is wanted."
        saved(call, shop, "Find out what is wanted", "Ask for the name", version=3)
        call.ask("And again")
        assert model.request.system == "You are Maya, version two.\n\nAsk for the name."
        assert [m["content"] for m in model.request.messages if m["role"] == "user"] == [
            "Good morning",
            "And now",
            "And again",
        ]
        assert [m["role"] for m in model.request.messages].count("system") == 1
        assert saved(call, shop, "Welcome", "Hello and welcome", version=4) == ["1 call: greeting from the next call"]
        assert call.ask("Still there")["text"] == "You said: Still there"
        assert call.hang_up() == 0


def test_say_line_and_variable_are_new_when_the_stage_is_entered(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        saved(call, shop, "A refund, gladly.", "Money back, of course.", version=2)
        model.call_tool("go_to_refund")
        assert call.ask("I want a refund")["text"] == "Money back, of course."
        changes = saved(call, shop, "place: Bern", "place: Basel", version=3)
        assert changes == ["1 call: say when the call next enters bye"]
        model.call_tool("go_to_bye")
        assert call.ask("That was all")["text"] == "Goodbye from Basel."
        assert call.wait("end")["reason"] == "the agent ended it (stage bye)"


def test_new_stage_and_new_way_are_open_at_once(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        call.ask("Hello")
        assert model.request.tools == ["go_to_refund"]
        way = "        to: refund\n"
        save_text = f"{way}      - when: The caller asks for opening hours\n        to: hours\n"
        shop.write_text(shop.read_text().replace(way, save_text) + "  hours:\n    say: From nine to six.\n")
        call.wait("reload")
        model.call_tool("go_to_hours")
        assert call.ask("When are you open")["text"] == "From nine to six."
        assert model.request.tools == ["go_to_refund", "go_to_hours"]


def test_settings_of_the_model_come_and_go(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        call.ask("One")
        assert "temperature" not in model.request.body
        saved(call, shop, "name: shop", "name: shop\nllm:\n  model: gpt-4.1\n  temperature: 0.9", version=2)
        call.ask("Two")
        assert (model.request.body["model"], model.request.body["temperature"]) == ("gpt-4.1", 0.9)
        saved(call, shop, "\n  temperature: 0.9", "", version=3)
        call.ask("Three")
        assert model.request.body["model"] == "gpt-4.1"
        assert "temperature" not in model.request.body


def test_broken_save_and_a_missing_file_change_nothing_and_say_why(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        call.ask("One")
        save(shop, "prompt: You are", "promt: You are")
        problem = call.wait("problem")
        assert (problem["file"], problem["line"], problem["column"]) == (str(shop), 3, 1)
        assert '"promt"' in problem["message"]
        assert call.ask("Two")["version"] == 1
        assert model.request.system.startswith("You are Maya, version one.")
        assert not call.of("reload")
        saved(call, shop, "promt: You are Maya, version one", "prompt: You are Maya, mended", version=2)
        assert call.ask("Three")["version"] == 2
        assert model.request.system.startswith("You are Maya, mended.")
        text = shop.read_text()
        shop.unlink()
        assert call.wait("problem", number=2)["message"] == "There is no such file."
        assert call.ask("Are you there")["version"] == 2
        shop.write_text(text)
        assert call.wait("reload", number=2)["version"] == 3


def test_prompt_file_is_watched_also_one_that_came_with_a_save(shop: Path, model: OpenAIEmulator) -> None:
    (shop.parent / "prompts").mkdir()
    first, second = shop.parent / "prompts" / "maya.md", shop.parent / "zoe.md"
    first.write_text("You are Maya from a file.")
    save(shop, "prompt: You are Maya, version one.", "prompt:\n  file: prompts/maya.md")
    with TypedCall(shop, model) as call:
        call.ask("One")
        assert model.request.system.startswith("You are Maya from a file.")
        save(first, "Maya", "Nora")
        assert call.wait("reload")["changes"] == ["1 call: prompt from the next turn"]
        call.ask("Two")
        assert model.request.system.startswith("You are Nora from a file.")
        save(shop, "prompts/maya.md", "zoe.md")  # not there yet
        assert "zoe.md" in call.wait("problem")["message"]
        second.write_text("You are Zoe.")
        call.wait("reload", number=2)
        second.write_text("You are Zoe, saved again.")
        call.wait("reload", number=3)
        first.write_text("Nobody reads this any more.")
        call.ask("Three")
        assert model.request.system.startswith("You are Zoe, saved again.")
        assert len(call.of("reload")) == 3


def test_save_while_the_call_is_being_set_up_is_not_lost(shop: Path, model: OpenAIEmulator) -> None:
    call = TypedCall(shop, model)
    time.sleep(0.7)  # the file has been read, Pipecat is being loaded
    save(shop, "version one", "version two")
    with call:
        call.ask("Hello")
        assert model.request.system.startswith("You are Maya, version two.")


def test_stage_the_call_is_in_may_be_renamed(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        model.call_tool("go_to_refund")
        call.ask("I want a refund")
        text = shop.read_text().replace("to: refund", "to: money").replace("  refund:\n", "  money:\n")
        shop.write_text(text.replace("version one", "version two"))
        call.wait("reload")
        answer = call.ask("It is 12345")
        assert (answer["stage"], answer["version"]) == ("refund", 2)
        assert model.request.system == "You are Maya, version two.\n\nFind out what was bought."
        saved(call, shop, "version two", "version three", version=3)
        model.call_tool("go_to_bye")
        assert call.ask("That was all")["text"] == "Goodbye from Bern."
        assert call.wait("end")


def test_stage_a_way_leads_to_may_be_removed(shop: Path, model: OpenAIEmulator) -> None:
    back = SHOP.replace("name: shop", "anywhere:\n  - when: The caller goes back\n    to: back")
    shop.write_text(back)
    with TypedCall(shop, model) as call:
        model.call_tool("go_to_refund")
        call.ask("I want a refund")
        text = shop.read_text().replace("  hello:\n", "  start:\n").replace("wanted", "wanted, again")
        shop.write_text(text)
        call.wait("reload")
        model.call_tool("anywhere_go_to_back")
        answer = call.ask("Please go back")
        assert answer["stage"] == "start"
        assert model.request.system.endswith("Find out what is wanted, again.")


def test_all_stages_may_go_and_come(shop: Path, model: OpenAIEmulator) -> None:
    with TypedCall(shop, model) as call:
        call.ask("One")
        with_stages = shop.read_text()
        shop.write_text(with_stages.partition("stages:")[0].replace("version one", "version two"))
        call.wait("reload")
        assert call.ask("Two")["version"] == 2
        assert model.request.system.startswith("You are Maya, version two.")
        shop.write_text(with_stages)
        call.wait("reload", number=2)
        model.call_tool("go_to_refund")
        assert call.ask("I want a refund")["text"] == "A refund, gladly."


# `runner AGENT` and `runner FOLDER`


@pytest.fixture
def vendors() -> Iterator[tuple[Ports, Vendors]]:
    ports = Ports.free()
    with vendors_on(ports) as running:
        yield ports, running


class House(Running):
    """`runner` on a folder or file, with the emulated vendors."""

    def __init__(self, where: Path, ports: Ports, *options: str, keys: dict[str, str] = KEYS) -> None:
        self.port = free_port()
        folder = where if where.is_dir() else where.parent
        arguments = ["--no-browser", "--port", str(self.port), *ports.arguments, *options]
        super().__init__(where, *arguments, cwd=folder, env=keys)

    def __enter__(self) -> House:
        self.wait_for("ready")
        return self

    def call(self, agent: str = "shop") -> Caller:
        return Caller(f"ws://127.0.0.1:{self.port}/ws-client/{agent}")

    def health(self) -> dict:
        return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).json()

    def agents(self) -> dict[str, dict]:
        found = httpx.get(f"http://127.0.0.1:{self.port}/api/agents", trust_env=False).json()["agents"]
        return {agent["name"]: agent for agent in found}


async def test_voice_prompt_and_keyterms_reach_a_spoken_call(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, their = vendors
    save(shop, "name: shop", "name: shop\nstt:\n  keyterms: [RMA]\ntts:\n  voice: 79a125e8-cd45-4c13-8a67-188112f4dd22")
    with House(shop, ports) as house:
        async with house.call() as caller:
            await caller.wait_for_agent_words("Welcome to the shop.")
            save(shop, "79a125e8-", "89a125e8-")
            house.wait_for("1 call: voice from the next sentence")
            save(shop, "keyterms: [RMA]", "keyterms: [RMA, refund]")
            house.wait_for("1 call: keyterms at once")
            save(shop, "version one", "version two")
            house.wait_for("1 call: prompt from the next turn")
            house.wait_for("1 call now runs version 4")
            assert len(their.ears.sessions) == 1
            updates = their.ears.sessions[0].of_type("UpdateConfiguration")
            assert [update.body["keyterms_prompt"] for update in updates if "keyterms_prompt" in update.body] == [
                ["RMA", "refund"]
            ]
            their.mind.reply("This is another voice.")
            await caller.send_text("Hello")
            await caller.wait_for_agent_words("This is another voice.")
            assert their.mind.request.system.startswith("You are Maya, version two.")
            spoken = [message.body for session in their.voice.sessions for message in session.received]
            voices = [body["voice"]["id"][:8] for body in spoken if "voice" in body]
            assert (voices[0], voices[-1]) == ("79a125e8", "89a125e8")
            assert [told["version"] for told in caller.told("version")] == [2, 3, 4]


async def test_next_call_leaves_running_calls_alone(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, their = vendors
    with House(shop, ports, "--reload", "next-call") as house:
        async with house.call() as caller:
            await caller.wait_for_agent_words("Welcome to the shop.")
            save(shop, "version one", "version two")
            house.wait_for("1 call keeps version 1 (reload: next-call)")
            house.wait_for("prompt from the next call")
            save(shop, "Welcome", "Hello and welcome")
            house.wait_for("greeting from the next call")
            await caller.send_text("Hello")
            await caller.wait_for_agent_words("You said: Hello")
            assert their.mind.request.system.startswith("You are Maya, version one.")
            assert not caller.told("version")
        async with house.call() as caller:
            await caller.wait_for_agent_words("Hello and welcome to the shop.")
            await caller.send_text("Hello")
            await caller.wait_for_agent_words("You said: Hello")
            assert their.mind.request.system.startswith("You are Maya, version two.")


def test_off_leaves_everything_alone(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, _ = vendors
    with House(shop, ports, "--reload", "off") as house:
        save(shop, "Welcome", "Hello and welcome")
        time.sleep(1)
        assert house.agents()["shop"]["version"] == 1
        assert "[saved]" not in house.output


def test_saved_env_file_is_used_by_the_next_call(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, emulated = vendors
    env = shop.parent / ".env"
    env.write_text("\n".join(f"{name}={key}" for name, key in KEYS.items()))
    save(shop, "name: shop", "name: shop\nllm:\n  temperature: 0.1")
    with House(shop, ports, keys={}) as house:
        env.write_text(env.read_text().replace("OPENAI_API_KEY=", "OPENAI_API_KEY=other-"))
        refused = house.wait_for("[problem] .env: OPENAI_API_KEY is wrong. OpenAI says: ")
        assert refused.endswith("Running calls and new ones go on with the OPENAI_API_KEY of before.")
        assert not [line for line in house.lines if "[saved]" in line]
        emulated.mind.key = f"newer-{KEYS['OPENAI_API_KEY']}"
        env.write_text(env.read_text().replace("other-", "newer-"))
        house.wait_for("[saved] .env: the next call uses the new OPENAI_API_KEY")
        before = len(house.lines)
        env.write_text("")
        line = house.wait_for("[problem] .env: the keys of before stay in use.", after=before)
        assert "ASSEMBLYAI_API_KEY, CARTESIA_API_KEY" in line
        assert not [line for line in house.lines if "is now version" in line]
        assert not [line for line in house.lines if any(key in line for key in KEYS.values())]
        assert house.agents()["shop"]["version"] == 1


def test_two_agents_of_a_folder_are_saved_apart(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, _ = vendors
    other = shop.with_name("other.yaml")
    other.write_text("prompt: You are Otto.\n")
    with House(shop.parent, ports) as house:
        save(other, "Otto", "Olga")
        house.wait_for("[saved] other is now version 2")
        save(shop, "prompt: You", "promt: You")
        house.wait_for("Version 1 stays in use.")
        save(other, "Olga", "Oda")
        house.wait_for("[saved] other is now version 3")
        versions = {agent["name"]: agent["version"] for agent in house.health()["agents"]}
        assert versions == {"other": 3, "shop": 1}
        agents = house.agents()
        assert agents["other"]["problems"] == []
        assert [problem["line"] for problem in agents["shop"]["problems"]] == [3]
        save(other, "prompt:", "name: shop\nprompt:")
        house.wait_for('Another agent is called "shop" too.')
        assert set(house.agents()) == {"other", "shop"}


async def test_agent_of_another_name_keeps_its_calls(shop: Path, vendors: tuple[Ports, Vendors]) -> None:
    ports, their = vendors
    with House(shop, ports) as house:
        async with house.call() as caller:
            await caller.wait_for_agent_words("Welcome to the shop.")
            save(shop, "name: shop", "name: store")
            house.wait_for("[saved] store is now version 2")
            save(shop, "version one", "version three")
            house.wait_for("[saved] store is now version 3")
            await caller.send_text("Hello")
            await caller.wait_for_agent_words("You said: Hello")
            assert their.mind.request.system.startswith("You are Maya, version three.")
            assert house.health()["agents"] == [{"name": "store", "version": 3, "calls": 1}]
            save(shop, "prompt: You", "promt: You")
            house.wait_for("1 problem. Version 3 stays in use; the call in progress keeps it.")
            assert caller.close_code is None
