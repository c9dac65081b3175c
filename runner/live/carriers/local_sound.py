"""A call by this machine's own microphone and loudspeaker: `--transport local`.

Comes in: an agent. Goes out: one call, which begins at once. Pipecat 1.14's LocalAudioTransport, on PyAudio and PortAudio.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable, Generator
from importlib.util import find_spec
from typing import Any

from pipecat.transports.base_transport import BaseTransport

from runner.live.call import Call
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard
from runner.problem import Mendable
from runner.terminal import Terminal

AUDIO_EXTRA = 'pip install "voice-agent-runner[audio]"'
"""What brings PyAudio. It is built where it is installed, against PortAudio."""

_ON_DEBIAN = "apt install portaudio19-dev python3-dev gcc"
_ON_MACS = "brew install portaudio"


class NoSound(Mendable):
    """This machine cannot hear or speak; the text says what is missing."""


async def talk(agent: LiveAgent, switchboard: Switchboard, terminal: Terminal, when_over: Callable[[], None]) -> Call:
    """Begin a call with whoever sits at this machine. when_over: called when the call is over.

    Raises:
        NoSound: PyAudio is not installed, or there is no microphone or no loudspeaker.
    """
    transport = await asyncio.to_thread(_transport, agent.definition.audio.in_sample_rate)
    call = await switchboard.place(agent, transport, "local")
    terminal.line("  Speak:       to this machine's microphone. Use headphones, or the agent hears itself")

    async def over() -> None:
        await call.begin()
        await call.over()
        when_over()

    switchboard.see_off(asyncio.create_task(over()))
    return call


def _transport(in_rate: int) -> BaseTransport:
    if find_spec("pyaudio") is None:
        raise NoSound(
            "For this machine's microphone and loudspeaker the package PyAudio is missing. Install PortAudio first "
            f"(Debian, Ubuntu: {_ON_DEBIAN}; macOS: {_ON_MACS}), then PyAudio:\n  {AUDIO_EXTRA}"
        )
    _silence_alsa()
    with _quiet():
        from runner.live.carriers.local_transport import MachineTransport

        transport = MachineTransport()
        sound = transport.sound
        lacking = [what for what, ask in _DEVICES if not _is_there(sound, ask)]
        if lacking:
            raise NoSound(
                f"This machine has no {' and no '.join(lacking)} that can be used. Plug one in or choose it in the system's "
                "sound settings; without one, talk on the page: leave --transport local away."
            )
        _check_rate(sound, in_rate)
    return transport


_DEVICES = (("microphone", "get_default_input_device_info"), ("loudspeaker", "get_default_output_device_info"))
"""PyAudio's questions for them. They raise OSError where there is none."""


def _is_there(sound: Any, ask: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(getattr(sound, ask)())
    return False


def _check_rate(sound: Any, rate: int) -> None:
    device = sound.get_default_input_device_info()
    try:
        sound.is_format_supported(
            rate, input_device=device["index"], input_channels=1, input_format=sound.get_format_from_width(2)
        )
    except ValueError:
        raise NoSound(
            f"The microphone {device['name']!r} cannot be recorded at {rate} Hz. Choose another one in the system's sound "
            "settings, or another rate in the agent file (audio.in_sample_rate)."
        ) from None


def _silence_alsa() -> None:
    """A loudspeaker that ran dry for a moment is heard; ALSA writes a line about each time, past Python. In the place of what
    writes it comes a C function that does nothing: ALSA's threads may call it when Python has ended."""
    with contextlib.suppress(OSError, AttributeError):
        nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(nothing)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """PortAudio and ALSA write what they try in vain to standard error, past Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
