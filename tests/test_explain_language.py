"""`runner explain --language`: what holds while the caller speaks one of the file's languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from tests.running import PROJECT

HOTEL = PROJECT / "agents" / "hotel.yaml"
SPANISH_VOICE = "5345cf08-6f37-424d-a5d9-8ae1101b9377"


def told(capsys: pytest.CaptureFixture[str], *arguments: str, file: Path = HOTEL) -> dict[str, Any]:
    assert main(["explain", str(file), "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def by_path(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["path"]: one for one in said["settings"]}


def line_of(one: dict[str, Any]) -> str:
    return HOTEL.read_text(encoding="utf-8").splitlines()[one["source"]["line"] - 1].strip()


def test_voice_prompt_and_line_of_a_language_are_told_with_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--language", "es", "--stage", "goodbye")
    assert (said["stage"], said["language"]) == ("goodbye", "es")
    found = by_path(said)
    assert (found["tts.voice"]["value"], line_of(found["tts.voice"])) == (SPANISH_VOICE, f"voice: {SPANISH_VOICE}")
    assert (found["tts.language"]["value"], line_of(found["tts.language"])) == ("es", "es:")
    assert found["prompt"]["value"].endswith("in Spanish.\n\nSpeak to guests formally, with usted.")
    assert "the language's own, " in found["prompt"]["note"]
    assert found["say"]["value"] == "Gracias por llamar. Hasta pronto."
    assert line_of(found["say"]).startswith("goodbye: Gracias")
    body = said["wire"]["tts"]["body"]
    assert (body["voice"]["id"], body["language"], body["transcript"]) == (SPANISH_VOICE, "es", found["say"]["value"])
    assert "with usted" in json.dumps(said["wire"]["llm"]["body"])


def test_language_without_a_voice_keeps_the_agents(capsys: pytest.CaptureFixture[str]) -> None:
    own, german = by_path(told(capsys)), by_path(told(capsys, "--language", "de"))
    assert german["tts.voice"] == own["tts.voice"]
    assert (own["tts.language"]["value"], german["tts.language"]["value"]) == ("en", "de")


def test_agents_own_language_is_what_is_told_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--language", "en") == told(capsys)


def test_text_names_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(HOTEL), "--language", "es"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("hotel, stage desk, the caller speaks Spanish  (")


@pytest.mark.parametrize(("file", "there"), [("hotel", "en, es, de"), ("support", "en")])
def test_language_that_the_file_does_not_name_is_refused(
    capsys: pytest.CaptureFixture[str], file: str, there: str
) -> None:
    assert main(["explain", str(PROJECT / "agents" / f"{file}.yaml"), "--language", "fr"]) == 2
    assert capsys.readouterr().err.strip() == f'"fr" is not a language of {file}. There are: {there}.'
