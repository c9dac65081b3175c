"""`fallback` as the file has it: what an item is, what it follows in a stage, which keys it needs, how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.definition import AgentDefinition, Service
from runner.diff import differences
from runner.document.load import load
from runner.effective import change, effective, held_after
from runner.explaining.settings import explained
from runner.explaining.show import settings_text
from runner.selection import KeysMissing, choose_services
from tests.cloud.vendors import KEYS

FILE = """prompt: Be kind.
stt:
  keyterms: [Northwind]
  fallback:
    - keyterms: [RMA]
    - provider: deepgram
      model: nova-3
llm:
  temperature: 0.4
  fallback:
    - model: gpt-4o-mini
    - provider: anthropic
      model: claude-haiku-4-5
stages:
  start:
    prompt: Ask.
    stt: {keyterms: [order], min_turn_silence: 300}
    llm: {model: gpt-4.1, temperature: 0.1, seed: 7}
    next: [{otherwise: bye}]
  bye: {say: Bye., end: true}
"""


def agent(folder: Path, text: str = FILE) -> AgentDefinition:
    (folder / "agent.yaml").write_text(text)
    found = load(folder / "agent.yaml").definition
    assert found
    return found


def test_item_without_provider_is_the_first_one_with_other_settings(tmp_path: Path) -> None:
    mini, claude = agent(tmp_path).llm.fallback
    assert (mini.provider, mini.settings) == ("openai", {"model": "gpt-4o-mini", "temperature": 0.4})
    assert (claude.provider, claude.settings) == ("anthropic", {"model": "claude-haiku-4-5"})


def test_endpoint_is_the_first_one_s_unless_another_provider_is_named(tmp_path: Path) -> None:
    text = "prompt: x\nllm:\n  endpoint: https://eu.example.com/v1\n  fallback:\n    - model: gpt-4.1\n"
    text += "    - endpoint: https://us.example.com/v1\n    - {provider: anthropic, model: claude-haiku-4-5}\n"
    found = [one.endpoint for one in agent(tmp_path, text).llm.fallback]
    assert found == ["https://eu.example.com/v1", "https://us.example.com/v1", None]


def test_stage_reaches_an_item_of_the_same_provider_but_for_what_it_sets_itself(tmp_path: Path) -> None:
    now = effective(agent(tmp_path), "start")
    mini, claude = now.llm.fallback
    assert mini.settings == {"model": "gpt-4o-mini", "temperature": 0.1, "seed": 7}
    assert claude.settings == {"model": "claude-haiku-4-5", "temperature": 0.1}
    own, deepgram = now.stt.fallback
    assert own.settings["keyterms"] == ("RMA", "order")
    assert own.settings["min_turn_silence"] == own.settings["max_turn_silence"] == 300
    assert deepgram.settings == {"model": "nova-3"}


def test_setting_of_an_item_reaches_running_calls_and_another_list_the_next_one(tmp_path: Path) -> None:
    before = effective(agent(tmp_path), "start")
    other = effective(agent(tmp_path, FILE.replace("gpt-4o-mini", "gpt-4.1-mini")), "start")
    changed = change(before, other)
    assert [(one.path, one.when) for one in changed.fields] == [("llm.fallback.0.model", "next turn")]
    assert changed.instead("llm", 0).of("llm") == {"model": "gpt-4.1-mini"}
    assert changed.of("llm") == {}
    assert held_after(before, other).llm.fallback == other.llm.fallback

    fewer = effective(agent(tmp_path, FILE.replace("    - model: gpt-4o-mini\n", "")), "start")
    changed = change(before, fewer)
    assert [(one.path, one.when) for one in changed.fields] == [("llm.fallback", "next call")]
    assert held_after(before, fewer).llm.fallback == before.llm.fallback


def test_fallback_whose_key_is_not_set_is_left_out_and_in_the_cloud_it_is_asked_for(tmp_path: Path) -> None:
    made = agent(tmp_path)
    ear, model, voice = choose_services(made, KEYS, "auto")
    assert ear.left_out == (("Deepgram", ("DEEPGRAM_API_KEY",)),)
    assert (model.instead, model.left_out) == (
        ("OpenAI (gpt-4o-mini)",),
        (("Anthropic Claude", ("ANTHROPIC_API_KEY",)),),
    )
    assert (voice.instead, voice.left_out) == ((), ())
    with pytest.raises(KeysMissing) as missing:
        choose_services(made, KEYS, "cloud")
    assert missing.value.names == ("DEEPGRAM_API_KEY", "ANTHROPIC_API_KEY")


def test_difference_is_told_once_for_what_was_written(tmp_path: Path) -> None:
    before = agent(tmp_path)
    warmer = agent(tmp_path, FILE.replace("  temperature: 0.4", "  temperature: 0.6"))
    assert [one.path for one in differences(before, warmer)] == ["llm.temperature"]
    after = agent(tmp_path, FILE.replace("    - provider: deepgram\n      model: nova-3\n", "").replace("RMA", "SKU"))
    said = [str(one) for one in differences(before, after)]
    assert said == [
        "AssemblyAI takes over when stt fails, instead of AssemblyAI and Deepgram (nova-3): from the next call"
    ]


def test_explain_names_each_fallback_and_what_is_its_own(tmp_path: Path) -> None:
    made = agent(tmp_path)
    found = {one.path: one for one in explained(made, "start") if ".fallback." in one.path}
    assert found["llm.fallback.0.model"].value == "gpt-4o-mini"
    assert found["llm.fallback.0.model"].line == 11
    assert found["llm.fallback.1.provider"].value == "anthropic"
    assert "llm.fallback.0.temperature" not in found, "it is the first one's"
    assert "fallback 2: model" in settings_text(made, "start", explained(made, "start"))


def test_service_without_fallback_has_none() -> None:
    assert Service("openai").fallback == ()
