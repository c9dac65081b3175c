"""What all tests share: which need a browser or a sound card, and a loud word when there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

from tests.chromium import CHROMIUM
from tests.cloud.vendors import Ports, Vendors, vendors_on

# How long an example takes says something about the machine and what else it does, nothing about the code.
settings.register_profile("gate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gate")


SOUND = all(map(shutil.which, ("pulseaudio", "pactl", "pacat"))) and find_spec("pyaudio") is not None

LACKING = {
    "browser": None if CHROMIUM else "there is no Chromium here",
    "sound": None if SOUND else "there is no PulseAudio or no PyAudio here",
}
"""Marker -> why tests with it cannot run."""


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Where the emulated vendors of a file's tests are."""
    return Ports.free()


@pytest.fixture
def vendors(ports: Ports) -> Iterator[Vendors]:
    """Fresh ones for each test."""
    with vendors_on(ports) as vendors:
        yield vendors


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, why in LACKING.items():
            if why and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker, why in LACKING.items():
        if why:
            terminalreporter.section(f"THE {marker.upper()} TESTS DID NOT RUN: {why}", sep="!", red=True)
