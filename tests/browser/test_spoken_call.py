"""Real browser, real sound: Chromium's microphone plays a caller, everything runs on this machine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.chromium import CHROMIUM, microphone_flags
from tests.running import Running, agents_in, free_port, sentences
from tests.speech import write_wav
from tests.words import word_error_rate

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

CALLER = [
    7.0,
    "I want a refund, please.",
    10.0,
    "My order number is four five one two three.",
    11.0,
    "No thanks, that is all. Goodbye.",
    4.0,
]
HEARD = ["I want a refund, please.", "My order number is 45123.", "No thanks, that is all. Goodbye."]
"""The caller's sentences as they are written: digits for a number."""


@dataclass
class Talk:
    """A page with a call under way."""

    page: Page
    runner: Running
    agent: Path
    strangers: list[str] = field(default_factory=list[str])

    def lines(self, who: str) -> list[str]:
        found = self.page.locator(f".line[data-who={who}]:not(.interim) .text").all_inner_texts()
        return [text.strip() for text in found]

    def wait_for_stage(self, name: str, seconds: float) -> None:
        expect(self.page.locator("#stage")).to_have_text(name, timeout=seconds * 1000)

    def wait_for_line(self, who: str, words: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not any(words in line for line in self.lines(who)):
            assert time.monotonic() < deadline, f"{words!r} was not said. {self.lines(who)}\n{self.runner.output}"
            self.page.wait_for_timeout(100)


@pytest.fixture(params=["", "?transport=websocket"], ids=["webrtc", "websocket"])
def talk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Talk]:
    recording = tmp_path / "caller.wav"
    write_wav(recording, CALLER)
    agent = agents_in(tmp_path, "support")
    port = free_port()
    with Running(agent, "--services", "local", "--no-browser", "--port", str(port), cwd=tmp_path) as running:
        running.wait_for("ready", seconds=60)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=microphone_flags(recording))
            page = browser.new_page()
            talk = Talk(page, running, agent)
            page.on("request", lambda asked: _note_stranger(talk, asked.url, port))
            page.goto(f"http://127.0.0.1:{port}/{request.param}")
            page.click("#talk")
            yield talk
            browser.close()
    assert "Traceback" not in running.output


def test_a_caller_is_heard_answered_and_a_save_changes_the_next_sentence(talk: Talk) -> None:
    talk.wait_for_stage("refund", 40)
    talk.wait_for_line("agent", "What is your order number?", 20)

    changed = talk.agent.read_text().replace("Thank you. The refund is on its way", "Splendid. Your money is coming")
    talk.agent.write_text(changed)
    expect(talk.page.locator("#version")).to_contain_text("2", timeout=10_000)

    talk.wait_for_stage("refunded", 40)
    talk.wait_for_line("agent", "Splendid. Your money is coming", 20)

    talk.agent.write_text(changed.replace("prompt: |", "promt: |", 1))
    talk.page.locator("#problems").get_by_text("promt").first.wait_for(timeout=10_000)
    expect(talk.page.locator("#version")).to_contain_text("2")

    talk.wait_for_stage("goodbye", 40)
    talk.wait_for_line("agent", "Thank you for calling Northwind", 20)

    heard = talk.lines("caller")
    assert word_error_rate(" ".join(HEARD), " ".join(heard)) <= 0.15, heard
    stats = talk.page.evaluate("window.runnerStats()")
    assert stats["totalAudioEnergy"] > 0
    assert stats["bytesReceived"] > 0
    assert talk.strangers == []
    assert len(sentences(CALLER)) == len(HEARD)
    for line in (
        "[caller] ",
        "[agent] ",
        "[stage] identify -> refund",
        "[latency] ",
        "[saved] support is now version 2",
    ):
        assert line in talk.runner.output
    assert re.search(r"support\.yaml:\d+:\d+", talk.runner.output)


def _note_stranger(talk: Talk, url: str, port: int) -> None:
    if not re.match(rf"(https?|wss?)://127\.0\.0\.1:{port}/|data:|blob:", url):
        talk.strangers.append(url)
