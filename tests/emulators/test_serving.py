"""The emulators' common ground: threads, processes, planned faults, waiting."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.emulators import DailyEmulator, OpenAIEmulator, until, wait_until
from tests.emulators.serving import Planned


def test_all_vendors_run_in_one_process_until_its_input_ends() -> None:
    command = [sys.executable, "-m", "tests.emulators"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        addresses = json.loads(process.stdout.readline())
        assert set(addresses) == {"assemblyai", "openai", "cartesia", "daily"}
        request = urllib.request.Request(f"{addresses['openai']}/models", headers={"Authorization": "Bearer a-key"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert json.load(answer)["object"] == "list"
        process.stdin.close()
        assert process.wait(10) == 0


def test_taken_port_is_an_error_at_the_start() -> None:
    with DailyEmulator().in_thread() as first:
        second = DailyEmulator().in_thread(port=first.port)
        with pytest.raises(RuntimeError, match="did not start"):
            second.__enter__()


async def test_faults_happen_as_often_as_ordered() -> None:
    faults: Planned[str] = Planned()
    faults.plan("first", times=2)
    faults.plan("always", times=None)
    assert [faults.take() for _ in range(5)] == ["first", "first", "always", "always", "always"]
    faults.clear()
    assert faults.take() is None


async def test_waiting_gives_up() -> None:
    with pytest.raises(AssertionError, match="did not happen"):
        await until(lambda: False, within=0.02)
    with pytest.raises(AssertionError, match="did not happen"):
        wait_until(lambda: False, within=0.02)


async def test_emulator_can_be_started_again() -> None:
    emulator = OpenAIEmulator()
    for _ in range(2):
        async with emulator:
            assert emulator.port
