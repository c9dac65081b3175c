"""For those who come from another ear: what each of their settings is called here.

Sources: the settings classes and constructors of Pipecat 1.14 for these providers, and AssemblyAI's guide to Pipecat
("Migrating from another STT provider").
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of theirs. here: the key of the agent file. says: what to know."""

    theirs: str
    here: str
    says: str


@dataclass(frozen=True, slots=True)
class Provider:
    """title: its name. rows: what has a key here. nothing: what has none, and why, by their names."""

    title: str
    rows: tuple[Row, ...]
    nothing: dict[str, str]


_MODEL = Row("model", "stt.model", "universal-3-5-pro is where to begin; stt.mode then weighs speed against accuracy")
_LANGUAGE = Row("language", "stt.language_codes", "a list, the likeliest first; without it the model decides")
_PROMPT = Row("prompt", "stt.about", "what the calls are about, not an instruction")
_KEYTERMS = "words that must be heard right, at most 100; a stage can add its own"
_ALWAYS = "always there"
_EXTRA = "every setting has a name of its own here"

COMING_FROM: dict[str, Provider] = {
    "deepgram": Provider(
        "Deepgram",
        (
            _MODEL,
            _LANGUAGE,
            Row("keyterm", "stt.keyterms", _KEYTERMS),
            Row("keywords", "stt.keyterms", "the words without their weights"),
            Row(
                "endpointing", "stt.min_turn_silence", "milliseconds too; in a stage where callers dictate: listen_for"
            ),
            Row("utterance_end_ms", "stt.max_turn_silence", "with turn_detection assemblyai; milliseconds too"),
            Row("vad_events", "turns.vad", "voice activity is heard on this machine"),
            Row("smart_format", "stt.format_turns", "the U3 family always formats; nothing to set"),
            Row("punctuate", "stt.format_turns", "the U3 family always punctuates; nothing to set"),
            Row("numerals", "stt.format_turns", "the U3 family writes numbers as digits by itself"),
            Row("dictation", "listen_for", "in a stage: email, phone, number, name, address or date"),
            Row("diarize", "stt.speaker_labels", "tells several voices on one line apart"),
            Row("profanity_filter", "stt.filter_profanity", "the same"),
            Row("redact", "stt.redact_pii", "personal data; which kinds: redact_pii_policies"),
            Row("interim_results", "stt.continuous_partials", "words always arrive while the caller speaks"),
            Row("url", "stt.endpoint", "a regional or your own server"),
            Row("sample_rate", "audio.in_sample_rate", "of the whole call; 16000 unless set, 8000 for telephones"),
            # Flux, Deepgram's model with its own turn detection
            Row("eot_threshold", "stt.turn_detection", "assemblyai: its own model decides; then min_turn_silence"),
            Row("eot_timeout_ms", "stt.max_turn_silence", "with turn_detection assemblyai; milliseconds too"),
            Row("eager_eot_threshold", "stt.min_turn_silence", "with turn_detection assemblyai: when it first checks"),
            Row("language_hints", "stt.language_codes", "a list, the likeliest first"),
            Row("should_interrupt", "turns.barge_in", "whether callers may interrupt"),
            Row("api_key", "stt.provider", "never in the file: ASSEMBLYAI_API_KEY in the environment or in .env"),
        ),
        {
            "search": "words are not marked",
            "replace": "words are not replaced; keyterms and about make them be heard right",
            "detect_entities": "the model reads them out of the text",
            "version": "part of the model's name",
            "min_confidence": "every finished turn is used",
            "extra": _EXTRA,
        },
    ),
    "elevenlabs": Provider(
        "ElevenLabs (Scribe)",
        (
            _MODEL,
            _LANGUAGE,
            Row("keyterms", "stt.keyterms", _KEYTERMS),
            Row("commit_strategy", "stt.turn_detection", "manual is pipecat, vad is assemblyai"),
            Row("vad_silence_threshold_secs", "stt.max_turn_silence", "milliseconds here; 1.5s works too"),
            Row("vad_threshold", "stt.vad_threshold", "0 to 1 here; lower hears softer speech, as there"),
            Row("min_speech_duration_ms", "turns.vad.start_secs", "seconds here; 100ms works too"),
            Row("min_silence_duration_ms", "stt.min_turn_silence", "milliseconds too"),
            Row(
                "filter_background_audio",
                "stt.voice_focus",
                "near-field for headsets and telephones, far-field for rooms",
            ),
            Row("include_language_detection", "stt.language_detection", "says which language was heard"),
            Row("base_url", "stt.endpoint", "a regional or your own server"),
            Row("sample_rate", "audio.in_sample_rate", "of the whole call; 16000 unless set, 8000 for telephones"),
            Row("api_key", "stt.provider", "never in the file: ASSEMBLYAI_API_KEY in the environment or in .env"),
        ),
        {
            "no_verbatim": "filler words: the U3 family leaves most of them out by itself",
            "tag_audio_events": "laughter and the like are not marked",
            "include_timestamps": _ALWAYS,
            "enable_logging": "see your account at AssemblyAI",
            "extra": _EXTRA,
        },
    ),
    "openai": Provider(
        "OpenAI (speech to text)",
        (
            _MODEL,
            _LANGUAGE,
            _PROMPT,
            Row("keywords", "stt.keyterms", _KEYTERMS),
            Row("noise_reduction", "stt.voice_focus", "near_field is near-field, far_field is far-field"),
            Row("turn_detection", "stt.turn_detection", "off is pipecat, server_vad and semantic_vad are assemblyai"),
            Row("silence_duration_ms", "stt.max_turn_silence", "with turn_detection assemblyai; milliseconds too"),
            Row("threshold", "stt.vad_threshold", "0 to 1 too; higher takes fewer sounds for speech"),
            Row("eagerness", "stt.mode", "low is max_accuracy, high is min_latency"),
            Row("delay", "stt.mode", "minimal and low are min_latency, high and xhigh are max_accuracy"),
            Row("should_interrupt", "turns.barge_in", "whether callers may interrupt"),
            Row("base_url", "stt.endpoint", "a regional or your own server"),
            Row("api_key", "stt.provider", "never in the file: ASSEMBLYAI_API_KEY in the environment or in .env"),
        ),
        {
            "temperature": "the recogniser has none",
            "prefix_padding_ms": "sound before the first word is always kept",
            "extra": _EXTRA,
        },
    ),
}
"""By the name that `provider:` and `--from` take."""


def table_text(provider: Provider) -> str:
    """The table for those who come from another ear."""
    rows = [(row.theirs, row.here, row.says) for row in provider.rows]
    widths = [max(len(row[number]) for row in rows) for number in (0, 1)]
    lines = [f"{provider.title} -> here", ""]
    lines += [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    lines += ["", "Nothing like it here:"]
    lines += [f"  {name:<{widths[0]}}  {why}" for name, why in provider.nothing.items()]
    return "\n".join(lines)
