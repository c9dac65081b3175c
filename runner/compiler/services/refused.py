"""What a vendor refused: a change, while the call goes on with what it had before; or the connection itself."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame


@dataclass
class RefusedChangeFrame(ErrorFrame):
    """`error` is the vendor's own sentence; `settings` are the names in the agent file that were meant.

    Its category is never a permanent one: Pipecat 1.14 would then take the whole service for unusable, and it works.
    """

    settings: tuple[str, ...] = ()


@dataclass
class RefusedSessionFrame(ErrorFrame):
    """A session that a vendor refused or ended; `error` is its own sentence.

    settings: the names in the agent file of what it names.
    again:    another one is being opened.
    """

    settings: tuple[str, ...] = ()
    again: bool = False
