"""Every setting of the three vendors: accepted with a value in its range, at the vendor's wire in the right form, and its wrong
value refused at its line. The tables below are compared with the catalog, so that none can be forgotten.

The services are those of a call, connected to the emulators without a pipeline around them: one connection for many settings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import ErrorFrame, InputAudioRawFrame, UserSpeakingFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import TextAggregationMode

from runner.catalog import PROVIDERS
from runner.compiler import services
from runner.compiler.services import Here
from runner.compiler.turns.taking import TurnTaking
from runner.definition import AgentDefinition
from runner.document.load import load
from runner.effective import Effective, change, effective
from runner.live.carriers.daily.rest import DailyRest
from runner.problem import Problem
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Vendors
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, DailyEmulator, OpenAIEmulator, until

VOICE = "5345cf08-6f37-424d-a5d9-8ae1101b9377"

U3: dict[str, tuple[str, str, object]] = {
    "model": ("universal-3-6-pro", "speech_model", "universal-3-6-pro"),
    "mode": ("max_accuracy", "mode", "max_accuracy"),
    "keyterms": ("[Northwind, 'é\"x', 010]", "keyterms_prompt", ["Northwind", 'é"x', "010"]),
    "about": ("Refund calls & more.", "prompt", "Refund calls & more."),
    "min_turn_silence": ("0.4s", "min_turn_silence", 400),
    "max_turn_silence": ("1.5s", "max_turn_silence", 1500),
    "vad_threshold": ("0.5", "vad_threshold", 0.5),
    "interruption_delay": ("0", "interruption_delay", 0),
    "continuous_partials": ("false", "continuous_partials", False),
    "language_codes": ("[es, en]", "language_codes", ["es", "en"]),
    "language_detection": ("true", "language_detection", True),
    "speaker_labels": ("true", "speaker_labels", True),
    "max_speakers": ("2", "max_speakers", 2),
    "domain": ("medical-v1", "domain", "medical-v1"),
    "voice_focus": ("far-field", "voice_focus", "far-field"),
    "voice_focus_threshold": ("0.6", "voice_focus_threshold", 0.6),
    "agent_context": ("What is your order number?", "agent_context", "What is your order number?"),
    "previous_context_n_turns": ("7", "previous_context_n_turns", 7),
    "filter_profanity": ("true", "filter_profanity", True),
    "redact_pii": ("true", "redact_pii", True),
    "redact_pii_policies": ("[person_name, phone_number]", "redact_pii_policies", ["person_name", "phone_number"]),
    "redact_pii_sub": ("entity_name", "redact_pii_sub", "entity_name"),
    "inactivity_timeout": ("5m", "inactivity_timeout", 300),
    "sample_rate": ("8000", "sample_rate", 8000),
}
"""Settings of the U3 family with AssemblyAI's own turn detection: as written, the vendor's name, what the vendor reads."""

US: dict[str, tuple[str, str, object]] = {
    "end_of_turn_confidence_threshold": ("0.7", "end_of_turn_confidence_threshold", 0.7),
    "format_turns": ("false", "format_turns", False),
}
"""Settings that only the universal-streaming family heeds."""

OF_THE_EAR: dict[str, tuple[str, str, object]] = {
    "turn_detection": ("assemblyai", "_vad_force_turn_endpoint", False),
    "speaker_format": ("'{speaker}: {text}'", "_settings.speaker_format", "{speaker}: {text}"),
    "ttfs_p99_latency": ("600ms", "_ttfs_p99_latency", 0.6),
    "keepalive_timeout": ("30s", "_keepalive_timeout", 30),
    "keepalive_interval": ("2s", "_keepalive_interval", 2),
    "reconnect_on_error": ("false", "_reconnect_on_error", False),
    "reconnect_backoff_min_wait": ("0.5", "_reconnect_backoff_min_wait", 0.5),
    "reconnect_backoff_max_wait": ("1", "_reconnect_backoff_max_wait", 1),
    "ws_close_timeout": ("1s", "_ws_close_timeout", 1),
    "ws_send_timeout": ("3s", "_ws_send_timeout", 3),
    "keep_sound": ("10s", "_keep_sound", 10),
}
"""Settings that the vendor never sees: where Pipecat keeps them."""

OF_THE_REQUEST: dict[str, tuple[str, object]] = {
    "model": ("gpt-4o-mini", "gpt-4o-mini"),
    "temperature": ("0.3", 0.3),
    "max_completion_tokens": ("300", 300),
    "top_p": ("0.9", 0.9),
    "frequency_penalty": ("-0.5", -0.5),
    "presence_penalty": ("0.5", 0.5),
    "seed": ("7", 7),
    "service_tier": ("flex", "flex"),
    "prompt_cache_key": ("support", "support"),
}
OF_A_THINKER: dict[str, tuple[str, object]] = {
    "model": ("gpt-5-mini", "gpt-5-mini"),
    "reasoning_effort": ("minimal", "minimal"),
    "verbosity": ("low", "low"),
}
"""What only models take that think before they answer."""

OF_THE_VOICE: dict[str, tuple[str, object]] = {
    "model": ("sonic-3", "sonic-3"),
    "voice": (VOICE, {"mode": "id", "id": VOICE}),
    "language": ("de", "de"),
    "speed": ("1.1", 1.1),
    "volume": ("1.2", 1.2),
    "emotion": ("content", "content"),
    "pronunciation_dict_id": ("pdict_abc123", "pdict_abc123"),
    "max_buffer_delay_ms": ("0.2s", 200),
}

WRONG: dict[str, dict[str, tuple[str, ...]]] = {
    "stt": {
        "model": ("universal-4", "[u3-rt-pro]"),
        "turn_detection": ("vad", "true"),
        "mode": ("fast", "1"),
        "keyterms": (f"[{'x' * 51}]", f"[{', '.join(f't{n}' for n in range(101))}]", "Northwind"),
        "about": ("x" * 1751, "[x]", "''"),
        "min_turn_silence": ("49", "11s", "soon", "1.5 weeks"),
        "max_turn_silence": ("10001", "-1"),
        "vad_threshold": ("1.1", "-0.1", "high", "50%"),
        "interruption_delay": ("1001", "-1", "2s"),
        "continuous_partials": ("yes", "1"),
        "language_codes": ("[klingon]", "[en, multi]", "[en, en]", "en"),
        "language_detection": ("on",),
        "format_turns": ("no",),
        "speaker_labels": ("two",),
        "max_speakers": ("0", "11", "1.5", "two"),
        "speaker_format": ("'{voice}: {text}'", "'{speaker}'", "'{text'", "''"),
        "domain": ("legal",),
        "voice_focus": ("middle", "true"),
        "voice_focus_threshold": ("1.01", "-1"),
        "agent_context": ("x" * 1751,),
        "previous_context_n_turns": ("101", "-1", "2.5"),
        "end_of_turn_confidence_threshold": ("2", "-0.5"),
        "filter_profanity": ("maybe",),
        "redact_pii": ("names",),
        "redact_pii_policies": ("[Person Name]", "[]", "person_name"),
        "redact_pii_sub": ("stars",),
        "inactivity_timeout": ("4", "2h", "never"),
        "sample_rate": ("7999", "96001", "16k"),
        "encoding": ("pcm_mulaw", "pcm_s16le"),
        "ttfs_p99_latency": ("11", "-1"),
        "keepalive_timeout": ("0", "11m"),
        "keepalive_interval": ("0", "often"),
        "reconnect_on_error": ("always",),
        "reconnect_backoff_min_wait": ("-1", "soon"),
        "reconnect_backoff_max_wait": ("61", "long"),
        "ws_close_timeout": ("0", "2m"),
        "ws_send_timeout": ("0", "61"),
        "keep_sound": ("-1", "61s", "long"),
    },
    "llm": {
        "model": ("''", "[gpt-4o]"),
        "temperature": ("2.1", "-1", "warm", "0,4"),
        "max_tokens": ("0", "1.5", "many"),
        "max_completion_tokens": ("0", "-1"),
        "top_p": ("1.1", "-0.1"),
        "frequency_penalty": ("2.1", "-2.1"),
        "presence_penalty": ("3", "-3"),
        "seed": ("1.5", "x"),
        "reasoning_effort": ("deep",),
        "verbosity": ("short",),
        "service_tier": ("gold",),
        "prompt_cache_key": ("x" * 65, "''"),
        "timeout": ("0", "601", "soon"),
        "max_retries": ("11", "-1"),
        "organization": ("''", "[x]"),
        "project": ("''",),
    },
    "tts": {
        "model": ("''",),
        "voice": ("''", "[x]"),
        "language": ("English", "e"),
        "speed": ("9", "0.5", "fast"),
        "volume": ("0.4", "2.1"),
        "emotion": ("''",),
        "pronunciation_dict_id": ("''",),
        "text_aggregation_mode": ("word",),
        "timeout": ("61", "0.01"),
        "max_buffer_delay_ms": ("6s", "-1"),
        "encoding": ("pcm_mulaw",),
        "container": ("wav",),
        "sample_rate": ("44100",),
    },
}


def read(text: str) -> tuple[AgentDefinition | None, tuple[Problem, ...]]:
    loaded = load(Path("/nowhere/agent.yaml"), text=f"prompt: Be kind.\n{text}", env={})
    return loaded.definition, loaded.problems


def agent(text: str) -> AgentDefinition:
    """The definition; advice is another test's concern."""
    made, problems = read(text)
    assert made, problems
    return made


