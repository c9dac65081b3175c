"""The browser of the tests: Debian's Chromium, driven by Playwright, without Playwright's own download."""

from __future__ import annotations

import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""Where it is, None when it is not installed."""

QUIET_FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
)
"""Chromium as root, and without its own talk to the outside."""


def microphone_flags(recording: Path) -> list[str]:
    """A microphone that plays this WAV file once, allowed without asking; sound plays without a click."""
    return [
        *QUIET_FLAGS,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
        "--autoplay-policy=no-user-gesture-required",
    ]
