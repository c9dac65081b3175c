"""The three vendors of a call, emulated on 127.0.0.1, and what `runner` is told so that it talks to them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.caller import Caller, Said
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator
from tests.running import Running, free_port

KEYS = {
    "ASSEMBLYAI_API_KEY": "dummy-ear-7f31c2",
    "OPENAI_API_KEY": "sk-dummy-mind-91b0aa",
    "CARTESIA_API_KEY": "sk_car_dummy-voice-55d9e3",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the vendors listen. They stay while `runner` runs; each test has emulators of its own on them."""

    ears: int
    mind: int
    voice: int

    @classmethod
    def free(cls) -> Ports:
        return cls(free_port(), free_port(), free_port())

    @property
    def arguments(self) -> list[str]:
        """The command line that points `runner` here."""
        return [
            *("--services", "cloud"),
            *("--set", f"stt.endpoint=ws://127.0.0.1:{self.ears}{AssemblyAIEmulator.path}"),
            *("--set", f"llm.endpoint=http://127.0.0.1:{self.mind}{OpenAIEmulator.path}"),
            *("--set", f"tts.endpoint=ws://127.0.0.1:{self.voice}{CartesiaEmulator.path}"),
        ]


@dataclass(frozen=True, slots=True)
class Vendors:
    """Running emulators of AssemblyAI, OpenAI and Cartesia, each accepting only its own key."""

    ears: AssemblyAIEmulator
    mind: OpenAIEmulator
    voice: CartesiaEmulator

    @property
    def spoken(self) -> list[str]:
        """What the agent was made to say, one text for each context of the voice, in order."""
        contexts = [context for session in self.voice.sessions for context in session.contexts.values()]
        return [context.text.strip() for context in sorted(contexts, key=lambda context: context.opened_at)]

    async def hear(self, caller: Caller, text: str) -> Said:
        """`caller` says `text`, and the ear understands it."""
        self.ears.script([text])
        return await caller.say(text)


@contextmanager
def house_on(ports: Ports, folder: Path, text: str) -> Generator[tuple[Running, int]]:
    """A `runner` with one agent, `shop`, whose file is `text`, and its port."""
    file, port = folder / "shop.yaml", free_port()
    file.write_text(text)
    with Running(file, "--no-browser", "--port", port, *ports.arguments, cwd=folder, env=KEYS) as running:
        running.wait_for("ready")
        yield running, port


@contextmanager
def vendors_on(ports: Ports) -> Generator[Vendors]:
    """Fresh emulators on `ports`, as quick as an emulator can be."""
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"])
    voice = CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"])
    ears.final_delay, ears.termination_delay = 0.1, 0.05
    with ears.in_thread(ports.ears), mind.in_thread(ports.mind), voice.in_thread(ports.voice):
        yield Vendors(ears, mind, voice)
