"""The vendors at the wire, on 127.0.0.1: what Pipecat's services and `runner` talk to in tests.

Comes in: what a client of AssemblyAI, OpenAI, Cartesia or Daily sends. Goes out: what that vendor answers, with its
refusals. Each emulator works as `async with AssemblyAIEmulator() as emu:` and as
`with AssemblyAIEmulator().in_thread() as emu:`.
"""

from .assemblyai import AssemblyAIEmulator
from .cartesia import CartesiaEmulator
from .daily import DailyEmulator
from .openai import OpenAIEmulator, Reply, ToolCall
from .serving import Emulator, Message, until, wait_until

__all__ = [
    "AssemblyAIEmulator",
    "CartesiaEmulator",
    "DailyEmulator",
    "Emulator",
    "Message",
    "OpenAIEmulator",
    "Reply",
    "ToolCall",
    "until",
    "wait_until",
]
