"""Every provider of Pipecat is built from a file with dummy keys, is told what changes, or is answered with its line."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import PROVIDERS, Part
from runner.compiler import services
from runner.compiler.services import Here, generic
from runner.definition import AgentDefinition
from runner.effective import change, effective
from runner.providers import missing_packages, needs_newer_python
from runner.selection import choose_services, why_not
from tests.providers.agents import EVERY, agent, dummy_keys, made, needed, own_weights, settings_of, value_for
from tests.running import command, environment

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the vendors' own packages

HERE = {at for at in EVERY if not missing_packages(PROVIDERS[at]) and not needs_newer_python(PROVIDERS[at])}
"""The providers whose packages are installed."""

COMPUTED = {
    ("stt", "meta", "language"): "told in Meta's own words",
    ("stt", "openai_realtime", "prompt"): "its own model takes none",
    ("tts", "sarvam", "enable_preprocessing"): "always on for bulbul:v3",
    ("tts", "sarvam", "pitch"): "ignored by bulbul:v3",
    ("tts", "sarvam", "loudness"): "ignored by bulbul:v3",
}
"""Settings that a service changes on its own after they are written."""

Build = Callable[[Part, AgentDefinition], Any]
EACH = pytest.mark.parametrize(("part", "name"), EVERY, ids=lambda value: str(value))
EACH_HERE = pytest.mark.parametrize(("part", "name"), [at for at in EVERY if at in HERE], ids=lambda value: str(value))


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Builds what does one part of an agent, as a call does; closes it when the test is over."""
    built: list[Any] = []

    def build(part: Part, agent: AgentDefinition) -> Any:
        makers: dict[Part, Any] = {"stt": services.build_stt, "llm": services.build_llm, "tts": services.build_tts}
        provider = agent.stt if part == "stt" else agent.llm if part == "llm" else agent.tts
        service = makers[part](effective(agent, None), dummy_keys(part, provider.provider), Here())
        built.append(service)
        return service

    yield build
    await services.close(built)


def test_packages_of_at_least_twelve_extras_are_here() -> None:
    extras = {extra for at in HERE if (making := PROVIDERS[at].service) and making.packages for extra in making.extras}
    assert len(extras) >= 12, extras


@EACH
async def test_provider_is_built_or_answered_with_its_line(part: Part, name: str, build: Build, tmp_path: Path) -> None:
    definition = made(tmp_path, part, name, {**needed(part, name), **own_weights(part, name, tmp_path)})
    provider = PROVIDERS[part, name]
    refusal = why_not([definition], dummy_keys(part, name), "auto", (part,))
    if (part, name) in HERE:
        assert refusal is None
        service = build(part, definition)
        assert provider.service
        assert type(service).__name__ == provider.service.name
        service._settings.validate_complete()
    elif python := needs_newer_python(provider):
        assert refusal == f"{provider.title} needs Python {python} or later."
    else:
        assert provider.service
        extras = ",".join(provider.service.extras)
        assert refusal == f'What {provider.title} needs is not installed:\n  pip install "pipecat-ai[{extras}]"'


@EACH_HERE
async def test_every_setting_of_the_file_reaches_the_service(
    part: Part, name: str, build: Build, tmp_path: Path
) -> None:
    wanted = {key: value_for(node) for key, node in settings_of(part, name).items()}
    wanted |= {**needed(part, name), **own_weights(part, name, tmp_path)}
    store = build(part, made(tmp_path, part, name, wanted))._settings
    for key, value in wanted.items():
        got = getattr(store, key)
        if key not in ("language", "languages") and (part, name, key) not in COMPUTED and not isinstance(value, list):
            assert getattr(got, "value", got) == value, key


@EACH_HERE
async def test_what_a_stage_set_goes_back_to_what_the_service_has(
    part: Part, name: str, build: Build, tmp_path: Path
) -> None:
    own = {**needed(part, name), **own_weights(part, name, tmp_path)}
    every = {key: value_for(node) for key, node in settings_of(part, name).items()} | own
    plain, full = made(tmp_path, part, name, own), made(tmp_path, part, name, every)
    store = build(part, plain)._settings
    before = {key: getattr(store, key) for key in every}
    for now in (effective(full, None), effective(plain, None)):
        frame = generic.update(part, now.service(part), list(every))
        store.apply_update(frame.delta)
    for key, value in before.items():
        if "language" not in key and (part, name, key) not in COMPUTED:
            assert getattr(store, key) == value or getattr(store, key) is value, key


