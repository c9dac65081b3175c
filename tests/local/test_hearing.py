"""The ears with real speech: words are heard, noise is not."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest

from runner.local.whisper import hear
from tests.speech import Samples, silence, speak

SENTENCES = [
    "Hi, I would like a refund for my order.",
    "My order number is four five one two three.",
    "Can I talk to a real person, please?",
    "I need to change my email address.",
    "No, that is wrong.",
    "Yes, that is right.",
    "What are your opening hours?",
    "I bought a pair of shoes last week and they do not fit.",
    "The parcel arrived on Tuesday, but the box was empty.",
    "No thanks, that is all. Goodbye.",
]
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS: dict[str, str] = {name: str(digit) for digit, name in enumerate(NAMES)}
RNG = np.random.default_rng(7)

Sound = npt.NDArray[np.float32]


def in_a_room(sound: npt.NDArray[np.floating] | Samples, *, noise: float = 0.003) -> Sound:
    """What the ears get of a turn: the time before it, the sound, the silence after it, and the noise of a room all
    over."""
    scaled = sound / 32768 if sound.dtype == np.int16 else sound
    padded = np.concatenate([silence(0.5), scaled, silence(0.7)])
    return (padded + np.random.default_rng(7).normal(0, noise, len(padded))).astype(np.float32)


def words(text: str) -> list[str]:
    """Words for counting errors; a number is its digits, however it was written."""
    text = re.sub(r"(\d)", r" \1 ", text.lower().replace("it's", "it is"))
    found: list[str] = re.findall(r"[a-z0-9']+", text)
    return [DIGITS.get(word, word) for word in found]


def errors(wanted: list[str], heard: list[str]) -> int:
    """How many words have to be put in, left out or changed to get from one to the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(wanted, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other)))
    return row[-1]


@pytest.mark.parametrize("noise", [0.001, 0.01])
def test_less_than_a_tenth_of_the_words_is_misheard(noise: float) -> None:
    wrong = total = 0
    for sentence in SENTENCES:
        heard = hear(in_a_room(speak(sentence), noise=noise))
        assert heard.is_speech, (sentence, heard)
        wrong += errors(words(sentence), words(heard.text))
        total += len(words(sentence))
    print(f"{wrong} of {total} words wrong, {100 * wrong / total:.1f} %")
    assert wrong / total < 0.1


@pytest.mark.parametrize("word", ["Yes.", "No.", "Okay.", "Bye.", "Five.", "Correct."])
def test_a_single_word_is_speech(word: str) -> None:
    heard = hear(in_a_room(speak(word)))
    assert heard.is_speech, heard


def burst(seconds: float, loudness: float, *, smooth: int = 1) -> Sound:
    """A noise that dies away: a knock or a cough."""
    length = int(seconds * 16_000)
    noise = np.convolve(RNG.normal(0, 1, length), np.ones(smooth) / smooth, "same")
    return (loudness * noise / np.abs(noise).max() * np.exp(-np.linspace(0, 6, length))).astype(np.float32)


def tone(hertz: float, seconds: float) -> Sound:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16_000)) / 16_000)).astype(np.float32)


NOISES = {
    "silence": np.zeros(16_000, np.float32),
    "hiss": RNG.normal(0, 0.05, 16_000).astype(np.float32),
    "click": burst(0.05, 0.8),
    "knock": burst(0.2, 0.9, smooth=40),
    "cough": burst(0.4, 0.8, smooth=6),
    "hum": tone(120, 1.0),
    "beep": tone(1000, 0.4),
}


@pytest.mark.parametrize("keyterms", [(), ("Northwind", "RMA", "order number", "refund")], ids=["plain", "keyterms"])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_not_taken_for_words(noise: str, keyterms: tuple[str, ...]) -> None:
    heard = hear(in_a_room(NOISES[noise]), keyterms)
    assert not heard.is_speech, heard


def test_keyterms_are_heard() -> None:
    said = in_a_room(speak("Northwind sent me the wrong size."), noise=0.01)
    assert "Northwind" not in hear(said).text, "the sentence no longer shows anything"
    assert "Northwind" in hear(said, ["Northwind", "RMA", "order number", "refund"]).text


def test_more_than_half_a_minute_is_heard_to_the_end() -> None:
    said = np.concatenate([speak(f"{sentence}") for sentence in SENTENCES * 2])
    assert len(said) > 30 * 16_000
    heard = words(hear(in_a_room(said)).text)
    wanted = [word for sentence in SENTENCES * 2 for word in words(sentence)]
    assert errors(wanted, heard) / len(wanted) < 0.2, heard
