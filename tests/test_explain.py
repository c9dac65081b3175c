"""`runner explain`: what every setting is, who says so and in which line; nothing secret; whoever comes from elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import PARTS, PROVIDERS
from runner.cli import main
from runner.definition import AgentDefinition
from runner.document.check import schema_at
from runner.document.load import load
from runner.effective import change, effective
from runner.explaining.coming_from import COMING_FROM
from runner.explaining.report import Report, report
from runner.explaining.settings import Explained, explained
from runner.wording import in_the_file
from tests.running import PROJECT

SUPPORT = PROJECT / "agents" / "support.yaml"
EXAMPLES = sorted((PROJECT / "agents").glob("*.yaml"))

DICTATES = """\
variables:
  who: Maya
prompt: You are {{ who }}.
stt:
  mode: max_accuracy
  keyterms: [Northwind]
turns:
  vad:
    start_secs: 0.3
stages:
  talk:
    prompt: Talk.
    next:
      - when: The caller gives an address
        to: email
      - when: The caller reads a number
        to: part
  email:
    prompt: Get the address.
    listen_for: email
    next:
      - otherwise: talk
  part:
    say: Which number?
    stt:
      keyterms: [XK seven]
      vad_threshold: 0.5
      min_turn_silence: 700
    llm:
      temperature: 0
    next:
      - otherwise: talk
