"""`runner serve` on emulated vendors."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.running import Running, free_port

GREETING = "Hello, this is Northwind."

AGENT = f"""\
name: shop
prompt: You are brief and you never mention the vault.
greeting: {GREETING}
"""


@pytest.fixture(scope="module")
def ports() -> Ports:
    return Ports.free()


@pytest.fixture(scope="module")
def vendors(ports: Ports) -> Iterator[Vendors]:
    with vendors_on(ports) as vendors:
        yield vendors


class Server:
    """A started `runner serve` and where it listens."""

    def __init__(self, running: Running, port: int, agents: Path) -> None:
        self.running = running
        self.agents = agents
        self.http = f"http://127.0.0.1:{port}"
        self.line = f"ws://127.0.0.1:{port}/ws-client/shop"


def pointed(ports: Ports) -> list[str]:
    """The command line that points `runner serve` at the emulators."""
    return [argument for argument in ports.arguments if argument not in ("--services", "cloud")]


@contextmanager
def serving(
    folder: Path, ports: Ports, *arguments: str | int, keys: Mapping[str, str] = KEYS, **env: str
) -> Generator[Server]:
    """`runner serve` with the agent `shop`, ready for calls. keys: those of its environment."""
    agents = folder / "agents"
    agents.mkdir(exist_ok=True)
    (agents / "shop.yaml").write_text(AGENT)
    port = free_port()
    command = ("serve", agents, "--port", str(port), *pointed(ports), *map(str, arguments))
    with Running(*command, cwd=folder, env={**keys, **env}) as running:
        running.wait_for("ready", seconds=60)
        yield Server(running, port, agents)
