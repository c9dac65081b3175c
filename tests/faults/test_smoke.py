import pytest, asyncio
from tests.emulators import sound
from tests.faults.faulty_call import faulty_call
@pytest.fixture(autouse=True)
def quick(monkeypatch): monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.006)
async def test_a(tmp_path):
    async with faulty_call(tmp_path, "llm: {timeout: 0.5s, max_retries: 1}\n") as call:
        call.mind.reply("Fine, thanks. And you?")
        await call.ask(); await call.until_said("And you?")
        print(call.said, call.sound)
        call.mind.fail(500, times=9)
        await call.ask(); await call.until_said("again?")
        print(call.events, call.sound)
async def test_b(tmp_path):
    async with faulty_call(tmp_path, "tts: {timeout: 0.4s}\n") as call:
        call.voice.hang(times=None)
        call.mind.reply("Fine, thanks. And you?")
        await call.ask(); await call.until_said("again?")
        print(call.events, call.sound)
        call.voice._breaks.clear()
        call.voice.hang(2)
        call.mind.reply("Fine, thanks to all of you. And you?")
        await call.ask(); await asyncio.sleep(2)
        print(call.events[3:], call.sound)
