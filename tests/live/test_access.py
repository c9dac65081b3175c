"""Who may ask the server something: pages of other sites, names that merely lead here, other machines without the token."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import websockets

from runner.live.access import Access, is_loopback
from tests.cloud.vendors import KEYS
from tests.running import Running, free_port

PATHS = ["/", "/api/agents", "/api/events", "/health", "/static/x.js"]


def started(folder, *options: str) -> Iterator[tuple[str, str]]:
    """A running server as (`127.0.0.1:port`, its token or "")."""
    file = folder / "good.yaml"
    file.write_text("prompt: You are Maya.\n")
    port = free_port()
    with Running(file, "--no-browser", "--port", port, *options, cwd=folder, env=KEYS) as running:
        link = running.wait_for("Talk to it:")
        running.wait_for("ready")
        token = re.search(r"\?token=(\S+)", link)
        yield f"127.0.0.1:{port}", token[1] if token else ""


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for this machine only."""
    for address, token in started(tmp_path_factory.mktemp("home")):
        assert token == ""
        yield address


@pytest.fixture(scope="module")
def in_public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server for other machines too, and its token."""
    for address, token in started(tmp_path_factory.mktemp("public"), "--host", "0.0.0.0"):
        assert len(token) > 20
        yield address, token


def ask(address: str, path: str, method: str = "GET", **headers: str) -> int:
    """The status of one request. Of an answer without end only the head is read."""
    with (
        httpx.Client(trust_env=False) as client,
        client.stream(method, f"http://{address}{path}", headers=headers) as answer,
    ):
        return answer.status_code


async def call(address: str, path: str, **headers: str) -> int:
    """101 when the websocket opens, otherwise the status of the refusal."""
    try:
        async with websockets.connect(f"ws://{address}{path}", additional_headers=headers, proxy=None):
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


def test_own_page_is_welcome(at_home: str) -> None:
    assert [ask(at_home, path, origin=f"http://{at_home}") for path in PATHS] == [200, 200, 200, 200, 404]
    port = at_home.partition(":")[2]
    assert ask(f"localhost:{port}", "/api/agents", origin=f"http://localhost:{port}") == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:1", "http://localhost:{port}", "https://127.0.0.1", "null"]
)
async def test_pages_of_other_sites_are_refused(at_home: str, origin: str) -> None:
    origin = origin.format(port=at_home.partition(":")[2])
    assert [ask(at_home, path, origin=origin) for path in PATHS] == [403] * len(PATHS)
    assert ask(at_home, "/api/offer", "POST", origin=origin) == 403
    assert ask(at_home, "/api/offer", "PATCH", origin=origin) == 403
    assert await call(at_home, "/ws-client/good", origin=origin) == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "[::2]", ""])
async def test_names_that_merely_lead_here_are_refused(at_home: str, host: str) -> None:
    assert [ask(at_home, path, host=host) for path in PATHS] == [403] * len(PATHS)
    assert ask(at_home, "/api/offer", "POST", host=host, origin=f"http://{host}") == 403
    assert ask(at_home, "/api/agents", host=host, origin=f"http://{host}") == 403


async def test_call_over_websocket_asks_for_a_known_agent(at_home: str) -> None:
    assert await call(at_home, "/ws-client/nobody", origin=f"http://{at_home}") == 403
    assert await call(at_home, "/ws-client/good", origin=f"http://{at_home}") == 101


async def test_other_machines_need_the_token(in_public: tuple[str, str]) -> None:
    address, token = in_public
    for wrong in ("", "?token=", "?token=wrong", f"?token={token[:-1]}", "?token=%C3%A9"):
        assert [ask(address, f"{path}{wrong}") for path in PATHS[:3]] == [403] * 3
        assert await call(address, f"/ws-client/good{wrong}") == 403
        assert ask(address, f"/api/offer{wrong}", "POST") == 403
    assert ask(address, "/api/agents", authorization="Bearer wrong") == 403


async def test_token_opens_the_door(in_public: tuple[str, str]) -> None:
    address, token = in_public
    assert [ask(address, f"{path}?token={token}") for path in PATHS[:3]] == [200] * 3
    assert ask(address, "/api/agents", authorization=f"Bearer {token}") == 200
    assert ask(address, f"/api/agents?token={token}", host="agents.example.com") == 200
    assert await call(address, f"/ws-client/good?token={token}") == 101


async def test_token_does_not_open_the_door_to_pages_of_other_sites(in_public: tuple[str, str]) -> None:
    address, token = in_public
    assert ask(address, f"/api/agents?token={token}", origin="https://evil.example") == 403
    assert await call(address, f"/ws-client/good?token={token}", origin="https://evil.example") == 403


def test_health_needs_no_token(in_public: tuple[str, str]) -> None:
    address, _ = in_public
    assert ask(address, "/health") == 200
    assert ask(address, "/health", host="10.0.0.7:7860") == 200
    assert [ask(address, path) for path in ("/health/", "/healthy", "//health", "/static/../api/agents")] == [403] * 4


def test_answers_may_not_be_framed_or_guessed_at(at_home: str) -> None:
    headers = httpx.get(f"http://{at_home}/", trust_env=False).headers
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers["referrer-policy"] == "no-referrer"


def test_loopback_is_only_what_no_other_machine_can_reach() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.9.1", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.com", "", "localhost.", "127.1"]))


def test_every_start_has_a_token_of_its_own() -> None:
    assert Access.for_host("127.0.0.1").token is None
    assert len({Access.for_host("0.0.0.0").token for _ in range(3)}) == 3
