import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_whisper import FIRST_TIMESTAMP, IDS, Oracle, make_checkpoint

from voiceman.audio import Waveform
from voiceman.errors import DeadlineExceededError, InvalidRequestError, ServerError
from voiceman.options import WindowOptions
from voiceman.serving.whisper import job as job_module
from voiceman.serving.whisper.checkpoint import Checkpoint, load_checkpoint
from voiceman.serving.whisper.engine import Engine
from voiceman.serving.whisper.window import Window, WindowResult

EngineOf = Callable[..., Engine]


def options(index: int = 0, **values: object) -> WindowOptions:
    """Every third window without timestamps; one decode each, however bad."""
    return WindowOptions(
        **{
            "timestamps": index % 3 != 0,
            "max_new_tokens": 100,
            "temperatures": (0.0,),
            **values,
        }
    )


@pytest.fixture(scope="module")
def expected(oracle: Oracle, sounds: list[Waveform]) -> list[list[int]]:
    return [oracle.tokens(sound, index % 3 != 0) for index, sound in enumerate(sounds)]


def decode_all(engine: Engine, sounds: list[Waveform]) -> list[WindowResult]:
    futures = [
        engine.submit(Window(sound, options=options(index))) for index, sound in enumerate(sounds)
    ]
    return [future.result(timeout=60) for future in futures]


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 2, 4), (4, 9, 3), (9, 9, 16)])
def test_tokens_are_those_of_transformers(
    tiny: Checkpoint,
    sounds: list[Waveform],
    expected: list[list[int]],
    engine_of: EngineOf,
    size: tuple[int, int, int],
) -> None:
    slots, line, look = size
    engine = engine_of(tiny, slots=slots, line=line, steps_per_look=look)
    results = decode_all(engine, sounds)
    assert [list(result.tokens[0]) for result in results] == expected
    assert engine.counters().windows == len(sounds)
    if slots == 3:  # 9 windows of 2 to 100 tokens: they joined and left one by one
        assert engine.counters().rows / engine.counters().steps > 1.5


def test_the_language_is_detected_or_taken_as_given(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=2)
    given = engine.submit(Window(sounds[1], "KO", options(1))).result()
    detected = engine.submit(Window(sounds[1], "auto", options(1))).result()
    assert list(given.tokens[0]) == oracle.tokens(sounds[1], True, language="ko")
    assert given.transcript["language"] == "ko"
    assert given.transcript["language_probability"] is None
    assert detected.transcript["language"] == "en"
    assert 1 / 3 < (detected.transcript["language_probability"] or 0) < 1


