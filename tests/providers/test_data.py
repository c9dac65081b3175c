"""What is committed about the providers is what the installed Pipecat has: one more service or setting there fails here."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.catalog import PARTS, PROVIDERS, Part
from runner.document.check import schema
from runner.providers import missing_packages, names, variables
from tests.providers.agents import EVERY, SCHEMA, settings_of, value_for
from tests.running import PROJECT

EACH = pytest.mark.parametrize(("part", "name"), EVERY, ids=lambda value: str(value))
GENERATOR = PROJECT / "schema" / "generate_providers.py"


def registry() -> dict[Part, list[Any]]:
    """Pipecat's own list of its services."""
    from pipecat.cli.registry.service_metadata import ServiceRegistry

    return {part: getattr(ServiceRegistry, f"{part.upper()}_SERVICES") for part in PARTS}


def test_files_are_what_pipecat_has_now() -> None:
    run = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "The files are as Pipecat has it.\n"), run.stdout + run.stderr


def test_check_notices_a_setting_that_is_missing_here(tmp_path: Path) -> None:
    """The same generator, beside files in which one setting was lost."""
    for folder in ("schema", "runner"):
        (tmp_path / folder).mkdir()
    for file in (PROJECT / "schema").glob("*.*"):
        (tmp_path / "schema" / file.name).write_bytes(file.read_bytes())
    made = json.loads((PROJECT / "runner" / "providers.json").read_text())
    del made["stt"]["deepgram"]["settings"]["keyterm"]
    (tmp_path / "runner" / "providers.json").write_text(json.dumps(made))
    run = subprocess.run(
        [sys.executable, tmp_path / "schema" / "generate_providers.py", "--check"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stdout) == (1, "providers.json is not what Pipecat has\n")


@pytest.mark.parametrize("part", PARTS)
def test_every_service_of_the_registry_is_a_provider(part: Part) -> None:
    offered = schema()["$defs"][part]["properties"]["provider"]["enum"]
    assert offered[1:] == list(names(part))
    assert len(offered) == len(registry()[part])
    classes = {PROVIDERS[part, name].service.name for name in names(part) if PROVIDERS[part, name].service}
    by_hand = {"stt": "AssemblyAISTTService", "llm": "OpenAILLMService", "tts": "CartesiaTTSService"}[part]
    assert classes | {by_hand} == {service.class_name[0] for service in registry()[part]}


@EACH
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_data_and_settings_class_agree(part: Part, name: str) -> None:
    """Every setting of Pipecat is offered or named as left out, and what a constructor is given it takes."""
    provider = PROVIDERS[part, name]
    making = provider.service
    assert making
    assert set(settings_of(part, name)) == set(provider.fields)
    if missing_packages(provider):
        return
    cls = getattr(importlib.import_module(making.module), making.name)
    known = {field.name for field in fields(cls.Settings)}
    left_out = json.loads((PROJECT / "runner" / "providers.json").read_text())[part][name].get("left_out", [])
    assert set(provider.fields) <= known
    ours = {"extra", "system_instruction", "filter_incomplete_user_turns", "user_turn_completion_config"}
    for setting in known - set(provider.fields) - set(left_out) - ours:
        assert setting == "use_provider_thinking_default" or "deprecated" in (cls.Settings.__doc__ or ""), setting
    makers = [vars(one)["__init__"] for one in cls.__mro__ if "__init__" in vars(one)]
    parameters = {argument for maker in makers for argument in inspect.signature(maker).parameters}
    assert {*making.keys, *making.optional, *making.takes, "settings"} <= parameters
    assert not making.endpoint or making.endpoint in parameters


@EACH
def test_every_setting_is_explained_and_takes_its_own_example(part: Part, name: str) -> None:
    for setting, node in settings_of(part, name).items():
        assert len(node["description"]) > 5, setting
        assert "``" not in node["description"], setting
        assert ":class:" not in node["description"], setting
        bare = {key: value for key, value in node.items() if key != "examples"}
        for value in (*node.get("examples", ()), value_for(node)):
            jsonschema.Draft202012Validator(bare).validate(value)


def test_schema_of_the_providers_is_right_by_its_own_standard() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_secret_of_a_provider_is_known_to_the_environment() -> None:
    assert {key for at in EVERY for key in PROVIDERS[at].keys} <= set(variables())


def test_no_provider_has_a_setting_that_means_something_else_in_a_file() -> None:
    for at in EVERY:
        assert not {"provider", "endpoint"} & PROVIDERS[at].fields.keys(), at


def test_check_reads_no_provider_that_no_file_names() -> None:
    """The data of 90 providers costs nothing where the three are used."""
    code = (
        "import sys; from pathlib import Path; import runner.providers as data; import runner.document.check as check\n"
        "from runner.document.load import load\n"
        "assert load(Path(sys.argv[1])).definition\n"
        "print(data._data.cache_info().currsize, check._schema_file.cache_info().currsize)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, PROJECT / "agents" / "support.yaml"], capture_output=True, text=True, cwd=PROJECT
    )
    assert run.stdout == "0 1\n", run.stderr
