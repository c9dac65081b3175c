"""Keys are tried out before the first caller comes: a wrong one is named with the vendor's words, a vendor that cannot be reached
is no reason not to start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.document.load import load
from runner.environment import Environment
from runner.live import keys
from runner.live.keys import KeyCheck, KeyRefused, check_keys, stop_at_wrong
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import DailyEmulator
from tests.running import free_port, run
from tests.serve.conftest import AGENT, pointed

VOICE = "tts:\n  voice: 79a125e8-cd45-4c13-8a67-188112f4dd22\n"


async def checked(
    folder: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch, text: str = AGENT, **env: str
) -> dict[str, KeyCheck]:
    """What the emulated vendors say to the keys of one agent, by variable."""
    monkeypatch.chdir(folder)
    for name, value in {**KEYS, **env}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    file = folder / "shop.yaml"
    file.write_text(text)
    loaded = load(file, settings=dict(pair.split("=", 1) for pair in ports.arguments if "=" in pair))
    assert loaded.definition, loaded.problems
    return {check.variable: check for check in await check_keys([loaded.definition], Environment([file]))}


async def test_good_keys_are_accepted_with_one_request_each(
    tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendors_on(ports) as vendors:
        found = await checked(tmp_path, ports, monkeypatch)
    assert {name: check.verdict for name, check in found.items()} == dict.fromkeys(KEYS, "accepted")
    assert vendors.ears.tokens_asked == [200]
    assert vendors.mind.models_asked == ["gpt-4o"]
    assert len(vendors.voice.voices_asked) == 1
    assert not vendors.ears.sessions
    assert not vendors.mind.requests
    assert not vendors.voice.sessions


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ASSEMBLYAI_API_KEY", 'AssemblyAI says: "Unauthorized Connection: Invalid API key" (401)'),
        ("OPENAI_API_KEY", 'OpenAI says: "Incorrect API key provided: wron***" (401)'),
        ("CARTESIA_API_KEY", 'Cartesia says: "Unauthorized: Invalid API key" (401)'),
    ],
)
async def test_wrong_key_is_named_with_the_vendors_words(
    tmp_path: Path, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    found = await checked(tmp_path, ports, monkeypatch, **{name: "wrong-key-31c9"})
    assert [check.variable for check in found.values() if check.verdict != "accepted"] == [name]
    said = found[name].said
    assert said.startswith(f"{name} is wrong. {says}. Copy it again from https://")
    assert "wrong-key-31c9" not in said
    with pytest.raises(KeyRefused, match=f"{name} is wrong"):
        stop_at_wrong(found.values())


async def test_model_and_voice_that_are_not_there_are_found_too(
    tmp_path: Path, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        f"{AGENT}llm:\n  model: gpt-4o-imaginary\n{VOICE}stages:\n  only:\n    prompt: x\n    tts:\n      voice: gone\n"
    )
    monkeypatch.setattr(vendors.voice, "voices", {"79a125e8-cd45-4c13-8a67-188112f4dd22"})
    found = await checked(tmp_path, ports, monkeypatch, text)
    assert found["OPENAI_API_KEY"].said == (
        'llm.model "gpt-4o-imaginary" is not there for this OPENAI_API_KEY. '
        "OpenAI says: \"The model 'gpt-4o-imaginary' does not exist\" (404)."
    )
    assert set(vendors.voice.voices_asked[-2:]) == {"79a125e8-cd45-4c13-8a67-188112f4dd22", "gone"}
    with pytest.raises(KeyRefused, match=r'stages\.only\.tts\.voice "gone" is not there'):
        stop_at_wrong(found.values())


async def test_vendor_that_is_away_or_says_neither_is_no_reason_to_stop(
    tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SECS", 0.5)
    away = Ports(ears=free_port(), mind=free_port(), voice=free_port())
    found = await checked(tmp_path, away, monkeypatch)
    assert {check.verdict for check in found.values()} == {"unsure"}
    assert found["OPENAI_API_KEY"].said.startswith(f"OpenAI cannot be reached at 127.0.0.1:{away.mind}: Connect")
    stop_at_wrong(found.values())


async def test_missing_key_and_a_vendor_without_a_cheap_request(
    tmp_path: Path, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{AGENT}stt:\n  provider: deepgram\n"
    monkeypatch.setenv("DEEPGRAM_API_KEY", "dummy-deepgram-71a")
    found = await checked(tmp_path, ports, monkeypatch, text, CARTESIA_API_KEY="")
    assert found["DEEPGRAM_API_KEY"].verdict == "not checked"
    assert found["CARTESIA_API_KEY"].said == "CARTESIA_API_KEY is not set (Cartesia, tts)."
    assert found["CARTESIA_API_KEY"].stops


async def test_key_of_daily_is_asked_about_where_it_is_set(
    tmp_path: Path, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DailyEmulator(key="dummy-daily-4b1") as daily:
        env = {"DAILY_API_URL": daily.url}
        good = await checked(tmp_path, ports, monkeypatch, DAILY_API_KEY="dummy-daily-4b1", **env)
        bad = await checked(tmp_path, ports, monkeypatch, DAILY_API_KEY="wrong-daily-key", **env)
    assert good["DAILY_API_KEY"].verdict == "accepted"
    assert bad["DAILY_API_KEY"].said.startswith('DAILY_API_KEY is wrong. Daily says: "authentication-error" (401).')
    assert not daily.created


def test_wrong_key_stops_the_start_before_pipecat_is_loaded(tmp_path: Path, ports: Ports, vendors: Vendors) -> None:
    agent = tmp_path / "shop.yaml"
    agent.write_text(AGENT)
    env = {**KEYS, "OPENAI_API_KEY": "wrong-key-31c9", "ASSEMBLYAI_API_KEY": "wrong-key-88d1"}
    stopped = run("serve", agent, "--port", "0", *pointed(ports), cwd=tmp_path, env=env)
    assert stopped.returncode == 1
    assert [line.partition(" ")[0] for line in stopped.stderr.splitlines()] == ["ASSEMBLYAI_API_KEY", "OPENAI_API_KEY"]
    assert "wrong-key" not in stopped.stderr
    assert stopped.stdout == ""


def test_check_keys_says_the_same_without_serving(tmp_path: Path, ports: Ports, vendors: Vendors) -> None:
    agent = tmp_path / "shop.yaml"
    agent.write_text(AGENT)
    command = ("check", "--keys", agent, *pointed(ports))
    good = run(*command, cwd=tmp_path, env=KEYS)
    assert (good.returncode, good.stdout.splitlines()) == (
        0,
        [
            "1 agent, no problems.",
            "AssemblyAI accepts ASSEMBLYAI_API_KEY.",
            "Cartesia accepts CARTESIA_API_KEY.",
            "OpenAI accepts OPENAI_API_KEY.",
        ],
    )
    bad = run(*command, "--format", "json", cwd=tmp_path, env={**KEYS, "CARTESIA_API_KEY": "wrong-key-31c9"})
    assert bad.returncode == 1
    told = json.loads(bad.stdout)
    assert told["problems"] == []
    assert {key["variable"]: key["verdict"] for key in told["keys"]} == {
        "ASSEMBLYAI_API_KEY": "accepted",
        "CARTESIA_API_KEY": "wrong",
        "OPENAI_API_KEY": "accepted",
    }