def test_an_initial_prompt_stands_before_the_window(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    text = "voiceman, Seoul"
    prompt = [IDS["<|startofprev|>"], *tiny.tokenizer.encode(" " + text).ids]
    engine = engine_of(tiny, slots=2)
    given = Window(sounds[2], "ja", options(1, initial_prompt=text))
    plain = Window(sounds[2], "ja", options(1))
    expected = oracle.tokens(sounds[2], True, language="ja", prompt=prompt)
    assert list(engine.submit(given).result().tokens[0]) == expected
    assert list(engine.submit(plain).result().tokens[0]) != expected


def test_a_prompt_does_not_change_which_language_is_heard(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine, text = engine_of(tiny, slots=2), "voiceman"
    plain, prompted = (
        engine.submit(Window(sounds[1], options=options(1, initial_prompt=each))).result()
        for each in ("", text)
    )
    heard = prompted.transcript["language_probability"]
    assert heard == pytest.approx(plain.transcript["language_probability"], abs=1e-6)
    prompt = [IDS["<|startofprev|>"], *tiny.tokenizer.encode(" " + text).ids]
    expected = oracle.tokens(sounds[1], True, language="en", prompt=prompt)
    assert list(prompted.tokens[0]) == expected


def test_the_rest_of_a_window_is_decoded_again(
    tiny: Checkpoint, oracle: Oracle, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    result = engine_of(tiny).submit(Window(sounds[4], options=options(1))).result()
    first, second = result.tokens
    assert first[-1] >= first[-2] >= FIRST_TIMESTAMP  # it announces a segment and says nothing
    resume_s = (first[-2] - FIRST_TIMESTAMP) * 0.02
    rest = sounds[4][round(resume_s * 16000) :]
    assert list(second) == oracle.tokens(rest, True, language=result.transcript["language"])
    starts = [segment["start"] for segment in result.transcript["segments"]]
    assert any(start >= resume_s for start in starts)


def test_words_name_rows_of_the_attention(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    for result, sound in zip(decode_all(engine_of(tiny), sounds), sounds, strict=True):
        rows, frames = result.cross_attention.shape
        assert frames == -(-len(sound) // 320)
        assert np.isfinite(result.cross_attention).all()
        words = [word for part in result.transcript["segments"] for word in part["words"]]
        assert all(0 <= word["row_start"] < word["row_end"] < rows for word in words)
        assert all(0 <= word["score"] <= 1 for word in words)
        spans = [(part["start"], part["end"]) for part in result.transcript["segments"]]
        assert all(0 <= start <= end <= len(sound) / 16000 for start, end in spans)


def test_a_decode_that_ran_out_of_tokens_is_flagged(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    result = engine_of(tiny).submit(Window(sounds[1], options=options(1))).result()
    assert "length_limit" in {flag["kind"] for flag in result.transcript["flags"]}


def test_text_under_silence_is_kept_and_flagged(tiny: Checkpoint, engine_of: EngineOf) -> None:
    engine = engine_of(tiny, slots=2)
    for peak, flagged in ((0.0, True), (2**-13, True), (2**-11, False)):
        sound = np.full(16000, peak, np.float32)
        transcript = engine.submit(Window(sound, "ko", options(0))).result().transcript
        assert transcript["segments"]
        silent = [f for f in transcript["flags"] if "is silent" in f["detail"]]
        assert bool(silent) == flagged


def test_an_english_only_checkpoint_works(
    tmp_path: Path, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    make_checkpoint(tmp_path, multilingual=False)
    oracle, engine = Oracle.load(tmp_path), engine_of(load_checkpoint(tmp_path))
    for index in (0, 1):
        result = engine.submit(Window(sounds[3], options=options(index))).result()
        assert list(result.tokens[0]) == oracle.tokens(sounds[3], index != 0)
        assert result.transcript["language"] == "en"
    with pytest.raises(InvalidRequestError, match=r"'ko' is unknown.* 1 language \(en\)"):
        engine.submit(Window(sounds[3], "ko"))


@pytest.mark.parametrize(
    ("samples", "language", "message"),
    [
        (399, "", r"399 samples.*400 to 480000"),
        (480001, "", r"480001 samples \(30.000 s\).*480000"),
        (16000, "xx", r"'xx' is unknown.*3 languages \(en, ja, ko\)"),
    ],
)
def test_bad_windows_are_refused_with_the_limit(
    tiny: Checkpoint, engine_of: EngineOf, samples: int, language: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        engine_of(tiny).submit(Window(np.zeros(samples, np.float32), language))


def test_a_window_past_its_deadline_gets_an_error_and_frees_its_slot(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=1)
    late = engine.submit(Window(sounds[0], options=options(1, deadline_unix_s=time.time() - 1)))
    in_time = engine.submit(Window(sounds[1], options=options(1, deadline_unix_s=time.time() + 60)))
    with pytest.raises(DeadlineExceededError):
        late.result(timeout=60)
    assert in_time.result(timeout=60).tokens


def test_one_failing_window_harms_no_other(
    tiny: Checkpoint,
    sounds: list[Waveform],
    expected: list[list[int]],
    engine_of: EngineOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_transcript = job_module.make_transcript

    def failing(decodes: list, language: object, duration: float, *rest: object) -> object:
        if duration == len(sounds[2]) / 16000:
            raise RuntimeError("a fault in this window")
        return make_transcript(decodes, language, duration, *rest)

    monkeypatch.setattr(job_module, "make_transcript", failing)
    engine = engine_of(tiny, slots=3)
    futures = [
        engine.submit(Window(sound, options=options(index))) for index, sound in enumerate(sounds)
    ]
    for index, future in enumerate(futures):
        if index == 2:
            with pytest.raises(RuntimeError, match="a fault"):
                future.result(timeout=60)
        else:
            assert list(future.result(timeout=60).tokens[0]) == expected[index]
    assert engine.submit(Window(sounds[2][:9000], options=options(1))).result(timeout=60)


def test_closing_answers_what_was_handed_in(
    tiny: Checkpoint, sounds: list[Waveform], engine_of: EngineOf
) -> None:
    engine = engine_of(tiny, slots=2, line=9)
    futures = [engine.submit(Window(sound, options=options(1))) for sound in sounds]
    engine.close()
    assert all(future.done() and not future.exception() for future in futures)
    with pytest.raises(ServerError, match="closed"):
        engine.submit(Window(sounds[0]))
