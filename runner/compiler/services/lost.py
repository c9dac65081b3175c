"""An answer that the caller did not hear, or not to its end."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame


@dataclass
class AnswerLost(ErrorFrame):
    """Nothing more will come of what the agent wanted to say. The service works, or may work again with the next turn: its
    category is never a permanent one. `error` is the vendor's own sentence, or what was waited for in vain.

    vendor_answers: the vendor refused, rather than being silent or out of reach; another sentence may well be spoken.
    """

    vendor_answers: bool = False
