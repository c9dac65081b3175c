"""The page in a real Chromium, its server scripted: what a person sees for everything the server can say."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.emulators.serving import until
from tests.page.scripted_server import Script, agent

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
ALLOWED = [*FLAGS, "--use-fake-ui-for-media-stream"]

PROBLEM = {
    "file": "agents/support.yaml",
    "line": 14,
    "column": 5,
    "path": "stages.identify.promt",
    "code": "unknown-key",
    "severity": "error",
    "message": '"promt" is not a setting of a stage.',
    "hint": 'Did you mean "prompt"?',
    "snippet": "    promt: Greet the caller",
}

Opener = Callable[..., Awaitable[tuple[Page, Script]]]


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """`await opened(query, agents, flags)`: the page in a browser and the script behind it."""
    async with AsyncExitStack() as stack:

        async def start(
            query: str = "", agents: list[dict[str, Any]] | None = None, flags: list[str] = ALLOWED
        ) -> tuple[Page, Script]:
            script = await stack.enter_async_context(Script(agents or [agent()]).running())
            play = await stack.enter_async_context(async_playwright())
            browser = await play.chromium.launch(executable_path=CHROMIUM, args=flags)
            stack.push_async_callback(browser.close)
            page = await browser.new_page()
            page.set_default_timeout(15_000)
            broken: list[str] = []
            page.on("pageerror", lambda error: broken.append(str(error)))
            stack.callback(lambda: broken and pytest.fail(f"the page broke: {broken}"))
            await page.goto(script.url + query)
            await expect(page.locator("#say")).to_be_enabled()
            return page, script

        yield start


@pytest.fixture
async def call(opened: Opener) -> tuple[Page, Script]:
    """A running call over the websocket."""
    page, script = await opened("?transport=websocket")
    await page.click("#talk")
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    return page, script


async def test_interim_words_are_replaced_by_the_final_ones(call: tuple[Page, Script]) -> None:
    page, script = call
    line = page.locator(".line[data-who=caller]")
    await script.rtvi("user-transcription", {"text": "i want", "final": False, "timestamp": "", "user_id": ""})
    await expect(line.and_(page.locator(".interim")).locator(".text")).to_have_text("i want")
    await script.rtvi("user-transcription", {"text": "I want a refund.", "final": True, "timestamp": "", "user_id": ""})
    await expect(line.locator(".text")).to_have_text("I want a refund.")
    await expect(page.locator(".line.interim")).to_have_count(0)


async def test_two_final_pieces_of_one_turn_stand_in_one_line(call: tuple[Page, Script]) -> None:
    page, script = call
    for text in ("It is", "four two seven."):
        await script.rtvi("user-transcription", {"text": text, "final": True, "timestamp": "", "user_id": ""})
    await expect(page.locator(".line[data-who=caller] .text")).to_have_text(["It is four two seven."])


async def test_speakers_and_languages_are_shown_and_corrected(call: tuple[Page, Script]) -> None:
    page, script = call
    lines, texts = page.locator(".line[data-who=caller]"), ["Quiero una mesa.", "For two, please."]
    for text in texts:
        await script.rtvi("user-transcription", {"text": text, "final": True, "timestamp": "", "user_id": "A"})
    known = {"speaker": "A", "name": "", "answered": True, "stage": None, "version": 1}
    await script.tell(type="caller", turn=1, text=texts[0], language="es", confidence=0.93, **known)
    await script.tell(type="caller", turn=2, text=texts[1], **{**known, "speaker": "B", "name": "Ben"})
    await expect(lines.locator(".text")).to_have_text(texts)
    await expect(lines.locator(".who")).to_have_text(["Caller A", "Caller Ben"])
    await expect(lines.locator(".language")).to_have_text(["es 0.93"])
    await script.tell(type="language", **{"from": None}, to="es", version=1)
    await expect(page.locator(".divider.language")).to_have_text("language es")
    await script.tell(type="correction", turn=2, text=texts[1], before="B", speaker="A", version=1)
    await expect(lines.locator(".who")).to_have_text(["Caller A", "Caller A"])
    await expect(lines.locator(".corrected")).to_have_text(["first taken for B"])
    await script.rtvi("user-transcription", {"text": "Hm.", "final": True, "timestamp": "", "user_id": "A"})
    await expect(lines.locator(".text")).to_have_text([*texts, "Hm."])


async def test_backchannel_is_noted_and_the_next_words_are_a_line_of_their_own(call: tuple[Page, Script]) -> None:
    page, script = call
    lines = page.locator(".line[data-who=caller]")
    await script.say("Our shop opens at nine.", 1)
    await script.rtvi("user-transcription", {"text": "Mhm.", "final": True, "timestamp": "", "user_id": ""})
    known = {"turn": 0, "answered": False, "backchannel": True, "stage": None, "version": 1}
    await script.tell(type="caller", text="Mhm.", **known)
    await expect(lines.locator(".meta")).to_have_text(["the agent spoke on"])
    await script.rtvi("user-transcription", {"text": "And today?", "final": True, "timestamp": "", "user_id": ""})
    await expect(lines.locator(".text")).to_have_text(["Mhm.", "And today?"])


async def test_what_the_call_waits_for_is_the_last_line_while_it_lasts(call: tuple[Page, Script]) -> None:
    page, script = call
    waiting = page.locator(".transcript > :last-child.waiting")
    await script.rtvi("user-transcription", {"text": "Hello?", "final": True, "timestamp": "", "user_id": ""})
    await script.tell(type="silence", part="llm", message="", awaited="the model's first word (OpenAI)", ms=2000)
    await expect(waiting).to_have_text("Waiting for the model's first word (OpenAI) 3 s")
    await script.tell(type="silence", part="tts", message="", awaited="the voice's first sound (Cartesia)", ms=6000)
    await expect(waiting).to_have_text("Waiting for the voice's first sound (Cartesia) 6 s")
    await script.tell(type="silence-over", ms=6500)
    await script.say("Here I am.", 1)
    await expect(waiting).to_have_count(0)
    await expect(page.locator(".line .text")).to_have_text(["Hello?", "Here I am."])
    await script.tell(type="silence", part="llm", message="", awaited="the model's first word (OpenAI)", ms=2000)
    await expect(waiting).to_have_count(1)
    await script.hang_up()
    await expect(page.locator(".divider.end")).to_be_visible()
    await expect(waiting).to_have_count(0)


async def test_trouble_that_is_mended_looks_otherwise_than_one_that_is_not(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.tell(type="problem", message="OpenAI does not accept the key.", mended=False)
    await script.tell(type="problem", message="OpenAI is at work again.", mended=True)
    await expect(page.locator(".divider.problem")).to_have_text("OpenAI does not accept the key.")
    await expect(page.locator(".divider.mended")).to_have_text("OpenAI is at work again.")


async def test_sentences_of_one_turn_stand_in_one_line_and_another_turn_in_the_next(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.say("Hello.", 1)
    await script.say("How can I help?", 2)
    await script.rtvi("user-transcription", {"text": "Refund.", "final": True, "timestamp": "", "user_id": ""})
    await script.say("Gladly.", 3)
    await expect(page.locator(".line .text")).to_have_text(["Hello. How can I help?", "Refund.", "Gladly."])


async def test_what_the_agent_says_after_a_pause_is_another_line(call: tuple[Page, Script]) -> None:
    page, script = call
    for number, text in enumerate(["We have ten seconds left.", "Time is up."], 1):
        await script.rtvi("bot-started-speaking")
        await script.say(text, number)
        await script.rtvi("bot-stopped-speaking")
        await asyncio.sleep(1)
    await expect(page.locator(".line .text")).to_have_text(["We have ten seconds left.", "Time is up."])


async def test_newest_line_stays_in_view_when_the_window_changes(call: tuple[Page, Script]) -> None:
    page, script = call
    await page.set_viewport_size({"width": 1280, "height": 800})
    for number in range(14):
        await script.rtvi("user-transcription", {"text": "Go on.", "final": True, "timestamp": "", "user_id": ""})
        await script.say("A long sentence that needs more than one line on a narrow telephone, and two on it.", number)
    await expect(page.locator(".line")).to_have_count(28)
    await script.hang_up()
    await expect(page.locator(".divider.end")).to_be_in_viewport()
    for width, height in ((390, 844), (1280, 800), (844, 390), (390, 500)):
        await page.set_viewport_size({"width": width, "height": height})
        await asyncio.sleep(0.3)  # what the browser scrolls by itself comes after the new size
        await expect(page.locator(".divider.end")).to_be_in_viewport()
        await expect(page.locator(".to-end")).to_have_count(0)


async def test_advice_is_one_line_that_opens(call: tuple[Page, Script]) -> None:
    page, script = call
    script.save("support", problems=[{**PROBLEM, "severity": "warning", "message": "No way leads out of it."}])
    await expect(page.locator("#problems")).to_contain_text("1 piece of advice on this file")
    await expect(page.locator("#problems .message")).to_be_hidden()
    await page.click("#problems summary")
    await expect(page.locator("#problems .message")).to_contain_text("No way leads out of it.")


async def test_words_cut_off_by_the_caller_are_marked_as_unspoken(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.say("Let me explain that at length.", 1, spoken="Let me")
    await script.rtvi("bot-interrupted")
    await expect(page.locator(".line .unspoken")).to_have_text(" explain that at length.")
    await expect(page.locator(".line .meta")).to_contain_text("interrupted")


async def test_stage_change_is_a_divider_and_the_stage_name(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.tell(type="stage", **{"from": None}, to="identify", version=1)
    await expect(page.locator("#stage")).to_have_text("identify")
    await expect(page.locator(".divider.stage")).to_have_count(0)
    await script.tell(type="stage", **{"from": "identify"}, to="refund", version=1)
    await expect(page.locator("#stage")).to_have_text("refund")
    await expect(page.locator(".divider.stage")).to_have_text("stage refund")
    await expect(page.locator(".stages [aria-current=step]")).to_have_text("refund")


async def test_line_shows_the_version_that_began_it(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.rtvi("bot-llm-started")
    await script.say("One.", 1)
    await script.tell(type="version", version=2, changes=["prompt: from the next turn"])
    await script.say("Two.", 2)
    await script.rtvi("user-transcription", {"text": "And?", "final": True, "timestamp": "", "user_id": ""})
    await script.rtvi("bot-llm-started")
    await script.say("Three.", 3)
    lines = page.locator(".line[data-who=agent]")
    await expect(lines.locator(".text")).to_have_text(["One. Two.", "Three."])
    await expect(lines.locator(".spoke")).to_have_text(["v1", "v2"])
    await expect(page.locator("#version")).to_have_text("2")


async def test_line_is_corrected_by_who_made_it_and_a_renamed_stage_is_shown(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.tell(type="version", version=2, stage="refund", changes=["goes on in refund"])
    await expect(page.locator("#stage")).to_have_text("refund")
    await script.rtvi("bot-llm-started")
    await script.say("One.", 1)
    await expect(page.locator(".line[data-who=agent] .spoke")).to_have_text(["v2"])
    await script.tell(type="agent", version=1, stage="identify")
    await expect(page.locator(".line[data-who=agent] .spoke")).to_have_text(["v1"])


async def test_latency_of_a_turn_shows_its_parts_on_focus(call: tuple[Page, Script]) -> None:
    page, script = call
    parts = [{"name": "end of speech", "ms": 277, "owner": "turns.vad"}, {"name": "words", "ms": 535}]
    await script.tell(type="latency", ms=812, parts=parts)
    await script.say("Hello.", 1)
    mark = page.locator(".latency button")
    await expect(mark).to_contain_text("0.8 s")
    await expect(page.locator(".parts")).to_be_hidden()
    await mark.focus()
    await expect(page.locator(".parts")).to_contain_text("277 ms")


async def test_problems_show_place_snippet_caret_and_leave_with_a_good_save(call: tuple[Page, Script]) -> None:
    page, script = call
    script.save("support", problems=[PROBLEM])
    problems = page.locator("#problems")
    await expect(problems).to_contain_text("agents/support.yaml:14:5")
    await expect(problems).to_contain_text('Did you mean "prompt"?')
    assert await problems.locator(".snippet").inner_text() == "  14      promt: Greet the caller\n          ^^^^^"
    await expect(page.locator("#version")).to_have_text("1")
    script.save("support", problems=[], version=2, changes=["prompt: from the next turn"])
    await expect(problems).to_be_hidden()
    await expect(page.locator("#saved")).to_contain_text("version 2")
    await expect(page.locator("#saved")).to_contain_text("prompt: from the next turn")
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")


async def test_agent_without_a_good_version_cannot_be_called(opened: Opener) -> None:
    page, script = await opened()
    script.save("support", version=0, problems=[PROBLEM])
    await expect(page.locator("#talk")).to_be_disabled()
    await expect(page.locator("#problems")).to_contain_text("There is no good version to call yet.")


async def test_transcript_outlives_the_call_and_says_why_it_ended(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.say("Goodbye.", 1)
    await script.tell(type="end", reason="the agent ended it (stage goodbye)")
    await script.hang_up()
    await expect(page.locator("#state")).to_have_attribute("data-state", "ended")
    await expect(page.locator(".line .text")).to_have_text(["Goodbye."])
    await expect(page.locator(".divider.end")).to_have_text("Call ended: the agent ended it (stage goodbye)")
    await expect(page.locator("#talk")).to_be_visible()


async def test_sound_flows_both_ways_and_is_counted(call: tuple[Page, Script]) -> None:
    page, script = call
    await script.tone(1.0)
    stats = await page.evaluate("runnerStats()")
    assert stats["transport"] == "websocket"
    assert stats["bytesReceived"] == 48_000
    # A sine of half the full scale has a mean square of 1/8.
    assert stats["totalAudioEnergy"] == pytest.approx(0.125, rel=0.01)
    before = script.heard_bytes
    await asyncio.sleep(1.5)
    # 16 kHz, 16 bit: 32000 bytes a second, less what a busy machine has not captured yet.
    assert script.heard_bytes - before > 24_000


async def test_websocket_takes_over_where_webrtc_is_refused(opened: Opener) -> None:
    page, script = await opened()
    await page.click("#talk")
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected", timeout=30_000)
    await expect(page.locator("#state")).to_have_attribute("data-transport", "websocket")
    assert script.offers >= 1


async def test_typing_starts_a_call_without_a_microphone_and_talk_opens_it_later(opened: Opener) -> None:
    page, script = await opened("?transport=websocket")
    await page.fill("#say", "Where is my order?")
    await page.press("#say", "Enter")
    await expect(page.locator(".line[data-who=caller] .text")).to_have_text("Where is my order?")
    await expect(page.locator("#mute")).to_be_hidden()
    sent = await _received(script, "send-text")
    assert sent["data"]["content"] == "Where is my order?"
    assert script.heard_bytes == 0
    await page.click("#talk")
    await expect(page.locator("#mute")).to_be_visible()
    await asyncio.sleep(1)
    assert script.heard_bytes > 0


async def test_call_may_keep_its_version(opened: Opener) -> None:
    page, script = await opened("?transport=websocket")
    await page.check("#keep-version")
    await page.fill("#say", "Hello")
    await page.press("#say", "Enter")
    await expect(page.locator("#keep-version")).to_be_disabled()
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    assert script.queries[-1]["pin"] == "1"


async def test_refused_microphone_is_a_sentence_and_typing_still_works(opened: Opener) -> None:
    page, script = await opened("?transport=websocket", flags=FLAGS)
    session = await page.context.new_cdp_session(page)
    refusal = {"permission": {"name": "microphone"}, "setting": "denied", "origin": script.url.rstrip("/")}
    await session.send("Browser.setPermission", refusal)
    await page.click("#talk")
    await expect(page.locator("#mic-problem")).to_contain_text("The browser may not use the microphone.")
    await expect(page.locator("#state")).to_have_attribute("data-state", "idle")
    await page.fill("#say", "Hello")
    await page.press("#say", "Enter")
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    await expect(page.locator("#mic-problem")).to_be_hidden()


async def test_page_works_by_keyboard_alone(opened: Opener) -> None:
    page, _ = await opened("?transport=websocket")
    await page.locator("#talk").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#hangup")).to_be_focused()
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator("#mute")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#talk")).to_be_focused()
    await expect(page.locator("#state")).to_have_attribute("data-state", "ended")


async def test_several_agents_are_a_choice_and_the_token_goes_with_every_request(opened: Opener) -> None:
    page, script = await opened(
        "?transport=websocket&agent=appointments&token=secret", [agent("support"), agent("appointments")]
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await expect(page.locator("#agent")).to_have_value("appointments")
    await page.reload()
    await page.click("#talk")
    await expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    await expect(page.locator("#agent")).to_be_disabled()
    (query,) = script.queries
    assert len(query.pop("call")) == 32, "a key by which the page finds its call again"
    assert query == {"agent": "appointments", "token": "secret"}
    assert asked
    assert all("token=secret" in url for url in asked if "/api/" in url)
    assert all(url.startswith((script.url, "data:")) for url in asked)


async def _received(script: Script, kind: str) -> dict[str, Any]:
    await until(lambda: any(message["type"] == kind for message in script.received))
    return next(message for message in script.received if message["type"] == kind)