def part(name: str, settings: Mapping[str, tuple[Any, ...]], **more: str) -> str:
    lines = {**{setting: value[0] for setting, value in settings.items()}, **more}
    return f"{name}:\n" + "".join(f"  {setting}: {value}\n" for setting, value in lines.items())


def at(made: AgentDefinition, name: str, address: str) -> Effective:
    """What a call is set to, with one service at another address."""
    service = replace(getattr(made, name), endpoint=address)
    return effective(replace(made, **{name: service}), None)


@pytest.mark.parametrize(
    ("part", "provider", "tables"),
    [
        ("stt", "assemblyai", (U3, US, OF_THE_EAR)),
        (
            "llm",
            "openai",
            (OF_THE_REQUEST, OF_A_THINKER, {"max_tokens", "timeout", "max_retries", "organization", "project"}),
        ),
        ("tts", "cartesia", (OF_THE_VOICE, {"text_aggregation_mode", "timeout"})),
    ],
)
def test_no_setting_is_forgotten_here(part: str, provider: str, tables: tuple[Any, ...]) -> None:
    settings = set(PROVIDERS[part, provider].fields)
    assert {name for table in tables for name in table} == settings
    refused = {"encoding", "container", "sample_rate"} - settings
    assert set(WRONG[part]) - refused == settings


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [(part, name, value) for part, table in WRONG.items() for name, values in table.items() for value in values],
)
def test_wrong_value_is_refused_at_its_line(part: str, name: str, value: str) -> None:
    model = "gpt-5-mini" if name in OF_A_THINKER and name != "model" else ""
    line = f"model: {model}" if model else "# the wrong one"
    made, problems = read(f"{part}:\n  {line}\n  {name}: {value}\n")
    assert made is None
    assert len(problems) == 1
    assert problems[0].is_error
    assert problems[0].line == 4
    assert problems[0].path.startswith(f"{part}.{name}")
    assert (
        name in problems[0].message or value.strip("'[]").partition(",")[0] in problems[0].message or "multi" in value
    )


