"""A page that is loaded again in the middle of a call: the same call goes on, for who has it in this tab and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.chromium import CHROMIUM, QUIET_FLAGS
from tests.cloud.vendors import Ports, Vendors, house_on
from tests.emulators.openai import Reply, ToolCall
from tests.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.alone]

AGENT = """\
name: shop
prompt: You are brief.
greeting: Hello, this is Northwind.
limits:
  wait_for_return: 8s
stages:
  first:
    prompt: Find out what the caller wants.
    next:
      - when: The caller wants a refund
        examples: [I want a refund]
        to: refund
  refund:
    say: A refund it is.
    prompt: Ask for the number.
"""
FLAGS = [*QUIET_FLAGS, "--autoplay-policy=no-user-gesture-required"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Iterator[tuple[Running, int]]:
    with house_on(ports, tmp_path_factory.mktemp("reload"), AGENT) as house:
        yield house


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page()
        browser.close()


def say(page: Page, text: str) -> None:
    page.fill("#say", text)
    page.press("#say", "Enter")


def lines(page: Page, who: str) -> list[str]:
    return [text.strip() for text in page.locator(f".line[data-who={who}] .text").all_inner_texts()]


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_page_that_is_loaded_again_goes_on_with_its_call(
    transport: str, page: Page, house: tuple[Running, int], vendors: Vendors
) -> None:
    running, port = house
    since = len(running.lines)
    page.goto(f"http://127.0.0.1:{port}/?transport={transport}")
    say(page, "Hello")
    expect(page.locator(".line[data-who=agent]").last).to_contain_text("You said: Hello", timeout=20_000)
    vendors.mind.reply(Reply("", (ToolCall("go_to_refund"),)))
    say(page, "I want a refund")
    expect(page.locator(".line[data-who=agent]").last).to_contain_text("A refund it is.", timeout=20_000)

    page.reload()
    expect(page.locator("#state")).to_have_attribute("data-state", "connected", timeout=20_000)
    expect(page.locator("#state")).to_have_attribute("data-transport", transport)
    expect(page.locator("#stage")).to_have_text("refund")
    expect(page.locator(".divider.back")).to_contain_text("Back after")
    assert lines(page, "caller") == ["Hello", "I want a refund"]
    expect(page.locator(".line[data-who=agent]").last).to_contain_text("A refund it is.", timeout=20_000)
    say(page, "It is 45123")
    expect(page.locator(".line[data-who=agent]").last).to_contain_text("You said: It is 45123", timeout=20_000)
    assert "I want a refund" in str(vendors.mind.request.body["messages"])
    assert page.evaluate("window.runnerStats()")

    page.click("#hangup")
    running.wait_for("call ended: the caller hung up", after=since, seconds=5)
    page.reload()
    expect(page.locator("#state")).to_have_attribute("data-state", "idle")


def test_page_that_comes_too_late_says_why_its_call_is_over(
    page: Page, house: tuple[Running, int], vendors: Vendors
) -> None:
    running, port = house
    since = len(running.lines)
    page.goto(f"http://127.0.0.1:{port}/?transport=websocket")
    say(page, "Hello")
    expect(page.locator(".line[data-who=agent]").last).to_contain_text("You said: Hello", timeout=20_000)
    page.goto("about:blank")
    running.wait_for("the caller did not come back within 8 s", after=since, seconds=30)
    page.go_back()
    expect(page.locator(".divider.end")).to_contain_text("did not come back within 8 s", timeout=10_000)
