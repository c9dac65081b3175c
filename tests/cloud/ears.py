"""The ear of a call, made from an agent file and pointed at an emulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.compiler import services
from runner.compiler.services import Here
from runner.document.load import load
from runner.effective import Effective, effective
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator


def ear_of(text: str, emulator: AssemblyAIEmulator, endpoint: str = "") -> tuple[Any, Effective]:
    """The ear, and what it is set to. text: an agent file without its prompt."""
    made = load(Path("/nowhere/agent.yaml"), text=f"prompt: Be kind.\n{text}", env={}).definition
    assert made
    now = effective(made, made.first_stage)
    now = replace(now, stt=replace(now.stt, endpoint=endpoint or emulator.url))
    return services.build_stt(now, KEYS, Here()), now