# AssemblyAI


@asynccontextmanager
async def ear(made: AgentDefinition, emulator: AssemblyAIEmulator, rate: int = 16000) -> AsyncGenerator[Any]:
    """The ear of a call, connected; `rate` is that of the caller's sound."""
    service: Any = services.build_stt(at(made, "stt", emulator.url), KEYS, Here())
    service.assume_rate(rate)
    errors: list[str] = []

    async def push_error_frame(frame: ErrorFrame, **_: Any) -> None:
        errors.append(frame.error)

    service.push_error_frame, service.errors = push_error_frame, errors
    service._sessions.start()
    await until(lambda: service._sessions.current)
    try:
        yield service
    finally:
        service._sessions.stop()


async def test_every_setting_of_the_u3_family_is_read_by_assemblyai() -> None:
    made = agent(part("stt", U3, turn_detection="assemblyai"))
    async with AssemblyAIEmulator() as emulator, ear(made, emulator):
        session = emulator.session
        assert {name: session.configuration.values.get(name) for _, name, _ in U3.values()} == {
            name: value for _, name, value in U3.values()
        }
        assert session.configuration.ignored.keys() == {"formatted_finals", "format_turns"}, "Pipecat's own"
        assert session.query["encoding"] == "pcm_s16le"
        assert session.query["continuous_partials"] == "false"
        assert session.query["keyterms_prompt"] == '["Northwind", "\\u00e9\\"x", "010"]'


