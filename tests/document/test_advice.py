"""Every rule of the table fires where it should and keeps quiet where it should not, and names its source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.document.lint import RULES
from runner.document.load import load
from runner.problem import Problem

LONG = "Please listen carefully because our options have changed a good deal since the last time you called us. "
VOICE = "79a125e8-cd45-4c13-8a67-188112f4dd22"
LABELLED, DETECTED = "stt: {speaker_labels: true}\n", "stt: {language_detection: true}\n"
WAY_OUT = "    next: [{otherwise: bye}]\n  bye: {say: Goodbye., end: true}\n"


def stage(settings: str) -> str:
    return f"stages:\n  one:\n{settings}{WAY_OUT}"


def ways(items: str) -> str:
    return f"stages:\n  one:\n    prompt: Help.\n    next:\n{items}  bye: {{say: Goodbye., end: true}}\n"


CASES: dict[str, tuple[str, str]] = {
    # stages
    "renamed-from-itself": (
        stage("    prompt: One.\n    renamed_from: one\n"),
        stage("    prompt: One.\n    renamed_from: two\n"),
    ),
    "renamed-but-there": (
        stage("    prompt: One.\n    renamed_from: bye\n"),
        stage("    prompt: One.\n    renamed_from: [two, three]\n"),
    ),
    "renamed-twice": (
        stage("    prompt: One.\n    renamed_from: two\n").replace("end: true", "end: true, renamed_from: two"),
        stage("    prompt: One.\n    renamed_from: two\n").replace("end: true", "end: true, renamed_from: three"),
    ),
    "no-stages": ("anywhere: [{when: x, to: y}]\n", "anywhere: []\n"),
    "no-such-stage": (ways("      - {otherwise: by}\n"), ways("      - {otherwise: bye}\n")),
    "stage-misspelled": (
        ways("      - {when: x, to: two}\n      - {otherwise: two}\n") + "  twoo: {say: x, end: true}\n",
        ways("      - {otherwise: two}\n") + "  twoo: {say: x, end: true}\n",
    ),
    "two-openings": ("greeting: Hi.\n" + stage("    say: Hi.\n"), "greeting: Hi.\n" + stage("    prompt: x\n")),
    "end-with-next": (stage("    say: Hi.\n    end: true\n"), stage("    say: Hi.\n")),
    "silent-stage": (stage("    listen_for: name\n"), stage("    say: Your name?\n    listen_for: name\n")),
    "no-way-out": ("stages: {one: {prompt: x}}\n", "stages: {one: {say: x, end: true}}\n"),
    "unreachable": (stage("    say: x\n") + "  two: {say: x, end: true}\n", stage("    say: x\n")),
    "back-from-nowhere": (
        ways("      - {when: x, to: bye}\n      - {otherwise: back}\n"),
        ways("      - {when: x, to: one}\n      - {otherwise: back}\n"),
    ),
    "waits-without-prompt": (
        "stages:\n  one:\n    say: Your name?\n    next: [{after_tries: 2, to: bye}]\n  bye: {say: Goodbye., end: true}\n",
        "stages:\n  one:\n    say: Sure?\n    next: [{when: yes, to: bye}]\n  bye: {say: Goodbye., end: true}\n",
    ),
    "dictation-unannounced": (
        stage("    prompt: Ask for the email address.\n"),
        stage("    prompt: Ask for the email address.\n    listen_for: email\n"),
    ),
    "listen-for-at-end": (
        "stages: {one: {say: Bye., end: true, listen_for: name}}\n",
        stage("    prompt: Ask who is calling.\n    listen_for: name\n"),
    ),
    # ways out
    "otherwise-twice": (
        ways("      - {otherwise: bye}\n      - {otherwise: one}\n"),
        ways("      - {otherwise: bye}\n"),
    ),
    "same-when": (
        ways("      - {when: A refund, to: bye}\n      - {when: a refund., to: one}\n"),
        ways("      - {when: A refund, to: bye}\n      - {when: A return, to: one}\n"),
    ),
    "same-example": (
        ways("      - {when: a, examples: [Yes], to: bye}\n      - {when: b, examples: [yes], to: one}\n"),
        ways("      - {when: a, examples: [Yes], to: bye}\n      - {when: b, examples: [No], to: one}\n"),
    ),
    "split-by-comma": (
        ways("      - {when: a, examples: [Yes, that is right], to: bye}\n"),
        ways("      - {when: a, examples: [yes, that is right], to: bye}\n"),
    ),
    # variables
    "unknown-variable": ("greeting: Hi {{ nobody }}\n", "greeting: Hi {{ nobody | default('you') }}\n"),
    "variable-misspelled": (
        "variables: {compny: x}\ngreeting: '{{ company }}'\n" + stage("    prompt: Sell {{ company }}.\n"),
        "variables: {compny: x}\ngreeting: '{{ company }}'\n",
    ),
    "bad-template": ("greeting: Hi {{ x }\n", "greeting: Hi {x}\n"),
    "unused-variable": ("variables: {a: b}\n", "variables: {a: b}\ngreeting: Hi {{ a }}\n"),
    "braces-not-filled": ("description: '{{ x }}'\n", "description: '{ x }'\n"),
    "braces-in-variable": (
        "variables: {a: 'x {{ b }}', b: c}\ngreeting: Hi {{ a }} {{ b }}\n",
        "variables: {a: 'x { b }', b: c}\ngreeting: Hi {{ a }} {{ b }}\n",
    ),
    "other-brackets": (
        "variables: {shop: x}\ngreeting: '{{ shop }}, {shop}'\n",
        "variables: {shop: x}\ngreeting: '{{ shop }}, {price}'\n",
    ),
    # lost text and keys
    "cut-by-hash": ("greeting: Order #5 please\n", "greeting: Order please  # five\n"),
    "space-after-colon": ("greeting: Hello\n  model:gpt\n", "greeting: Hello\n  at 10:30\n"),
    "slashes-in-text": ("greeting: Hello // the caller\n", "greeting: Hello at https://x.y/z\n"),
    "trailing-mark": ("llm: {model: gpt-4o;}\n", "greeting: Hello;\n"),
    "key-in-file": ("greeting: sk-abcdefghijklmnopqrst\n", "greeting: sk-abc\n"),
    "not-from-environment": ("greeting: Hi ${NAME}\n", "greeting: It costs $5\n"),
    # the ear
    "model-without-turn-detection": (
        "stt: {model: universal-streaming-english, turn_detection: assemblyai}\n",
        "stt: {model: u3-rt-pro, turn_detection: assemblyai}\n",
    ),
    "model-refuses": ("stt: {model: universal-streaming-english, about: Shoes}\n", "stt: {about: Shoes}\n"),
    "model-ignores": (
        "stt: {model: universal-streaming-english, voice_focus: near-field}\n",
        "stt: {voice_focus: near-field}\n",
    ),
    "confidence-ignored": (
        "stt: {end_of_turn_confidence_threshold: 0.7}\n",
        "stt: {model: universal-streaming-english, end_of_turn_confidence_threshold: 0.7}\n",
    ),
    "overwritten": (
        "stt: {model: universal-streaming-english, min_turn_silence: 300}\n",
        "stt: {min_turn_silence: 300}\n",
    ),
    "format-ignored": ("stt: {format_turns: false}\n", "stt: {format_turns: true}\n"),
    "focus-threshold-alone": (
        "stt: {voice_focus_threshold: 0.5}\n",
        "stt: {voice_focus: far-field, voice_focus_threshold: 0.5}\n",
    ),
    "context-switched-off": (
        "stt: {agent_context: Hi?, previous_context_n_turns: 0}\n",
        "stt: {agent_context: Hi?, previous_context_n_turns: 1}\n",
    ),
    "context-clipped": (f"stt: {{agent_context: {'a' * 1501}}}\n", f"stt: {{agent_context: {'a' * 1500}}}\n"),
    "about-instructs": ("stt: {about: Always transcribe digits.}\n", "stt: {about: Calls about shoes.}\n"),
    "thresholds-apart": (
        "stt: {vad_threshold: 0.2}\n",
        "stt: {vad_threshold: 0.5}\nturns: {vad: {confidence: 0.6}}\n",
    ),
    "max-silence-unused": (
        "stt: {max_turn_silence: 2s}\n",
        "stt: {turn_detection: assemblyai, max_turn_silence: 2s}\n",
    ),
    "mode-silence-unused": ("stt: {mode: max_accuracy}\n", "stt: {mode: balanced}\n"),
    "min-over-max": (
        "stt: {turn_detection: assemblyai, min_turn_silence: 2s, max_turn_silence: 1s}\n",
        "stt: {turn_detection: assemblyai, min_turn_silence: 1s, max_turn_silence: 1s}\n",
    ),
    "dictation-cut": (
        stage("    prompt: x\n    listen_for: email\n    stt: {min_turn_silence: 100}\n"),
        stage("    prompt: x\n    listen_for: email\n    stt: {min_turn_silence: 900}\n"),
    ),
    "dictation-forced-end": (
        "stt: {turn_detection: assemblyai}\n"
        + stage("    prompt: x\n    listen_for: phone\n    stt: {max_turn_silence: 1s}\n"),
        "stt: {turn_detection: assemblyai}\n"
        + stage("    prompt: x\n    listen_for: phone\n    stt: {max_turn_silence: 3s}\n"),
    ),
    "slow-end": (
        "stt: {turn_detection: assemblyai, max_turn_silence: 6s}\n",
        "stt: {turn_detection: assemblyai, max_turn_silence: 3s}\n",
    ),
    "early-check": (
        "stt: {turn_detection: assemblyai, min_turn_silence: 50}\n",
        "stt: {turn_detection: assemblyai, min_turn_silence: 100}\n",
    ),
    "seconds-meant": ("stt: {interruption_delay: 3}\n", "stt: {interruption_delay: 300}\n"),
    # keyterms and languages
    "too-many-keyterms": (
        f"stt: {{keyterms: [{', '.join(f'a{n}' for n in range(99))}]}}\n"
        + stage("    prompt: x\n    stt: {keyterms: [b1, b2]}\n"),
        f"stt: {{keyterms: [{', '.join(f'a{n}' for n in range(99))}]}}\n"
        + stage("    prompt: x\n    stt: {keyterms: [b1]}\n"),
    ),
    "keyterm-twice": ("stt: {keyterms: [RMA, rma]}\n", "stt: {keyterms: [RMA, RMB]}\n"),
    "keyterm-repeated": (
        "stt: {keyterms: [RMA]}\n" + stage("    prompt: x\n    stt: {keyterms: [RMA]}\n"),
        "stt: {keyterms: [RMA]}\n" + stage("    prompt: x\n    stt: {keyterms: {only: [RMA]}}\n"),
    ),
    "keyterm-is-a-sentence": (
        "stt: {keyterms: [I want to have my money back]}\n",
        "stt: {keyterms: [money back]}\n",
    ),
    "keyterms-in-one": ('stt: {keyterms: ["Northwind, RMA"]}\n', "stt: {keyterms: [Northwind, RMA]}\n"),
    "multi-not-alone": ("stt: {language_codes: [en, multi]}\n", "stt: {language_codes: [multi]}\n"),
    "language-not-of-model": (
        "stt: {language_codes: [en, ko]}\n",
        "stt: {model: universal-3-6-pro, language_codes: [en, ko]}\n",
    ),
    "declared-and-detected": (
        "stt: {language_codes: [en], language_detection: true}\n",
        "stt: {language_detection: true}\n",
    ),
    "english-only": (
        "stt: {model: universal-streaming-english, language_detection: true}\n",
        "stt: {model: universal-streaming-multilingual, language_detection: true}\n",
    ),
    "voice-speaks-another": (
        "stt: {language_codes: [es]}\n",
        "stt: {language_codes: [es]}\ntts: {language: es-MX}\n",
    ),
    # other providers
    "not-in-a-stage": (
        "stt: {provider: gladia}\nstages: {a: {prompt: Ask., stt: {language: de}, next: [{otherwise: b}]}, b: {end: true}}\n",
        "stt: {provider: groq}\nstages: {a: {prompt: Ask., stt: {language: de}, next: [{otherwise: b}]}, b: {end: true}}\n",
    ),
    "same-again": (
        "llm: {model: gpt-4o, fallback: [{model: gpt-4o}]}\n",
        "llm: {model: gpt-4o, fallback: [{model: gpt-4o-mini}, {provider: anthropic, model: claude-haiku-4-5}]}\n",
    ),
    # turns and limits
    "smart-turn-unused": (
        "stt: {turn_detection: assemblyai}\nturns: {smart_turn: true}\n",
        "stt: {turn_detection: assemblyai}\nturns: {smart_turn: true}\n"
        + stage("    prompt: One.\n    stt: {turn_detection: pipecat}\n"),
    ),
    "smart-turn-slowed": (
        "turns: {vad: {stop_secs: 1}}\n",
        "turns: {vad: {stop_secs: 1}, smart_turn: false}\n",
    ),
    "idle-too-soon": (
        "turns: {idle: {after: 2s, say: Hm?}}\n",
        "turns: {idle: {after: 8s, say: Hm?}}\n",
    ),
    "idle-after-the-end": (
        "turns: {idle: {after: 5m, say: Hm?}}\nlimits: {max_call: 2m}\n",
        "turns: {idle: {after: 10s, say: Hm?}}\nlimits: {max_call: 2m}\n",
    ),
    "hard-of-hearing": ("turns: {vad: {min_volume: 0.95}}\n", "turns: {vad: {min_volume: 0.7}}\n"),
    "jumpy": ("turns: {vad: {start_secs: 0.01}}\n", "turns: {vad: {start_secs: 0.01}, barge_in: false}\n"),
    "limit-without-end": (
        "limits: {warning: One minute left.}\n",
        "limits: {max_call: 15m, warning: One minute left.}\n",
    ),
    "warning-at-once": (
        "limits: {max_call: 1m, warning: One minute left.}\n",
        "limits: {max_call: 1m, warn_before: 30s, warning: Half a minute left.}\n",
    ),
    # the model, the voice, addresses
    "either-or": (
        "llm: {max_tokens: 100, max_completion_tokens: 100}\n",
        "llm: {max_completion_tokens: 100}\n",
    ),
    "answer-cut": ("llm: {max_tokens: 10}\n", "llm: {max_tokens: 150}\n"),
    "old-limit": ("llm: {model: gpt-5-mini, max_tokens: 150}\n", "llm: {model: gpt-4o-mini, max_tokens: 150}\n"),
    "fixed-by-model": (
        "llm: {model: gpt-5, temperature: 0.4}\n",
        "llm: {model: gpt-5-chat-latest, temperature: 0.4}\n",
    ),
    "slow-model": ("llm: {model: o3}\n", "llm: {model: o3, endpoint: 'http://127.0.0.1:1/v1'}\n"),
    "no-chat-model": ("llm: {model: gpt-4o-realtime-preview}\n", "llm: {model: gpt-4o}\n"),
    "two-dials": ("llm: {temperature: 0.4, top_p: 0.5}\n", "llm: {top_p: 0.5}\n"),
    "wild-temperature": ("llm: {temperature: 1.8}\n", "llm: {temperature: 0.8}\n"),
    "no-voice-id": ("tts: {voice: Maya}\n", f"tts: {{voice: {VOICE}}}\n"),
    "unknown-emotion": ("tts: {emotion: hapy}\n", "tts: {emotion: happy}\n"),
    "open-line": ("llm: {endpoint: 'http://llm.example.com/v1'}\n", "llm: {endpoint: 'http://192.168.1.7/v1'}\n"),
    "endpoint-path": (
        "llm: {endpoint: 'https://llm.example.com/v1/chat/completions'}\n",
        "llm: {endpoint: 'https://llm.example.com/v1'}\n",
    ),
    # sound, rooms, companions
    "rate-too-high": ("stt: {sample_rate: 48000}\n", "stt: {sample_rate: 16000}\n"),
    "rate-added": (
        "audio: {in_sample_rate: 8000, out_sample_rate: 8000}\nstt: {sample_rate: 16000}\n",
        "audio: {in_sample_rate: 8000, out_sample_rate: 8000}\nstt: {sample_rate: 8000}\n",
    ),
    "rate-fixed": (
        "stt: {sample_rate: 16000}\n",
        "audio: {in_sample_rate: 8000, out_sample_rate: 8000}\nstt: {sample_rate: 8000}\n",
    ),
    "telephone-out": (
        "audio: {in_sample_rate: 8000}\n",
        "audio: {in_sample_rate: 8000, out_sample_rate: 8000}\n",
    ),
    "without-companion": ("stt: {max_speakers: 2}\n", "stt: {max_speakers: 2, speaker_labels: true}\n"),
    "waits-turned-round": (
        "stt: {reconnect_backoff_min_wait: 20s}\n",
        "stt: {reconnect_backoff_min_wait: 20s, reconnect_backoff_max_wait: 30s}\n",
    ),
    "public-room": ("daily: {privacy: public}\n", "daily: {privacy: private}\n"),
    "room-shorter-than-wait": (
        "daily: {expires_in: 10m, wait_for_caller: 15m}\n",
        "daily: {expires_in: 1h, wait_for_caller: 15m}\n",
    ),
    "room-shorter-than-call": (
        "daily: {expires_in: 10m}\nlimits: {max_call: 15m}\n",
        "daily: {expires_in: 1h}\nlimits: {max_call: 15m}\n",
    ),
    "only-for-thinkers": (
        "llm: {model: gpt-4o, reasoning_effort: low}\n",
        "llm: {model: gpt-5-mini, reasoning_effort: low}\n",
    ),
    "muted-anyway": ("turns: {barge_in: false, mute: [always]}\n", "turns: {barge_in: false}\n"),
    "mute-without-greeting": ("turns: {mute: [greeting]}\n", "greeting: Hi.\nturns: {mute: [greeting]}\n"),
    "other-stop": ("turns: {speech_timeout: 1s}\n", "turns: {stop: speech_timeout, speech_timeout: 1s}\n"),
    "half-an-idle": (
        stage("    prompt: One.\n    turns: {idle: {after: 30s}}\n"),
        "turns: {idle: {after: 8s, say: Hello?}}\n" + stage("    prompt: One.\n    turns: {idle: {after: 30s}}\n"),
    ),
    "stop-against-smart-turn": (
        "turns: {stop: smart_turn, smart_turn: false}\n",
        "turns: {stop: smart_turn}\n",
    ),
    # settings that belong together
    "unknown-voice": (
        f"voices: {{maya: {VOICE}}}\ntts: {{voice: mayo}}\n",
        f"voices: {{maya: {VOICE}}}\ntts: {{voice: maya}}\n" + stage("    say: x\n    tts: {voice: " + VOICE + "}\n"),
    ),
    "own-turns": (
        "stt: {turn_detection: assemblyai}\nturns: {start: [vad]}\n",
        "stt: {turn_detection: assemblyai}\nturns: {mute: [tools]}\n",
    ),
    # several callers, several languages
    "not-told-by-ear": (
        "stt: {provider: deepgram}\nspeakers: {mode: separate}\n",
        LABELLED + "speakers: {mode: separate}\n",
    ),
    "speakers-unlabelled": ("speakers: {mode: separate}\n", LABELLED + "speakers: {mode: separate}\n"),
    "speakers-nameless": (
        LABELLED + "speakers: {people: {A: {name: Anna}}}\n",
        "stt:\n  speaker_labels: true\n  speaker_format: '{speaker}: {text}'\nspeakers: {people: {A: {name: Anna}}}\n",
    ),
    "speaker-never-there": (
        "stt: {speaker_labels: true, max_speakers: 2}\nspeakers: {mode: separate, people: {C: {name: Cy}}}\n",
        "stt: {speaker_labels: true, max_speakers: 3}\nspeakers: {mode: separate, people: {C: {name: Cy}}}\n",
    ),
    "speakers-same-name": (
        LABELLED + "speakers: {mode: separate, people: {A: {name: Jo}, B: {name: jo}}}\n",
        LABELLED + "speakers: {mode: separate, people: {A: {name: Jo}, B: {name: Joe}}}\n",
    ),
    "speakers-named-anew": (
        LABELLED + stage("    prompt: One.\n    stt: {domain: medical-v1}\n"),
        LABELLED + stage("    prompt: One.\n    stt: {interruption_delay: 100ms}\n"),
    ),
    "languages-undetected": ("languages: {es: {prompt: Use usted.}}\n", DETECTED + "languages: {es: {prompt: x}}\n"),
    "language-not-heard": (DETECTED + "languages: {ru: {prompt: x}}\n", DETECTED + "languages: {hi: {prompt: x}}\n"),
    "language-not-declared": (
        "stt: {language_detection: true, language_codes: [en, es]}\nlanguages: {de: {prompt: x}}\n",
        "stt: {language_detection: true, language_codes: [en, es]}\nlanguages: {es: {prompt: x}}\n",
    ),
    "language-say-without-stage": (
        DETECTED + stage("    prompt: One.\n") + "languages: {es: {prompt: x, say: {bie: Adiós., bye: Adiós.}}}\n",
        DETECTED + stage("    prompt: One.\n") + "languages: {es: {prompt: x, say: {bye: Adiós.}}}\n",
    ),
    "language-untranslated": (
        DETECTED + stage("    prompt: One.\n") + "languages: {es: {prompt: x}}\n",
        DETECTED + stage("    prompt: One.\n") + "languages: {es: {prompt: x, say: {bye: Adiós.}}, en: {prompt: x}}\n",
    ),
    "language-lines-untranslated": (
        DETECTED + "limits: {goodbye: Bye.}\nlanguages: {es: {prompt: x, on_trouble: Perdón. Otra vez.}}\n",
        DETECTED + "on_trouble: Sorry.\nlanguages: {es: {prompt: x, on_trouble: {say: Perdón., goodbye: Adiós.}}}\n",
    ),
    "language-line-of-nothing": (
        DETECTED + "languages: {es: {prompt: x, turns: {idle: {say: ¿Sigue ahí?}}}}\n",
        DETECTED
        + "turns: {idle: {after: 8s, say: Still there?}}\nlanguages: {es: {prompt: x, turns: {idle: {say: ¿Sigue ahí?}}}}\n",
    ),
    "lines-in-english": (
        "tts: {language: es-MX}\n",
        "tts: {language: es}\non_trouble: {say: Perdón., goodbye: Adiós.}\n",
    ),
    "language-without-prompt": (
        DETECTED + "languages: {es: {confidence: 0.9}}\n",
        DETECTED + "languages: {es: {confidence: 0.9}}\nstages:\n  one:\n    prompt: Speak {{ language }}.\n" + WAY_OUT,
    ),
    # what is heard
    "written-style": (
        stage("    prompt: Answer with bullet points.\n"),
        stage("    prompt: Answer without bullet points and emojis.\n"),
    ),
    "pasted-twice": (
        stage(f"    prompt: |\n      {LONG}\n      {LONG}\n"),
        stage(f"    prompt: |\n      {LONG}\n      Be quick.\n"),
    ),
    "long-prompt": (stage(f"    prompt: {'x' * 20_001}\n"), stage(f"    prompt: {'x' * 20_000}\n")),
    "long-speech": (f"greeting: {LONG * 3}\n", f"greeting: {LONG}\n"),
    "marks-in-speech": ("greeting: Hello **dear** caller 😀\n", "greeting: Hello dear caller - good day\n"),
    "address-in-speech": ("greeting: See https://example.com\n", "greeting: See example dot com\n"),
    "stage-direction": ("greeting: Hello (smiling) dear caller\n", "greeting: Hello (or good day)\n"),
}


def problems(text: str, **more: object) -> list[Problem]:
    return list(load(Path("/nowhere/agent.yaml"), text="prompt: Be kind.\n" + text, **{"env": {}, **more}).problems)


@pytest.mark.parametrize("code", CASES)
def test_rule_fires_once_at_a_line_of_its_own(code: str) -> None:
    found = [p for p in problems(CASES[code][0]) if p.code == code]
    assert len(found) == 1
    assert found[0].line > 1
    assert found[0].snippet


@pytest.mark.parametrize("code", CASES)
def test_rule_keeps_quiet_where_all_is_well(code: str) -> None:
    assert code not in [p.code for p in problems(CASES[code][1])]


def test_every_rule_is_tested_and_every_test_is_of_a_rule() -> None:
    assert {rule.code for rule in RULES} == {*CASES, "no-such-variable"}
    assert len(RULES) == len({rule.code for rule in RULES}) >= 45


def test_variable_of_the_command_line_that_nothing_uses_is_told() -> None:
    assert [p.code for p in problems("", variables={"x": "y"})] == ["no-such-variable"]
    assert problems("greeting: Hi {{ x }}\n", variables={"x": "y"}) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rule_names_what_it_looks_at_and_its_source(rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.code)
    assert rule.severity in ("error", "warning")
    assert len(rule.looks_at) > 1
    assert len(rule.source) > 15
    assert rule.sentence.endswith((".", '"', "}", "?"))


def test_advice_about_a_prompt_file_is_given_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text(f"Be kind.\nUse markdown.\n{LONG}\n{LONG}\nsk-abcdefghijklmnopqrst\n")
    (tmp_path / "a.yaml").write_text("prompt:\n  file: long.md\n")
    found = load(tmp_path / "a.yaml", env={}).problems
    assert [(p.file.name, p.line, p.code) for p in found] == [
        ("long.md", 2, "written-style"),
        ("long.md", 4, "pasted-twice"),
        ("long.md", 5, "key-in-file"),
    ]
    assert "abcdefghij" not in "".join(p.snippet for p in found)
