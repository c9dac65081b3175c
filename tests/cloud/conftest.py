"""One `runner` for all tests of the cloud path, with every example agent and the agents beside this file; fresh vendors for
each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.caller import Caller
from tests.cloud.saves import AgentFile, kept
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import sound
from tests.running import PROJECT, Running, free_port


@pytest.fixture(scope="session")
def ports() -> Ports:
    return Ports.free()


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all agents of these tests."""
    folder = tmp_path_factory.mktemp("cloud") / "agents"
    shutil.copytree(PROJECT / "agents", folder)
    for file in (Path(__file__).parent / "agents").glob("*.yaml"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def house(agents: Path, ports: Ports) -> Iterator[tuple[Running, int]]:
    """The running `runner` and its port."""
    port = free_port()
    with Running(agents, "--no-browser", "--port", port, *ports.arguments, cwd=agents.parent, env=KEYS) as running:
        running.wait_for("ready")
        yield running, port


@pytest.fixture
def running(house: tuple[Running, int]) -> Running:
    return house[0]


@pytest.fixture
def seconds_a_character() -> float:
    """How slowly the emulated voice speaks: three times as quick as a person, because nobody listens."""
    return 0.02


@pytest.fixture
def vendors(ports: Ports, seconds_a_character: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", seconds_a_character)
    with vendors_on(ports) as vendors:
        yield vendors


@pytest.fixture
def call(house: tuple[Running, int], vendors: Vendors) -> Callable[[str], Caller]:
    """`async with call("support") as caller:` rings the agent of that name."""
    return lambda agent: Caller(f"ws://127.0.0.1:{house[1]}/ws-client/{agent}")


@pytest.fixture
def file_of(house: tuple[Running, int], agents: Path) -> Iterator[Callable[[str], AgentFile]]:
    """The file of the agent of that name. What is saved in a test is taken back afterwards."""
    with ExitStack() as files:
        yield lambda name: files.enter_context(kept(agents / f"{name}.yaml", house[1]))