async def test_every_setting_of_the_older_family_is_read_by_assemblyai() -> None:
    model = {"model": "universal-streaming-multilingual", "keyterms": "[Northwind]", "speaker_labels": "true"}
    made, warnings = read(part("stt", US, **model, max_speakers="3"))
    assert made
    assert [problem.path for problem in warnings] == ["stt.end_of_turn_confidence_threshold"]
    async with AssemblyAIEmulator() as emulator, ear(made, emulator) as service:
        values = emulator.session.configuration.values
        assert values["format_turns"] is False
        assert values["max_speakers"] == 3
        # In pipecat turn detection Pipecat 1.14 opens these models' sessions with 1.0, whatever was asked for.
        assert values["end_of_turn_confidence_threshold"] == 1.0
        now = effective(made, None)
        frame = services.update_stt(change(None, now), now, Here())
        assert frame
        service._settings.end_of_turn_confidence_threshold = None
        await service._update_settings(frame.delta)
        await until(lambda: values["end_of_turn_confidence_threshold"] == 0.7)


async def test_settings_that_stay_on_this_side_reach_pipecats_service() -> None:
    made = agent(part("stt", OF_THE_EAR, speaker_labels="true"))
    async with AssemblyAIEmulator() as emulator, ear(made, emulator) as service:
        for setting, (_, attribute, value) in OF_THE_EAR.items():
            assert attrgetter(attribute)(service) == value, setting


