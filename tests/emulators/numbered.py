"""Sound that says which part of it arrived: every 10 ms carry their number in the lowest bit of their samples.

Comes in: speech at 16 kHz, mono, 16 bits. Goes out: the same to the ear, numbered; and the numbers of sound that arrived. A frame
of 20 ms is two numbers; 10 ms divide the frames of the caller (20 ms) and those of the vendor (50 ms) alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

RATE = 16_000
BLOCK = RATE // 100
_BITS = 32
_COPIES = BLOCK // _BITS


def numbered(samples: Samples, first: int = 1) -> Samples:
    """`samples` (cut to whole 10 ms) with the numbers from `first` on."""
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK).copy()
    numbers = np.arange(first, first + len(blocks), dtype=np.uint32)
    bits = ((numbers[:, None] >> np.arange(_BITS, dtype=np.uint32)) & 1).astype(np.int16)
    blocks &= ~np.int16(1)
    blocks[:, : _BITS * _COPIES] |= np.tile(bits, _COPIES)
    return blocks.reshape(-1)


def numbers_in(sound: bytes | bytearray) -> list[int]:
    """The number of every 10 ms of `sound`, which begins with a whole one; -1 where there is none, as in digital
    silence."""
    samples = np.frombuffer(bytes(sound[: len(sound) // 2 * 2]), dtype="<i2")
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    bits = (blocks[:, : _BITS * _COPIES] & 1).reshape(-1, _COPIES, _BITS)
    same = (bits == bits[:, :1]).all(axis=(1, 2))
    values = (bits[:, 0].astype(np.int64) << np.arange(_BITS)).sum(axis=1)
    found = np.where(same & (values > 0), values, -1)
    return [int(value) for value in found]