async def test_own_address_and_barge_in_reach_the_service(build: Build, tmp_path: Path) -> None:
    text = {"endpoint": "https://models.example.com/v1", "model": "some"}
    model = build("llm", made(tmp_path, "llm", "deepseek", text))
    assert str(model._client.base_url) == "https://models.example.com/v1/"
    loaded = agent(tmp_path, "stt", "deepgram_flux", {})
    assert loaded.definition
    ear = generic.build("stt", loaded.definition.stt, {"DEEPGRAM_API_KEY": "dummy"}, barge_in=False)
    assert ear._should_interrupt is False
    assert services.decides_turns(ear)


async def test_google_takes_a_file_of_credentials_as_well_as_its_text(tmp_path: Path) -> None:
    text = dummy_keys("tts", "google")["GOOGLE_APPLICATION_CREDENTIALS"]
    file = tmp_path / "google.json"
    file.write_text(text)
    definition = made(tmp_path, "tts", "google", {})
    for value in (text, str(file)):
        assert generic.build("tts", definition.tts, {"GOOGLE_APPLICATION_CREDENTIALS": value})


async def test_running_call_keeps_its_model_when_a_save_names_another(tmp_path: Path) -> None:
    old = effective(made(tmp_path, "llm", "deepseek", {"temperature": 0.2}), None)
    new = effective(made(tmp_path, "llm", "groq", {"temperature": 0.9}), None)
    changed = change(old, new)
    assert {field.when for field in changed.fields} == {"next call"}
    assert services.update_llm(changed, new, Here(), "deepseek") is None


async def test_new_prompt_reaches_the_model_of_the_call_in_its_own_settings(tmp_path: Path) -> None:
    old = effective(made(tmp_path, "llm", "anthropic", {}), None)
    loaded = agent(tmp_path, "llm", "groq", {})
    assert loaded.definition
    new = effective(loaded.definition, None)
    new = type(new)(**{field: getattr(new, field) for field in new.__slots__} | {"prompt": "Say goodbye."})
    frame = services.update_llm(change(old, new), new, Here(), "anthropic")
    assert frame
    assert frame.delta
    assert type(frame.delta).__name__ == "AnthropicLLMSettings"
    assert frame.delta.given_fields() == {"system_instruction": "Say goodbye."}


def test_without_a_key_this_machine_takes_over_and_says_which_variable_to_set(tmp_path: Path) -> None:
    definition = made(tmp_path, "tts", "hume", {"voice": "some", "speed": 1.2, "description": "calm"})
    (choice,) = choose_services(definition, {}, "auto", ("tts",))
    assert (choice.local, choice.why) == (True, "HUME_API_KEY is not set")
    assert choice.unused == ("voice", "description")


def test_every_variable_that_a_provider_needs_is_named(tmp_path: Path) -> None:
    definition = made(tmp_path, "stt", "azure", {})
    refusal = why_not([definition], {"AZURE_SPEECH_API_KEY": "dummy"}, "cloud", ("stt",))
    assert refusal == "Without keys: AZURE_SPEECH_REGION. Set them in the environment or in .env."


def test_address_in_the_file_does_for_the_variable_that_holds_one(tmp_path: Path) -> None:
    definition = made(tmp_path, "tts", "xtts", {"voice": "some", "endpoint": "http://127.0.0.1:8000"})
    assert why_not([definition], {}, "cloud", ("tts",)) is None


def test_missing_package_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    at = next(at for at in EVERY if at not in HERE and not needs_newer_python(PROVIDERS[at]) and at[0] == "llm")
    provider = PROVIDERS[at]
    (tmp_path / "agent.yaml").write_text(f"prompt: Say hello.\nllm:\n  provider: {at[1]}\n  model: some\n")
    run = subprocess.run(
        command("chat", tmp_path / "agent.yaml"),
        capture_output=True,
        text=True,
        env=environment(dummy_keys(*at)),
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert provider.service
    extras = ",".join(provider.service.extras)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f'What {provider.title} needs is not installed:\n  pip install "pipecat-ai[{extras}]"\n'