@pytest.mark.parametrize(("wanted", "comes"), [(8000, 16000), (48000, 16000), (16000, 8000)])
async def test_sound_is_really_sent_at_the_rate_of_the_file(wanted: int, comes: int) -> None:
    made, _ = read(f"stt: {{sample_rate: {wanted}}}\naudio: {{in_sample_rate: {comes}}}\n")
    assert made
    async with AssemblyAIEmulator() as emulator, ear(made, emulator, comes) as service:
        for _ in range(50):
            frame = InputAudioRawFrame(b"\1\0" * (comes // 50), comes, 1)
            await service.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
        await until(lambda: emulator.session.audio_seconds > 0.85)
        assert emulator.session.audio_seconds <= 1.0
        assert {frame.size for frame in emulator.session.frames} == {wanted // 20 * 2}, "50 ms each"


# OpenAI


@asynccontextmanager
async def mind(made: AgentDefinition, emulator: OpenAIEmulator) -> AsyncGenerator[Any]:
    service: Any = services.build_llm(at(made, "llm", emulator.url), KEYS, Here())
    try:
        yield service
    finally:
        await service._client.close()


ALWAYS = ("stream", "stream_options", "messages")


async def ask(service: Any) -> None:
    stream = await service.get_chat_completions(LLMContext(messages=[{"role": "user", "content": "Hello."}]))
    async for _ in stream:
        pass


async def test_every_setting_of_the_model_is_in_the_body() -> None:
    made = agent(part("llm", OF_THE_REQUEST, timeout="5s", max_retries="0", organization="org-a", project="proj_b"))
    async with OpenAIEmulator() as emulator, mind(made, emulator) as service:
        await ask(service)
    body = emulator.request.body
    assert {name: body[name] for name in OF_THE_REQUEST} == {name: value for name, (_, value) in OF_THE_REQUEST.items()}
    assert body.keys() == {*OF_THE_REQUEST, *ALWAYS}
    assert emulator.request.headers["OpenAI-Organization"] == "org-a"
    assert emulator.request.headers["OpenAI-Project"] == "proj_b"


async def test_what_only_thinking_models_take_is_in_the_body() -> None:
    async with OpenAIEmulator() as emulator, mind(agent(part("llm", OF_A_THINKER)), emulator) as service:
        await ask(service)
    body = emulator.request.body
    assert {name: body[name] for name in OF_A_THINKER} == {name: value for name, (_, value) in OF_A_THINKER.items()}
    assert body.keys() == {*OF_A_THINKER, *ALWAYS}


async def test_older_limit_of_an_answer_is_in_the_body() -> None:
    async with OpenAIEmulator() as emulator, mind(agent("llm: {max_tokens: 120}\n"), emulator) as service:
        await ask(service)
    assert emulator.request.body["max_tokens"] == 120


@pytest.mark.parametrize("after", [0, 1])
async def test_timeout_ends_a_request_that_says_nothing(after: int) -> None:
    """Before the answer begins (tried again as often as asked for), and within it."""
    made = agent("llm: {timeout: 0.3s, max_retries: 1}\n")
    async with OpenAIEmulator() as emulator, mind(made, emulator) as service:
        emulator.stall(after, times=None)
        started = asyncio.get_running_loop().time()
        with pytest.raises(Exception) as raised:  # noqa: PT011  (two libraries, two errors)
            await ask(service)
        taken = asyncio.get_running_loop().time() - started
        assert "said nothing" in str(raised.value)
        assert "(llm.timeout)" in str(raised.value)
        assert len(emulator.requests) == (2 if after == 0 else 1)
        assert 0.3 <= taken < 4


async def test_retries_are_as_many_as_the_file_says() -> None:
    for said, requests in (("llm: {max_retries: 0}\n", 1), ("llm: {max_retries: 1}\n", 2)):
        async with OpenAIEmulator() as emulator, mind(agent(said), emulator) as service:
            emulator.fail(500, times=None)
            with pytest.raises(Exception, match="500"):
                await ask(service)
            assert len(emulator.requests) == requests


async def test_what_goes_past_pipecat_changes_with_the_next_request_and_rests_again() -> None:
    plain = effective(agent("llm: {timeout: 10s}\n"), None)
    changed = effective(agent("llm: {timeout: 5s, service_tier: priority, prompt_cache_key: shop}\n"), None)
    async with OpenAIEmulator() as emulator, mind(agent("llm: {timeout: 10s}\n"), emulator) as service:
        for before, after in ((plain, changed), (changed, plain)):
            frame = services.update_llm(change(before, after), after, Here())
            assert frame
            await service._update_settings(frame.delta)
            await ask(service)
    first, second = emulator.requests
    assert (first.body["service_tier"], first.body["prompt_cache_key"]) == ("priority", "shop")
    assert not {"service_tier", "prompt_cache_key", "timeout"} & second.body.keys()
    assert service._settings.extra["timeout"] == 10


# Cartesia


@asynccontextmanager
async def voice(made: AgentDefinition, emulator: CartesiaEmulator) -> AsyncGenerator[Any]:
    service: Any = services.build_tts(at(made, "tts", emulator.url), KEYS, Here())
    service._sample_rate = service._output_sample_rate = made.audio.out_sample_rate
    await service._connect_websocket()
    try:
        yield service
    finally:
        await service._disconnect_websocket()


async def speak(service: Any, emulator: CartesiaEmulator, text: str) -> dict[str, Any]:
    await service._websocket.send(service._build_msg(text=text, context_id="one"))
    await until(lambda: emulator.sessions and emulator.session.received)
    return emulator.session.received[-1].body


async def test_every_setting_of_the_voice_is_in_the_message() -> None:
    made = agent(part("tts", OF_THE_VOICE) + "audio: {out_sample_rate: 16000}\n")
    async with CartesiaEmulator() as emulator, voice(made, emulator) as service:
        body = await speak(service, emulator, "Hello.")
        await until(lambda: emulator.session.sent)
    generation = {name: OF_THE_VOICE[name][1] for name in ("speed", "volume", "emotion")}
    assert body["generation_config"] == generation
    others = {name: value for name, (_, value) in OF_THE_VOICE.items() if name not in (*generation, "model")}
    assert {name: body[name] for name in others} == others
    assert body["model_id"] == "sonic-3"
    assert body["output_format"] == {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
    assert emulator.session.sent[0].body["type"] != "error"


async def test_word_pieces_go_out_without_a_buffer_of_their_own_unless_it_is_set() -> None:
    for more, delay in (("", None), (", max_buffer_delay_ms: 200", 200)):
        made = agent(f"tts: {{text_aggregation_mode: token{more}}}\n")
        async with CartesiaEmulator() as emulator, voice(made, emulator) as service:
            assert service._text_aggregation_mode is TextAggregationMode.TOKEN
            body = await speak(service, emulator, "Hel")
        assert body.get("max_buffer_delay_ms") == delay


async def test_voice_is_named_in_the_file_and_its_id_is_sent() -> None:
    names = f"voices:\n  maya: {VOICE}\n  tom: 79a125e8-cd45-4c13-8a67-188112f4dd22\n"
    made = agent(f"{names}tts: {{voice: maya}}\nstages: {{bye: {{say: Bye., end: true, tts: {{voice: tom}}}}}}\n")
    assert made.tts.settings["voice"] == VOICE
    assert effective(made, "bye").tts.settings["voice"] == "79a125e8-cd45-4c13-8a67-188112f4dd22"
    _, problems = read(f"{names}tts:\n  voice: mya\n")
    assert [(p.line, p.code) for p in problems] == [(6, "unknown-voice")]
    assert 'Did you mean "maya"?' in problems[0].message


# turn taking


def made_of(text: str) -> Any:
    now = effective(agent(text), None)
    return TurnTaking(now, services.build_stt(now, {"ASSEMBLYAI_API_KEY": "k"}, Here())).params()


def kinds(strategies: Any) -> list[str]:
    return [type(strategy).__name__.removesuffix("Strategy") for strategy in strategies]


def test_every_setting_of_turn_taking_reaches_pipecat() -> None:
    params = made_of(
        "turns: {vad: {confidence: 0.8, start_secs: 0.3, stop_secs: 0.4, min_volume: 0.5}, start: [vad],"
        " smart_turn: {stop_secs: 2, pre_speech_ms: 0.2s, max_duration_secs: 6}, mute: [tools, always]}\n"
    )
    assert params.vad_analyzer.params == VADParams(confidence=0.8, start_secs=0.3, stop_secs=0.4, min_volume=0.5)
    assert kinds(params.user_turn_strategies.start) == ["VADUserTurnStart"]
    assert kinds(params.user_turn_strategies.stop) == ["TurnAnalyzerUserTurnStop"]
    smart = params.user_turn_strategies.stop[0]._turn_analyzer._params
    assert (smart.stop_secs, smart.pre_speech_ms, smart.max_duration_secs) == (2, 200, 6)
    assert params.user_mute_strategies[0].muted_in == ("tools", "always")


def test_silence_alone_can_end_turns() -> None:
    for text in (
        "turns: {stop: speech_timeout, speech_timeout: 800ms}\n",
        "turns: {smart_turn: false, speech_timeout: 0.8}\n",
    ):
        (stop,) = made_of(text).user_turn_strategies.stop
        assert kinds([stop]) == ["SpeechTimeoutUserTurnStop"]
        assert stop._user_speech_timeout == 0.8
    (start,) = made_of("turns: {start: [transcription], barge_in: false}\n").user_turn_strategies.start
    assert kinds([start]) == ["TranscriptionUserTurnStart"]
    assert start._enable_interruptions is False


async def test_agent_is_deaf_before_its_first_words_only_where_it_has_some() -> None:
    (mute,) = made_of("greeting: Hi.\nturns: {mute: [greeting]}\n").user_mute_strategies
    assert await mute.process_frame(UserSpeakingFrame())
    made, problems = read("turns: {mute: [greeting]}\n")
    assert made
    assert [problem.code for problem in problems] == ["mute-without-greeting"]
    (mute,) = made_of("turns: {mute: [greeting]}\n").user_mute_strategies
    assert not await mute.process_frame(UserSpeakingFrame())


def test_looking_ahead_is_on_unless_switched_off() -> None:
    assert effective(agent(""), None).turns.look_ahead == "likely"
    assert effective(agent("turns: {look_ahead: off}\n"), None).turns.look_ahead == "off"


@pytest.mark.alone
@pytest.mark.parametrize(
    "text",
    [
        *("barge_in: {after_words: 11}", "barge_in: {after_words: 0}", "barge_in: {ignore: []}", "barge_in: {}"),
        *("barge_in: {words: 2}", "mute: [greting]", "start: []", "start: [sound]", "stop: never"),
        *("look_ahead: sometimes", "look_ahead: true"),
        *("speech_timeout: 11s", "smart_turn: {pre_speech_ms: 3s}", "smart_turn: {max_duration_secs: 9}"),
    ],
)
def test_wrong_value_of_turn_taking_is_refused(text: str) -> None:
    made, problems = read(f"turns:\n  {text}\n")
    assert made is None
    assert [problem.line for problem in problems] == [3]


# sound and rooms


async def test_telephone_rates_hold_on_both_wires_whatever_the_client_sends(
    call: Callable[[str], Caller], vendors: Vendors
) -> None:
    """The caller of the tests sends 16000 Hz."""
    vendors.mind.reply("I see.")
    async with call("telephone") as caller:
        await vendors.hear(caller, "I want my money back.")
        await caller.wait_for_agent_words("I see.")
        heard = vendors.ears.session.audio_seconds
        lasted = time.monotonic() - vendors.ears.session.opened_at
    assert vendors.ears.session.query["sample_rate"] == "8000"
    assert heard == pytest.approx(lasted, abs=1.0), "as long as the call, neither stretched nor cut"
    assert vendors.ears.session.finals == ["I want my money back."]
    assert {m.body["output_format"]["sample_rate"] for m in vendors.voice.session.received} == {8000}
    assert {sound.rate for sound in caller.voice_after(0)} == {8000}


async def test_room_is_made_as_the_file_says() -> None:
    made = agent(
        "daily: {expires_in: 30m, privacy: public, geo: eu-central-1, max_participants: 2, eject_at_room_exp: false,"
        " enable_chat: true, enable_prejoin_ui: true, start_video_off: false, caller_name: Customer}\n"
    )
    async with DailyEmulator() as daily:
        before = int(time.time())
        token = (await DailyRest("a-key", daily.url).make(made.daily)).caller_token
    (room,) = daily.created
    assert room.privacy == "public"
    properties = dict(room.properties)
    for exp in (properties.pop("exp"), daily.tokens[str(token)]["exp"]):
        assert before + 1800 <= exp <= before + 1830
    assert properties == {
        "geo": "eu-central-1",
        "max_participants": 2,
        "eject_at_room_exp": False,
        "enable_chat": True,
        "enable_prejoin_ui": True,
        "start_video_off": False,
        "enable_emoji_reactions": False,
    }
    assert token
    assert daily.tokens[token]["user_name"] == "Customer"


@pytest.mark.parametrize(
    "text",
    [
        *("audio: {in_sample_rate: 48000}", "audio: {out_sample_rate: 22050}", "audio: {in_encoding: mulaw}"),
        *(
            "daily: {expires_in: 30}",
            "daily: {privacy: secret}",
            "daily: {geo: Europe}",
            "daily: {max_participants: 1}",
        ),
        *("daily: {dial_in: true}", "daily: {enable_dialout: true}", "daily: {enable_recording: cloud}"),
        *(
            "daily: {dial_in: ['15551230100']}",
            "daily: {dial_out: [all]}",
            "daily: {sip: maybe}",
        ),
        *("daily: {caller_id: '+1 555'}", "daily: {wait_for_caller: 5}"),
        *("daily: {display_name: ''}", "reload: sometimes", "voices: {maya: ''}", "voices: {'ma ya': x}"),
    ],
)
def test_wrong_value_of_sound_rooms_and_saves_is_refused(text: str) -> None:
    made, problems = read(text + "\n")
    assert made is None
    assert [problem.line for problem in problems] == [2]


NOT_YET = {
    "tools": "tools: {a: {}}",
    "memory": "memory: {key: caller.number}",
    "records": "records: {webhook: 'https://example.com'}",
    "transcript": "transcript: true",
    "record": "record: true",
    "stages.one.tools": "stages: {one: {prompt: x, tools: [a]}}",
    "stages.one.next[0].tool": "stages: {one: {prompt: x, next: [{tool: a, to: one}]}}",
    "daily.enable_recording": "daily: {enable_recording: cloud}",
    "daily.transcription": "daily: {transcription: true}",
    "llm.tools": "llm: {tools: [a]}",
}


@pytest.mark.parametrize("path", NOT_YET)
def test_what_is_not_there_yet_says_so_and_is_never_ignored(path: str) -> None:
    made, problems = read(NOT_YET[path] + "\n")
    assert made is None
    (problem,) = [problem for problem in problems if problem.code == "not-yet"]
    assert problem.path == path
    assert problem.message.startswith(f'"{path.rpartition(".")[2]}" is not there yet: ')
    assert not [other for other in problems if "Did you mean" in other.message]


def test_nobody_is_led_to_a_name_that_is_not_there_yet() -> None:
    for typed in ("tool", "memories", "recrod", "fallbacks", "dial-inn"):
        said = " ".join(problem.message for problem in read(f"{typed}: x\n")[1])
        assert not [name for name in NOT_YET if f'Did you mean "{name}"' in said], typed


# names of older guides

OLDER: dict[str, tuple[str, str]] = {
    "stt: {min_end_of_turn_silence_when_confident: 300}": ("stt", "min_turn_silence"),
    "stt: {speech_model: u3-rt-pro}": ("stt", "model"),
    "stt: {keyterms_prompt: [a]}": ("stt", "keyterms"),
    "stt: {prompt: Shoes.}": ("stt", "about"),
    "stt: {vad_force_turn_endpoint: false}": ("stt", "turn_detection"),
    "stt: {language_code: es}": ("stt", "language_codes"),
    "tts: {voice_id: abc}": ("tts", "voice"),
    "tts: {model_id: sonic-3}": ("tts", "model"),
    "turns: {should_interrupt: false}": ("turns", "barge_in"),
    "turns: {allow_interruptions: true}": ("turns", "barge_in"),
    "turns: {user_idle_timeout: 8}": ("turns", "idle"),
    "turns: {user_mute_strategies: [x]}": ("turns", "mute"),
    "turns: {user_speech_timeout: 0.6}": ("turns", "speech_timeout"),
    "allow_interruptions: true": ("turns", "barge_in"),
    "stt: {should_interrupt: true}": ("turns", "barge_in"),
    "voice_id: abc": ("tts", "voice"),
    "audio: {audio_in_sample_rate: 8000}": ("audio", "in_sample_rate"),
    "audio_out_sample_rate: 8000": ("audio", "out_sample_rate"),
    "daily: {room_exp_duration: 2}": ("daily", "expires_in"),
    "system_prompt: Hi": ("an agent", "prompt"),
}
GONE = (
    *("vad_enabled: true", "vad_analyzer: x", "vad_audio_passthrough: true", "transcription_enabled: true"),
    *("turns: {vad_enabled: true}", "stt: {connection_params: {}}", "tts: {params: {speed: 1}}"),
    *(
        "tts: {cartesia_version: x}",
        "enable_metrics: true",
        "daily: {room_url: x}",
        "turns: {interruption_strategies: []}",
    ),
    *("stt: {formatted_finals: true}", "llm: {top_k: 5}", "tts: {aggregate_sentences: true}"),
)


@pytest.mark.parametrize("text", OLDER)
def test_older_name_is_answered_with_the_one_of_today(text: str) -> None:
    problems = [problem for problem in read(text + "\n")[1] if problem.code in ("unknown-key", "wrong-level")]
    assert len(problems) == 1
    group, name = OLDER[text]
    assert f'called "{name}"' in problems[0].message or f'called "{name}"' in problems[0].hint, problems[0]
    if not text.startswith((group, "system_prompt")):
        assert f"under {group}" in problems[0].message


@pytest.mark.parametrize("text", GONE)
def test_older_name_that_nothing_replaces_is_answered_with_what_to_do(text: str) -> None:
    (problem,) = read(text + "\n")[1]
    assert problem.code == "gone"
    assert problem.is_error
    assert len(problem.message.partition(". ")[2]) > 15