"""


def written(folder: Path, text: str = DICTATES) -> Path:
    file = folder / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def definition(file: Path, **given: Any) -> AgentDefinition:
    loaded = load(file, **given)
    assert loaded.definition, loaded.problems
    return loaded.definition


def by_path(agent: AgentDefinition, stage: str | None, settings: dict[str, str] | None = None) -> dict[str, Explained]:
    return {one.path: one for one in explained(agent, stage, settings)}


def whole(agent: AgentDefinition, stage: str | None, settings: dict[str, str] | None = None) -> Report:
    return asyncio.run(report(agent, stage, settings or {}, {}))


def line_of(text: str, words: str) -> int:
    return text[: text.index(words)].count("\n") + 1


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_setting_a_call_uses_is_explained_with_its_value(file: Path) -> None:
    agent = definition(file)
    for stage in agent.stages or [None]:
        now = effective(agent, stage)
        told = by_path(agent, stage)
        for part in PARTS:
            service = now.service(part)
            for name in PROVIDERS[part, service.provider].fields:
                assert told[f"{part}.{name}"].value == service.settings.get(name)
        for field in change(None, now).fields:
            if not dataclasses.is_dataclass(field.after) and field.path not in ("next",):
                one = told[".".join(in_the_file(field.path))]
                assert (one.value, one.when) == (field.after, field.when)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_line_that_is_named_holds_the_setting(file: Path) -> None:
    agent = definition(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    for stage in agent.stages or [None]:
        for one in explained(agent, stage):
            if one.kind != "file":
                continue
            leaf = one.path.split(".")[-1]
            names = {leaf, "listen_for"} if "listen_for" in one.note else {leaf, "anywhere"}
            assert any(f"{name}:" in lines[one.line - 1] for name in names), (one, lines[one.line - 1])


@pytest.mark.parametrize(
    ("stage", "path", "value", "kind", "words", "note"),
    [
        ("talk", "variables.who", "Maya", "file", "who: Maya", ""),
        ("talk", "stt.model", "universal-3-5-pro", "default", "", ""),
        ("talk", "stt.keyterms", ("Northwind",), "file", "keyterms: [Northwind]", ""),
        ("part", "stt.keyterms", ("Northwind", "XK seven"), "file", "keyterms: [XK seven]", "added to the agent's, "),
        ("part", "stt.vad_threshold", 0.5, "file", "vad_threshold", "stage part"),
        ("talk", "stt.vad_threshold", 0.3, "runner", "", "so that what stage part sets ends with it"),
        ("talk", "stt.min_turn_silence", 100, "runner", "", "what Pipecat uses with turn_detection pipecat"),
        ("email", "stt.min_turn_silence", 3000, "file", "listen_for", "because of listen_for: email"),
        ("email", "turns.vad.stop_secs", 0.2, "default", "", ""),
        ("email", "listen_for", "email", "file", "listen_for", "after 2 s of silence, sooner when it sounds complete"),
        ("part", "turns.vad.stop_secs", 0.7, "file", "min_turn_silence", "raised from 0.2 s"),
        ("part", "stt.max_turn_silence", 700, "runner", "", "kept equal to min_turn_silence"),
        ("part", "llm.temperature", 0, "file", "temperature", "stage part"),
        ("talk", "llm.temperature", None, "vendor", "", "not sent; OpenAI uses 1"),
        ("talk", "turns.vad.start_secs", 0.3, "file", "start_secs", ""),
        ("talk", "turns.vad.stop_secs", 0.2, "default", "", ""),
        ("talk", "stt.interruption_delay", None, "vendor", "", "not sent; AssemblyAI decides by mode"),
        ("part", "say", "Which number?", "file", "say:", ""),
    ],
)
def test_who_says_so(stage: str, path: str, value: object, kind: str, words: str, note: str, tmp_path: Path) -> None:
    one = by_path(definition(written(tmp_path)), stage)[path]
    assert (one.value, one.kind) == (value, kind)
    assert one.line == (line_of(DICTATES, words) if words else 0)
    assert note in one.note
    assert bool(note) == bool(one.note)


def test_voice_by_its_name_is_told_with_both(tmp_path: Path) -> None:
    text = "prompt: Hi.\nvoices:\n  calm: 79a125e8-cd45\ntts:\n  voice: calm\n"
    told = by_path(definition(written(tmp_path, text)), None)
    assert (told["tts.voice"].value, told["tts.voice"].line) == ("79a125e8-cd45", 5)
    assert told["tts.voice"].note == "called calm in voices"
    assert told["voices.calm"].line == 3


def test_names_are_those_of_the_file(tmp_path: Path) -> None:
    text = "prompt: Hi.\nturns:\n  barge_in:\n    after_words: 2\n  smart_turn:\n    stop_secs: 2s\n"
    told = by_path(definition(written(tmp_path, text)), None)
    assert (told["turns.barge_in.after_words"].value, told["turns.barge_in.after_words"].line) == (2, 4)
    assert (told["turns.smart_turn.stop_secs"].value, told["turns.smart_turn.stop_secs"].line) == (2.0, 6)


def test_settings_of_the_command_line_are_told_as_such(tmp_path: Path) -> None:
    given = {"llm.temperature": "0.9"}
    agent = definition(written(tmp_path), settings=given, variables={"who": "Zoe"})
    told = by_path(agent, "talk", given)
    assert told["llm.temperature"].source == told["variables.who"].source == "command line"
    assert told["variables.who"].value == "Zoe"


def test_units_and_moments_are_told(tmp_path: Path) -> None:
    told = by_path(definition(written(tmp_path)), "email")
    assert (told["stt.min_turn_silence"].unit, told["turns.vad.stop_secs"].unit, told["stt.model"].unit) == (
        "ms",
        "s",
        "",
    )
    assert told["stt.min_turn_silence"].when == "now"
    assert told["llm.model"].when == "next turn"
    assert told["stt.mode"].when == "now"


def test_mode_has_no_silences_where_pipecat_decides(tmp_path: Path) -> None:
    """Row M19: a latency mode sets silences, and in pipecat turn detection they are overridden."""
    note = by_path(definition(written(tmp_path)), "talk")["stt.mode"].note
    assert note.startswith(
        "its silences have no effect: with turn_detection pipecat, Pipecat sends min_turn_silence and "
        "max_turn_silence 100 in their place"
    )
    by_ear = DICTATES.replace("mode: max_accuracy", "mode: max_accuracy\n  turn_detection: assemblyai")
    assert by_path(definition(written(tmp_path, by_ear)), "talk")["stt.mode"].note == "opens a new connection"


def test_what_pipecat_adds_and_replaces_is_told(tmp_path: Path) -> None:
    text = "prompt: Hi.\nstt:\n  model: universal-streaming-english\n  min_turn_silence: 400\n"
    told = {one.path: one for one in whole(definition(written(tmp_path, text)), None).settings}
    assert told["stt.min_turn_silence"].note == "Pipecat sends 160 in its place"
    told = {one.path: one for one in whole(definition(SUPPORT), "identify").settings}
    assert (told["stt.format_turns"].value, told["stt.format_turns"].kind) == (True, "pipecat")


def test_silence_without_effect_is_told(tmp_path: Path) -> None:
    text = "prompt: Hi.\nstt:\n  max_turn_silence: 2000\n"
    one = by_path(definition(written(tmp_path, text)), None)["stt.max_turn_silence"]
    assert one.value == 100
    assert "the 2000 of the file has no effect" in one.note


def test_text_of_a_shared_file_is_told_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "_base.yaml").write_text("prompt: Hi.\nllm:\n  temperature: 0.5\n")
    told = by_path(definition(written(tmp_path, "extends: _base.yaml\nllm:\n  model: gpt-4.1\n")), None)
    assert (told["llm.temperature"].file, told["llm.temperature"].line) == (tmp_path / "_base.yaml", 3)
    assert (told["llm.model"].file, told["llm.model"].line) == (tmp_path / "agent.yaml", 3)


def test_command_prints_settings_and_wire(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SUPPORT), "--stage", "email"]) == 0
    out = capsys.readouterr().out
    assert "support, stage email" in out
    assert re.search(r"min_turn_silence +3000 ms +agents/support.yaml:\d+ +running calls at once", out)
    assert "wss://streaming.assemblyai.com/v3/ws?sample_rate=16000&" in out
    assert re.search(r'"type": "UpdateConfiguration".*"min_turn_silence": 3000', out)
    assert "Authorization: [ASSEMBLYAI_API_KEY]" in out
    assert "https://api.openai.com/v1/chat/completions" in out
    assert "wss://api.cartesia.ai/tts/websocket" in out


def test_json_is_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SUPPORT), "--stage", "email", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read == json.loads(json.dumps(whole(definition(SUPPORT), "email").as_json()))
    assert read.keys() == {"agent", "file", "stage", "language", "settings", "wire", "hosts"}
    assert read["settings"][0].keys() == {"path", "value", "unit", "source", "when", "note"}


def test_first_stage_is_explained_when_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SUPPORT), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stage"] == "identify"


def test_stage_that_is_not_there_is_answered_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SUPPORT), "--stage", "emial"]) == 2
    said = capsys.readouterr().err
    assert '"emial" is not a stage of support.' in said
    assert "email" in said.split("There are:")[1]


def test_file_with_problems_is_not_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(written(tmp_path, "promt: Hi.\n"))]) == 1
    assert 'Did you mean "prompt"?' in capsys.readouterr().err


def test_no_key_and_no_secret_of_the_environment_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "prompt: Hi.\nstt:\n  endpoint: wss://${EAR_HOST}/v3/ws?token=${EAR_TICKET}\n"
    file = str(written(tmp_path, text))
    monkeypatch.setenv("EAR_HOST", "ears.example.com")
    for name in ("EAR_TICKET", "ASSEMBLYAI_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"):
        monkeypatch.setenv(name, f"hush-{name.lower()}")
    for flags in ([], ["--json"], ["--hosts"]):
        assert main(["explain", file, *flags]) == 0
        said = capsys.readouterr()
        assert "hush" not in said.out + said.err
        assert "ears.example.com" in said.out
    assert said.out.startswith("ears.example.com:443 ")


def test_provider_with_a_wire_of_pipecats_own_is_told_by_its_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "prompt: Hi.\nstt:\n  provider: deepgram\n  model: nova-3\n"
    assert main(["explain", str(written(tmp_path, text))]) == 0
    out = capsys.readouterr().out
    assert "Deepgram, by Pipecat's pipecat.services.deepgram.stt.DeepgramSTTService, which is given" in out
    assert "model = nova-3" in out


@pytest.mark.parametrize("name", COMING_FROM)
def test_every_row_for_those_who_come_from_elsewhere_names_a_key(name: str) -> None:
    for row in COMING_FROM[name].rows:
        where = tuple(row.here.split("."))
        data = {"stages": {"a": {}}}
        at = where if where != ("listen_for",) else ("stages", "a", "listen_for")
        assert schema_at(data, at), f"{row.theirs}: there is no {row.here}"


THEIRS = {
    "deepgram": ["deepgram/stt.py", "deepgram/flux/stt.py", "deepgram/flux/base.py"],
    "elevenlabs": ["elevenlabs/stt.py"],
    "openai": ["openai/stt.py"],
}
IN_CLASSES = re.compile(r"^    (\w+): [^=]+NotGiven = field\(", re.MULTILINE)


@pytest.mark.parametrize("name", COMING_FROM)
def test_every_setting_pipecat_has_for_them_is_answered(name: str) -> None:
    """Read from Pipecat's source, because the packages of those providers need not be installed."""
    services = Path(inspect.getfile(importlib.import_module("pipecat.services"))).parent
    theirs = {"model", "language"}
    for file in THEIRS[name]:
        path = services / file
        if path.is_file():
            theirs |= set(IN_CLASSES.findall(path.read_text(encoding="utf-8")))
    answered = {row.theirs for row in COMING_FROM[name].rows} | COMING_FROM[name].nothing.keys()
    assert len(theirs) > 4
    assert theirs - answered == set()


