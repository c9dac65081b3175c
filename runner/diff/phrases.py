"""What is said of each setting that differs: the words for its switching on, its growing, its new value. Tables; by the paths of
`effective.FieldChange`. What is in none of them gets a sentence with the setting's own name."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "prompt": "the prompt",
    "say": "",
    "description": "the description",
    "turns.idle.say": "",
    "stt.about": "",
    "on_trouble.say": "",
}
"""Texts of which the changed words are told."""

SWITCHES: dict[str, tuple[str, str]] = {
    "on_trouble": ("says so when a turn cannot be answered", "says nothing any more when a turn cannot be answered"),
    "turns.barge_in": ("callers may interrupt", "callers may no longer interrupt"),
    "turns.smart_turn": (
        "listens whether a sentence sounds finished before it answers",
        "no longer listens whether a sentence sounds finished",
    ),
    "end": ("the call ends", "the call no longer ends"),
    "stt.speaker_labels": ("tells voices on one line apart", "no longer tells voices on one line apart"),
    "stt.language_detection": ("notes which language it heard", "no longer notes which language it heard"),
    "stt.format_turns": (
        "puts capitals and punctuation into what it heard",
        "leaves capitals and punctuation out of what it heard",
    ),
}
"""What is said when a setting is switched on, and off."""

DURATIONS: dict[str, tuple[str, str]] = {
    "stt.min_turn_silence": ("waits {} longer for the caller", "waits {} less for the caller"),
    "stt.max_turn_silence": ("waits {} longer for the caller", "waits {} less for the caller"),
    "stt.interruption_delay": ("notices {} later that the caller speaks", "notices {} sooner that the caller speaks"),
    "turns.vad.start_secs": ("a sound must last {} longer to count", "a sound must last {} less to count"),
    "turns.vad.stop_secs": ("waits {} longer for the caller", "waits {} less for the caller"),
    "turns.smart_turn_stop_secs": (
        "waits {} longer for a caller who sounds unfinished",
        "waits {} less for a caller who sounds unfinished",
    ),
    "turns.speech_timeout": ("waits {} longer for the caller", "waits {} less for the caller"),
    "daily.expires_in": ("a Daily room lasts {} longer", "a Daily room lasts {} less"),
    "daily.wait_for_caller": (
        "waits {} longer in a Daily room for somebody to come",
        "waits {} less in a Daily room for somebody to come",
    ),
    "turns.idle.after": ("speaks to a silent caller {} later", "speaks to a silent caller {} sooner"),
    "on_trouble.after": (
        "waits {} longer for the first words of an answer",
        "waits {} less for the first words of an answer",
    ),
    "tts.timeout": ("waits {} longer for the sound of a sentence", "waits {} less for the sound of a sentence"),
    "limits.max_call": ("a call may last {} longer", "a call may last {} less"),
    "limits.warn_before": (
        "warns {} sooner before a call's longest time",
        "warns {} later before a call's longest time",
    ),
    "limits.wait_for_return": (
        "waits {} longer for a browser that is gone",
        "waits {} less for a browser that is gone",
    ),
}
"""What is said when a duration grows, and when it shrinks."""

NUMBERS: dict[str, tuple[str, str]] = {
    "llm.temperature": ("words its answers more freely: temperature", "words its answers more alike: temperature"),
    "llm.max_tokens": ("may answer longer: max_tokens", "must answer shorter: max_tokens"),
    "llm.max_completion_tokens": (
        "may answer longer: max_completion_tokens",
        "must answer shorter: max_completion_tokens",
    ),
    "tts.speed": ("speaks faster: speed", "speaks slower: speed"),
    "tts.volume": ("speaks louder: volume", "speaks softer: volume"),
    "stt.vad_threshold": (
        "takes fewer sounds for speech: vad_threshold",
        "takes more sounds for speech: vad_threshold",
    ),
    "turns.vad.confidence": ("takes fewer sounds for speech: confidence", "takes more sounds for speech: confidence"),
    "turns.vad.min_volume": ("overhears softer sounds: min_volume", "notices softer sounds: min_volume"),
    "turns.barge_in_after_words": (
        "takes more words to interrupt it: after_words",
        "takes fewer words to interrupt it: after_words",
    ),
    "on_trouble.tries": (
        "bears more turns in a row that cannot be answered: tries",
        "bears fewer turns in a row that cannot be answered: tries",
    ),
    "turns.idle.tries": ("asks a silent caller more often: tries", "asks a silent caller less often: tries"),
}
"""What is said before the two numbers when one grows, and when it shrinks."""

LABELS: dict[str, str] = {
    "name": "the agent is called",
    "stt.provider": "the ear is",
    "stt.model": "listens with the model",
    "stt.turn_detection": "who decides that the caller has finished is",
    "stt.mode": "weighs speed against accuracy by",
    "stt.min_turn_silence": "waits for the caller",
    "stt.max_turn_silence": "waits for the caller at most",
    "stt.keyterms": "listens for",
    "llm.provider": "the model is by",
    "llm.model": "answers with the model",
    "turns.look_ahead": "looking ahead to the next stage is",
    "reload": "what a save does to running calls is",
    "tts.provider": "the voice is by",
    "tts.model": "speaks with the model",
    "tts.voice": "speaks with the voice",
    "tts.language": "speaks the language",
    "tts.emotion": "speaks in the mood",
    "limits.max_call": "a call may last",
    "voicemail": "to an answering machine it says",
    "limits.warning": "before a call's longest time is over it says",
    "limits.goodbye": "when a call's longest time is over it says",
    "turns.idle.after": "speaks to a silent caller after",
    "turns.idle.goodbye": "before it hangs up on a silent caller it says",
    "on_trouble.say": "when a turn cannot be answered it says",
    "on_trouble.goodbye": "before a call ends that cannot go on it says",
    "on_trouble.after": "gives an answer up whose first words do not come within",
}
"""How the sentence about a plain value begins; the value follows."""
