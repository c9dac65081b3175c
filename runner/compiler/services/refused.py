"""A change that a vendor did not take while a call goes on with what it had before."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame


@dataclass
class RefusedChangeFrame(ErrorFrame):
    """`error` is the vendor's own sentence; `settings` are the names in the agent file that were meant.

    Its category is never a permanent one: Pipecat 1.14 would then take the whole service for unusable, and it works.
    """

    settings: tuple[str, ...] = ()
