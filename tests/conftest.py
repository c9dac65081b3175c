"""What all tests share: which need a browser, and a loud word when there is none."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.chromium import CHROMIUM

# How long an example takes says something about the machine and what else it does, nothing about the code.
settings.register_profile("gate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="there is no Chromium on this machine"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CHROMIUM is None:
        terminalreporter.section("THE BROWSER TESTS DID NOT RUN: there is no Chromium here", sep="!", red=True)
