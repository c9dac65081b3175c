"""`--transport local`: this machine's microphone and loudspeaker, here PulseAudio's that lead into files."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.cloud.vendors import KEYS, Ports, vendors_on
from tests.emulators.sound import seconds_of
from tests.running import Running, run
from tests.speech import speak

GREETING = "Hello, this is Northwind. How can I help you today?"
AGENT = f"name: local\nprompt: You are brief.\ngreeting: {GREETING}\n"

needs_sound = pytest.mark.sound


def agent_in(folder: Path) -> Path:
    file = folder / "local.yaml"
    file.write_text(AGENT)
    return file


def command(folder: Path, ports: Ports) -> list[str | Path]:
    return [agent_in(folder), "--transport", "local", "--no-browser", "--port", "0", *ports.arguments]


def test_without_its_package_it_says_in_a_sentence_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyaudio'] = None\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run(*command(tmp_path, Ports.free()), cwd=tmp_path, env={**KEYS, "PYTHONPATH": path})
    assert done.returncode == 1
    assert "the package PyAudio is missing" in done.stderr
    assert "apt install portaudio19-dev" in done.stderr
    assert 'pip install "voice-agent-runner[audio]"' in done.stderr
    assert "Traceback" not in done.stderr


@needs_sound
def test_without_a_device_it_says_so(tmp_path: Path) -> None:
    nothing = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": "unix:/nobody"}
    done = run(*command(tmp_path, Ports.free()), cwd=tmp_path, env={**KEYS, **nothing})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "This machine has no microphone and no loudspeaker that can be used."
    )
    assert "Traceback" not in done.stderr
    assert "ALSA" not in done.stderr


@dataclass
class SoundCard:
    """A loudspeaker whose sound is kept, 24 kHz, and a microphone that plays what it is given, 16 kHz."""

    env: dict[str, str]
    heard: bytearray = field(default_factory=bytearray)

    def voiced_seconds(self) -> float:
        samples = np.frombuffer(bytes(self.heard[: len(self.heard) // 960 * 960]), "<i2").astype(np.float32)
        return float(np.sum(np.sqrt(np.mean(samples.reshape(-1, 480) ** 2, axis=1)) > 300) * 0.02)

    def wait_for_voice(self, seconds: float) -> None:
        deadline = time.monotonic() + 20
        while self.voiced_seconds() < seconds:
            assert time.monotonic() < deadline, f"{self.voiced_seconds():.1f} s of voice left the loudspeaker"
            time.sleep(0.1)

    def say(self, text: str) -> None:
        play = ["pacat", "--device=mic", "--format=s16le", "--rate=16000", "--channels=1"]
        subprocess.run(play, input=speak(text).tobytes(), env=self.env, check=True, timeout=30)


@pytest.fixture
def card(tmp_path: Path) -> Iterator[SoundCard]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    env = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PULSE_SERVER": f"unix:{home}/native"}
    modules = (
        "module-null-sink sink_name=out rate=24000 channels=1",
        "module-null-sink sink_name=mic rate=16000 channels=1",
        f"module-native-protocol-unix socket={home}/native auth-anonymous=1",
    )
    server = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *(f"--load={one}" for one in modules)]
    pulse = subprocess.Popen(server, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listening = None
    try:
        deadline = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env=env, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "PulseAudio did not start"
            time.sleep(0.1)
        subprocess.run(["pactl", "set-default-sink", "out"], env=env, check=True)
        subprocess.run(["pactl", "set-default-source", "mic.monitor"], env=env, check=True)
        record = ["parec", "--device=out.monitor", "--format=s16le", "--rate=24000", "--channels=1"]
        listening = subprocess.Popen(record, env=env, stdout=subprocess.PIPE)
        card = SoundCard(env)
        threading.Thread(target=_keep, args=(listening, card.heard), daemon=True).start()
        yield card
    finally:
        for process in filter(None, (listening, pulse)):
            process.terminate()
            process.wait(10)
        if listening and listening.stdout:
            listening.stdout.close()


def _keep(process: subprocess.Popen[bytes], heard: bytearray) -> None:
    assert process.stdout
    while piece := os.read(process.stdout.fileno(), 4096):
        heard.extend(piece)


@needs_sound
def test_greeting_arrives_at_the_loudspeaker_and_the_microphone_is_heard(tmp_path: Path, card: SoundCard) -> None:
    ports = Ports.free()
    env = {**KEYS, **{name: card.env[name] for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER")}}
    with vendors_on(ports) as vendors, Running(*command(tmp_path, ports), cwd=tmp_path, env=env) as running:
        running.wait_for("this machine's microphone")
        running.wait_for(f"[agent] {GREETING}")
        card.wait_for_voice(0.6 * seconds_of(GREETING))
        vendors.ears.script(["Where is my order?"])
        card.say("Where is my order?")
        running.wait_for("[caller] Where is my order?")
        running.wait_for("[agent] You said: Where is my order?")
        code, _ = running.stop()
        assert code == 0, running.output
        assert "Traceback" not in running.output
        assert "ALSA lib" not in running.output