def test_table_for_those_who_come_from_elsewhere_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--from", "deepgram"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"endpointing +stt.min_turn_silence", out)
    assert re.search(r"keyterm +stt.keyterms", out)
    assert main(["explain", "--from", "elevenlabs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "ElevenLabs (Scribe)"


def test_words_of_a_person_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["explain", str(SUPPORT), "--hosts"], ["explain", "--from", "openai"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert not re.search(r"\b(mapping|scalar|object|array|string|property|schema|None|True|False)\b", out)


BY_STAGE = """\
prompt: Be brief.
turns:
  barge_in: {after_words: 2, ignore: [mhm]}
  mute: [tools]
  stop: speech_timeout
  idle:
    after: 8s
    say: Hello?
stages:
  notice:
    prompt: Read it.
    turns:
      mute: [always]
      idle:
        after: 30s
      stop: smart_turn
    next:
      - otherwise: free
  free:
    prompt: Talk.
    turns:
      barge_in: true
      idle: false
    next:
      - otherwise: notice
"""


def test_turns_of_a_stage_come_from_its_lines(tmp_path: Path) -> None:
    agent = definition(written(tmp_path, BY_STAGE))
    notice, free = by_path(agent, "notice"), by_path(agent, "free")
    assert (notice["turns.mute"].value, notice["turns.mute"].line) == (("tools", "always"), 13)
    assert notice["turns.mute"].note.startswith("added to the agent's, ")
    assert (notice["turns.idle.after"].value, notice["turns.idle.after"].line) == (30, 15)
    assert (notice["turns.idle.say"].line, notice["turns.idle.say"].note) == (8, "")
    assert (notice["turns.smart_turn"].value, notice["turns.smart_turn"].line) == (True, 16)
    assert (free["turns.smart_turn"].value, free["turns.smart_turn"].line) == (False, 5), "turns.stop says so"
    assert (free["turns.barge_in.after_words"].value, free["turns.barge_in.after_words"].line) == (0, 22)
    assert (free["turns.idle"].value, free["turns.idle"].line, free["turns.idle"].note) == (None, 23, "stage free")
