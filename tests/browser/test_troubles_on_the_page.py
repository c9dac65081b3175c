"""What a person sees in the page when a vendor fails, each fault a real one at an emulated vendor, and when no call is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from websockets.sync.client import connect

from runner.definition import OnTrouble
from tests.chromium import CHROMIUM, QUIET_FLAGS
from tests.cloud.vendors import KEYS, Ports, Vendors
from tests.emulators import OpenAIEmulator
from tests.running import Running, free_port
from tests.serve.conftest import serving

pytestmark = pytest.mark.browser

FLAGS = [*QUIET_FLAGS, "--autoplay-policy=no-user-gesture-required"]
MARKUP = '<img src="x" onerror="window.broken = true"><b>bold</b>'

ALONE = """\
name: alone
prompt: You are brief.
llm:
  max_retries: 0
  timeout: 30s
on_trouble:
  after: 5s
"""
TWO = """\
name: two
prompt: You are brief.
llm:
  max_retries: 0
  fallback:
    - model: gpt-4o-mini
      endpoint: http://127.0.0.1:{second}/v1
"""


@pytest.fixture(scope="module")
def second() -> int:
    """The port of the model that takes over."""
    return free_port()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, ports: Ports, second: int) -> Iterator[tuple[Running, int]]:
    """A running `runner` with both agents, and its port."""
    folder, port = tmp_path_factory.mktemp("troubles"), free_port()
    (folder / "alone.yaml").write_text(ALONE)
    (folder / "two.yaml").write_text(TWO.format(second=second))
    with Running(folder, "--no-browser", "--port", str(port), *ports.arguments, cwd=folder, env=KEYS) as running:
        running.wait_for("ready", seconds=60)
        yield running, port


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def calls(browser: Browser, house: tuple[Running, int], vendors: Vendors) -> Callable[[str], Page]:
    """`calls("alone")`: a page whose call of that agent was answered once."""

    def call(agent: str) -> Page:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{house[1]}/?transport=websocket&agent={agent}")
        say(page, "Good morning")
        expect(answer(page)).to_contain_text("You said: Good morning", timeout=30_000)
        return page

    return call


def say(page: Page, text: str) -> None:
    page.fill("#say", text)
    page.press("#say", "Enter")


def answer(page: Page) -> Locator:
    return page.locator(".line[data-who=agent]").last


def test_model_that_hangs_is_waited_for_in_a_line_until_the_agent_speaks(
    calls: Callable[[str], Page], vendors: Vendors
) -> None:
    page = calls("alone")
    vendors.mind.stall(0, None)
    say(page, "Where is my order?")
    waiting = page.locator(".transcript > :last-child.waiting")
    expect(waiting).to_contain_text("Waiting for the model's first word (OpenAI)", timeout=20_000)
    expect(waiting.locator(".passed")).to_have_text("3 s", timeout=20_000)
    expect(page.locator(".divider.problem")).to_contain_text("OpenAI let the caller wait for 5 s", timeout=20_000)
    expect(answer(page)).to_contain_text(OnTrouble().say, timeout=20_000)
    expect(page.locator(".waiting")).to_have_count(0)


def test_voice_that_hangs_is_what_is_waited_for(calls: Callable[[str], Page], vendors: Vendors) -> None:
    page = calls("alone")
    vendors.voice.hang(times=None)
    say(page, "Where is my order?")
    waiting = page.locator(".waiting")
    expect(waiting).to_contain_text("Waiting for the voice's first sound (Cartesia)", timeout=20_000)
    expect(page.locator(".divider.problem")).to_contain_text("Cartesia", timeout=20_000)
    expect(waiting).to_have_count(0, timeout=20_000)


def test_what_callers_and_vendors_say_is_text_and_never_markup(calls: Callable[[str], Page], vendors: Vendors) -> None:
    page = calls("alone")
    vendors.mind.fail(400, None, message=f"The model {MARKUP} does not exist.")
    say(page, MARKUP)
    expect(page.locator(".line[data-who=caller] .text").last).to_have_text(MARKUP)
    told = page.locator(".divider.problem").last
    expect(told).to_contain_text(f"refuses what it was asked for: The model {MARKUP} does not exist.", timeout=20_000)
    expect(answer(page)).to_contain_text(OnTrouble().say, timeout=20_000)
    vendors.mind._faults.clear()
    vendors.mind.reply(f"You said {MARKUP} to me.")
    say(page, "And now?")
    expect(answer(page).locator(".text")).to_have_text(f"You said {MARKUP} to me.", timeout=20_000)
    assert page.locator("#page img, #page .text b, #page .label b").count() == 0
    assert page.evaluate("window.broken") is None


def test_key_that_a_vendor_repeats_is_not_shown(
    calls: Callable[[str], Page], house: tuple[Running, int], vendors: Vendors
) -> None:
    page = calls("alone")
    key = KEYS["OPENAI_API_KEY"]
    vendors.mind.fail(500, None, message=f"No answer for {key} today.")
    say(page, "Where is my order?")
    expect(page.locator(".divider.problem").last).to_contain_text("[OPENAI_API_KEY] today", timeout=20_000)
    assert key not in page.content()
    assert key not in house[0].output


def test_service_that_takes_over_is_told_as_something_mended(
    calls: Callable[[str], Page], second: int, vendors: Vendors
) -> None:
    page = calls("two")
    with OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]).in_thread(second):
        vendors.mind.fail(500, None, message="The engine is overloaded.")
        say(page, "Where is my order?")
        mended = page.locator(".divider.mended")
        expect(mended).to_contain_text("The engine is overloaded.", timeout=20_000)
        expect(mended).to_contain_text("goes on.")
        expect(answer(page)).to_contain_text("You said: Where is my order?", timeout=20_000)
        expect(page.locator(".divider.problem")).to_have_count(0)


def test_who_is_turned_away_is_told_why(tmp_path: Path, ports: Ports, vendors: Vendors, browser: Browser) -> None:
    page = browser.new_page()
    with serving(tmp_path, ports, "--limit", 1) as server, connect(server.line, proxy=None):
        for way in ("", "?transport=webrtc", "?transport=websocket"):
            page.goto(f"{server.http}/{way}")
            say(page, "Hello")
            expect(page.locator("#trouble")).to_have_text(
                "The call did not start. All lines are busy: 1 call at once. Try again in a moment.", timeout=20_000
            )
            expect(page.locator("#say")).to_have_value("Hello")
