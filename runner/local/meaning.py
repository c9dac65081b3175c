"""What comes in: what a caller said and the ways out of a stage. What goes out: the way that was meant, or none.

Sentences become vectors (all-MiniLM-L6-v2, 8 bits, 4 ms a sentence on one core), and the nearest example wins if it is
near enough and nearer than sentences that mean no way at all. The rules of `wording` decide what vectors cannot.
"""

# onnxruntime has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import BertWordPieceTokenizer

from runner.definition import Transition
from runner.local.weights import SENTENCES
from runner.local.wording import (
    comparable,
    first_person,
    has_number,
    is_open_question,
    polarity,
    sentences,
    without_refusal,
)

Vector = npt.NDArray[np.float32]
"""(384,), of length 1: the scalar product of two is how near they are, -1..1."""

VOCABULARY = Path(__file__).with_name("data") / "bert-uncased-vocab.txt"

NEAR_ENOUGH = 0.38
"""Under this no way is meant. Chosen on `tune` of tests/local/sayings.yaml."""

AHEAD_OF_NOTHING = 0.0
"""How much nearer than every sentence of `NOTHING` a way has to be."""

OPPOSED = 0.5
"""Taken off when one says yes and the other no."""

AGREED = 0.2
"""Added when both say yes, or both no, and they are not strangers otherwise."""

STRANGERS = 0.3

ASKED = 0.2
"""Taken off when the caller asks an open question and the example does not."""

REFUSED = 0.75
"""An example this near to what a refusal refuses is not what the caller wants."""

NOTHING = (
    "what are your opening hours",
    "hmm",
    "um",
    "i'm not sure",
    "i don't know",
    "hello",
    "hi how are you",
    "who is this",
    "can you repeat that please",
    "sorry what did you say",
    "just a moment please",
    "let me look for it",
    "where do i find it",
    "okay",
    "how long does it take",
    "how much does it cost",
    "what do you mean",
    "are you still there",
    "can you hear me",
)
"""What callers say in any stage without meaning a way out."""


@dataclass(frozen=True, slots=True)
class _Example:
    """One sentence of a way: from its examples, or its `when` as the caller would say it."""

    vector: Vector
    polarity: int
    is_question: bool


@dataclass(frozen=True, slots=True)
class _Way:
    examples: tuple[_Example, ...]
    needs_number: bool


class Meaning:
    """Chooses ways by meaning. Cheap to make; the model is loaded at first use or by `warm`, once a process."""

    def choose(self, said: str, ways: Sequence[Transition]) -> Transition | None:
        """The way of `ways` that `said` means, None for none. Takes 4 ms a sentence; ways without `when` are not looked
        at.

        Raises:
            WeightsError: the weights are missing or not the pinned ones.
        """
        candidates = [way for way in ways if way.when or way.examples]
        best, best_lead = None, 0.0
        for sentence in sentences(said) if candidates else ():
            heard = vector(comparable(sentence))
            floor = max(NEAR_ENOUGH, AHEAD_OF_NOTHING + max(float(heard @ other) for other in _nothing()))
            for way in candidates:
                lead = _nearness(sentence, heard, _known(way.when, way.examples)) - floor
                if lead > best_lead:
                    best, best_lead = way, lead
        return best

    async def warm(self) -> None:
        """Load the model before the first call. Raises WeightsError as `choose` does."""
        await asyncio.to_thread(_nothing)


def _nearness(sentence: str, heard: Vector, way: _Way) -> float:
    if way.needs_number and not has_number(sentence):
        return 0.0
    said, asks = polarity(sentence), is_open_question(sentence)
    refused = without_refusal(sentence)
    refused_vector = vector(comparable(refused)) if refused else None
    nearest = 0.0
    for example in way.examples:
        near = float(heard @ example.vector)
        if refused_vector is not None and example.polarity >= 0 and refused_vector @ example.vector > REFUSED:
            return 0.0
        if said and example.polarity:
            near += -OPPOSED if said != example.polarity else AGREED if near > STRANGERS else 0.0
        if asks and not example.is_question:
            near -= ASKED
        nearest = max(nearest, near)
    return nearest


@lru_cache(maxsize=1024)
def _known(when: str, examples: tuple[str, ...]) -> _Way:
    texts = [*examples, first_person(when)] if when else list(examples)
    known = (_Example(vector(comparable(text)), polarity(text), is_open_question(text)) for text in texts)
    with_number = sum(has_number(example) for example in examples)
    return _Way(tuple(known), needs_number=with_number * 2 > len(examples))


@lru_cache(maxsize=4096)
def vector(text: str) -> Vector:
    """The meaning of `text` as a vector of length 1."""
    pieces = _reader().encode(text)
    ids = np.array([pieces.ids], np.int64)
    mask = np.array([pieces.attention_mask], np.int64)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (hidden,) = cast("list[npt.NDArray[np.float32]]", _session().run(None, inputs))
    mean = hidden[0].mean(axis=0)
    return mean / np.linalg.norm(mean)


@cache
def _nothing() -> tuple[Vector, ...]:
    return tuple(vector(comparable(text)) for text in NOTHING)


_lock = threading.Lock()


def _session() -> onnxruntime.InferenceSession:
    with _lock:
        return _loaded_session()


@cache
def _loaded_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(SENTENCES.path()), options, providers=["CPUExecutionProvider"])


@cache
def _reader() -> BertWordPieceTokenizer:
    reader = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
    reader.enable_truncation(max_length=256)
    return reader
