"""A saved `.env`: its keys are tried out before a call uses them, and a refused one changes nothing for the callers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.document.load import load
from runner.environment import TOKEN_VARIABLE, Environment
from runner.live import keys, new_keys
from runner.live.new_keys import NewKeys, tried
from runner.live.reload import Agents, reader
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.running import free_port
from tests.serve.conftest import AGENT, GREETING, pointed, serving


def write(folder: Path, **other: str) -> None:
    """`.env` with the keys of the emulators, but for `other`; an empty one is left out."""
    lines = [f"{name}={key}\n" for name, key in {**KEYS, **other}.items() if key]
    draft = folder / "env~"
    draft.write_text("".join(lines))
    draft.replace(folder / ".env")


async def answered(caller: Caller, vendors: Vendors, asked: str, answer: str) -> None:
    vendors.mind.reply(answer)
    await vendors.hear(caller, asked)
    await caller.wait_for_agent_words(answer, seconds=30)


async def test_refused_key_is_told_and_calls_go_on_while_a_good_one_serves_the_next(
    tmp_path: Path, ports: Ports
) -> None:
    write(tmp_path)
    new_voice, new_mind, wrong_mind = "sk_car_newer-voice-12", "sk-newer-mind-34", "sk-wrong-mind-56"
    with vendors_on(ports) as vendors, serving(tmp_path, ports, keys={}) as server:
        async with Caller(server.line) as running:
            await running.wait_for_agent_words(GREETING, seconds=30)
            vendors.voice.key = new_voice
            write(tmp_path, OPENAI_API_KEY=wrong_mind, CARTESIA_API_KEY=new_voice)
            refused = await asyncio.to_thread(server.running.wait_for, "[problem] .env: ")
            assert refused.startswith("[problem] .env: OPENAI_API_KEY is wrong. OpenAI says: ")
            assert refused.endswith("Running calls and new ones go on with the OPENAI_API_KEY of before.")
            used = await asyncio.to_thread(server.running.wait_for, "[saved] .env: ")
            assert used == "[saved] .env: the next call uses the new CARTESIA_API_KEY"
            await answered(running, vendors, "Are you there?", "Yes, with the key of before.")
        async with Caller(server.line) as next_one:
            await next_one.wait_for_agent_words(GREETING, seconds=30)
            await answered(next_one, vendors, "And you?", "Yes, me too.")
        vendors.mind.key, before = new_mind, len(server.running.lines)
        write(tmp_path, OPENAI_API_KEY=new_mind, CARTESIA_API_KEY=new_voice)
        await asyncio.to_thread(server.running.wait_for, "the next call uses the new OPENAI_API_KEY", after=before)
        async with Caller(server.line) as last:
            await last.wait_for_agent_words(GREETING, seconds=30)
            await answered(last, vendors, "And with the new one?", "With that too.")
        output = server.running.output
    for key in (*KEYS.values(), new_voice, new_mind, wrong_mind):
        assert key not in output


async def told(
    folder: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch, **other: str
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """What becomes of an environment whose `.env` held the emulators' keys and is saved with others."""
    monkeypatch.chdir(folder)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    file = folder / "shop.yaml"
    file.write_text(AGENT)
    loaded = load(file, settings=dict(pair.split("=", 1) for pair in pointed(ports) if "=" in pair))
    assert loaded.definition, loaded.problems
    write(folder)
    environment = Environment([file])
    write(folder, **other)
    return await tried(environment, [loaded.definition], "cloud")


async def test_keys_are_asked_about_only_where_they_differ(
    tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendors_on(ports) as vendors:
        values, said = await told(tmp_path, ports, monkeypatch, SPARE="x")
        assert (values["SPARE"], said) == ("x", ("[saved] .env: no key differs",))
        vendors.ears.key = "dummy-newer-ear-88"
        values, said = await told(tmp_path, ports, monkeypatch, ASSEMBLYAI_API_KEY="dummy-newer-ear-88")
        assert said == ("[saved] .env: the next call uses the new ASSEMBLYAI_API_KEY",)
        assert values["ASSEMBLYAI_API_KEY"] == "dummy-newer-ear-88"
        assert vendors.ears.tokens_asked == [200]
        assert not vendors.mind.models_asked
        assert not vendors.voice.voices_asked


async def test_vendor_that_cannot_be_reached_does_not_hold_a_new_key_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SECS", 0.5)
    away = Ports(free_port(), free_port(), free_port())
    values, said = await told(tmp_path, away, monkeypatch, CARTESIA_API_KEY="sk_car_newer")
    assert values["CARTESIA_API_KEY"] == "sk_car_newer"
    assert said[0] == "[saved] .env: the next call uses the new CARTESIA_API_KEY"
    assert said[1].strip().startswith(f"Cartesia cannot be reached at 127.0.0.1:{away.voice}: ")


async def test_key_that_is_gone_or_counts_only_at_the_start_is_told(
    tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, said = await told(tmp_path, ports, monkeypatch, CARTESIA_API_KEY="")
    assert values["CARTESIA_API_KEY"] == KEYS["CARTESIA_API_KEY"]
    assert said[0].startswith("[problem] .env: the keys of before stay in use. Without keys: CARTESIA_API_KEY.")
    values, said = await told(tmp_path, ports, monkeypatch, OPENAI_API_KEY="")
    assert "OPENAI_API_KEY" not in values, "its server here needs none"
    assert said == ("[saved] .env: the next call has no OPENAI_API_KEY any more",)
    _, said = await told(tmp_path, ports, monkeypatch, **{TOKEN_VARIABLE: "a-token-of-some-length"})
    assert said == ("[saved] .env: RUNNER_TOKEN counts when runner is started again",)


async def test_later_save_takes_the_place_of_one_that_is_tried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    done: list[frozenset[Path]] = []
    lines: list[str] = []
    vendor, tries = asyncio.Event(), 0

    async def slow(environment: Environment, *_: object) -> tuple[Mapping[str, str], tuple[str, ...]]:
        nonlocal tries
        number = tries = tries + 1
        await vendor.wait()
        return environment.values, (f"try {number}",)

    async def then(changed: frozenset[Path]) -> None:
        done.append(changed)

    monkeypatch.setattr(new_keys, "tried", slow)
    waiting = NewKeys(Environment([tmp_path]), Agents(reader({}, {}, lambda: {})), "cloud", lines.append, then)
    waiting.saved(frozenset({first}))
    await asyncio.sleep(0.01)
    waiting.saved(frozenset({second}))
    await asyncio.sleep(0.01)
    vendor.set()
    await asyncio.sleep(0.05)
    assert lines == ["try 2"]
    assert done == [frozenset({first, second})], "what was saved with the first one is not lost"


def test_secret_of_before_stays_hidden_for_the_calls_that_still_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write(tmp_path)
    environment = Environment([tmp_path])
    write(tmp_path, OPENAI_API_KEY="sk-newer/mind+34")
    environment.use(environment.as_saved().values)
    said = environment.masked(f"{KEYS['OPENAI_API_KEY']} sk-newer/mind+34 key=sk-newer%2Fmind%2B34")
    assert said == "[OPENAI_API_KEY] [OPENAI_API_KEY] key=[OPENAI_API_KEY]"
