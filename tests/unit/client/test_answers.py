"""Answers and decoded recordings come back from the cache exactly, and only where they hold."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from media import tone, write_sound
from test_result import MADE, WEIGHTS, heard, recording, summary, utterance
from test_submit_flow import Answer, text

from voiceman_client import cache_keys
from voiceman_client.answers import Answers, decode_answers, encode_answers
from voiceman_client.cache_keys import answers_key, code_hashes, decoded_key
from voiceman_client.decode import decode
from voiceman_client.decoded import Decoded, decode_decoded, encode_decoded
from voiceman_client.options import SubmitOptions
from voiceman_client.result import Heard, assemble
from voiceman_client.server_weights import ServerWeights
from voiceman_client.windows import Span

OTHER_WEIGHTS = {**WEIGHTS, "sha256": "3" * 64}
turns = st.tuples(
    st.floats(0, 1e5),
    st.floats(0, 1e5),
    st.integers(0, 99),
    st.one_of(st.none(), st.integers(0, 1)),
)
# Any bits of a float32, NaN with payloads included.
embeddings = arrays(np.uint32, st.tuples(st.integers(0, 4), st.just(192))).map(
    lambda bits: bits.view(np.float32)
)


def answers(**changes) -> Answers:
    windows = (
        heard(1.0, 9.5, [], [utterance(0.0, 2.0, '가나다 "x"\n')]),
        heard(12.0, 20.0, [], [utterance(0.0, 2.0, "b")], language="ko", channel=1),
    )
    given = {
        "heard": windows,
        "turns": ((0.5, 2.25, 0, None), (12.0, 13.0, 1, 1)),
        "summary_text": json.dumps(summary("A", "B")),
        "weights": {"voice_activity": WEIGHTS},
    }
    return Answers(**(given | changes))


@given(st.text(st.characters()), embeddings, st.lists(turns).map(tuple))
def test_every_text_and_every_bit_comes_back(words, vectors, spoken):
    evidence_text = json.dumps({"text": words, "models": {}}, ensure_ascii=False)
    item = Heard(Span(7, 16_007), 1, json.loads(evidence_text), evidence_text, vectors)
    back = decode_answers(encode_answers(Answers((item,), spoken, words, {"m": WEIGHTS})))
    assert back.heard[0].evidence_text == evidence_text
    assert back.heard[0].evidence == item.evidence
    assert (back.heard[0].span, back.heard[0].channel) == (item.span, 1)
    assert back.heard[0].embeddings.dtype == np.float32
    assert back.heard[0].embeddings.shape == vectors.shape
    assert back.heard[0].embeddings.tobytes() == vectors.tobytes()
    assert (back.turns, back.summary_text, back.weights) == (spoken, words, {"m": WEIGHTS})


def test_a_result_of_cached_answers_is_the_result_itself():
    fresh = answers()
    sound = recording(70.0)
    first = assemble(sound, fresh.heard, fresh.summary, MADE, weights=fresh.weights)
    back = decode_answers(encode_answers(fresh))
    stored = decode_decoded(encode_decoded(Decoded.of(sound)), Path(sound.source.path))
    again = assemble(stored, back.heard, back.summary, MADE, weights=back.weights)
    first["provenance"]["source"]["file"] = again["provenance"]["source"]["file"]  # made absolute
    assert json.dumps(again) == json.dumps(first)


def test_a_recording_without_speech_has_answers_too():
    silent = Answers((), (), None, {"voice_activity": WEIGHTS})
    back = decode_answers(encode_answers(silent))
    assert back == silent
    assert back.summary is None


def test_a_decoded_recording_comes_back_without_its_samples(tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tone(2.5))
    sound = decode(path)
    stored = decode_decoded(encode_decoded(Decoded.of(sound)), path)
    assert stored == Decoded.of(sound)
    assert stored.duration_s == sound.duration_s
    assert (stored.source, stored.channels, stored.flags) == (
        sound.source,
        sound.channels,
        sound.flags,
    )


def test_a_copy_of_a_file_shares_the_entry_and_keeps_its_own_path(tmp_path: Path):
    sound = decode(write_sound(tmp_path / "a.wav", tone(1.0)))
    value = encode_decoded(Decoded.of(sound))
    assert b"a.wav" not in value
    copy = decode_decoded(value, tmp_path / "b.wav")
    assert copy.source == replace(sound.source, path=str(tmp_path / "b.wav"))


AUTO = SubmitOptions()


def test_the_key_of_decoding_holds_all_that_decides_it(monkeypatch: pytest.MonkeyPatch):
    keys = {
        decoded_key("0" * 64, AUTO),
        decoded_key("1" * 64, AUTO),
        decoded_key("0" * 64, SubmitOptions(channels="mix")),
        decoded_key("0" * 64, SubmitOptions(denoise=True)),
    }
    monkeypatch.setattr(cache_keys, "version", lambda name: f"{name} of tomorrow")
    keys.add(decoded_key("0" * 64, AUTO))
    monkeypatch.setattr(cache_keys, "code_hashes", lambda: {"client": "x", "core": "y"})
    keys.add(decoded_key("0" * 64, AUTO))
    assert len(keys) == 6
    assert all(len(digest) == 64 for digest in code_hashes().values())


def test_the_key_of_answers_holds_sound_models_and_the_options_that_answers_depend_on():
    sound = recording()
    key = answers_key(sound, MADE)
    assert answers_key(Decoded.of(sound), MADE) == key

    def with_options(**options):
        return answers_key(sound, replace(MADE, options={**MADE.options, **options}))

    same = [
        with_options(voices="v.json", voices_sha256="4" * 64, channels="mix", patterns="p.toml"),
        answers_key(replace(sound, source=replace(sound.source, path="b", sha256="9" * 64)), MADE),
    ]
    other = [
        with_options(language="ko"),
        with_options(hotwords="x"),
        with_options(speakers=2),
        with_options(patterns_sha256="5" * 64),
        answers_key(replace(sound, pcm_sha256="2" * 64), MADE),
        answers_key(replace(sound, channels=(0,)), MADE),
        answers_key(sound, replace(MADE, models={"whisper": "2"})),
        answers_key(sound, replace(MADE, configurations={"whisper": "6" * 64})),
        answers_key(sound, replace(MADE, server={"name": "triton", "version": "2.60"})),
    ]
    assert same == [key, key]
    assert len({key, *other}) == len(other) + 1


class FakeServer:
    """Says what weights it has, by language where it is alignment."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.models = {"whisper": WEIGHTS}
        self.aligners: dict[str, dict] = {}
        self.code = WEIGHTS
        self.voice_activity = WEIGHTS

    async def infer(self, model, inputs, timeout_s):
        await asyncio.sleep(0)
        if model == "recording_summary":
            return Answer(SUMMARY=text({"models": {"recording_summary": self.code}}))
        if model == "voice_activity":
            return Answer(VOICE_ACTIVITY_WEIGHTS=text(self.voice_activity))
        language = inputs["LANGUAGE"]
        self.asked.append(language)
        aligned = {f"word_alignment/{language}": w for w in [self.aligners.get(language)] if w}
        return Answer(
            EVIDENCE=text({"models": {**self.models, **aligned}}),
            SPEAKER_EMBEDDING=np.zeros((1, 0, 192), np.float32),
        )


def aligned_in_korean() -> Answers:
    stored = answers()
    stored.heard[1].evidence["models"]["word_alignment/ko"] = WEIGHTS
    return stored


def holds(server: FakeServer, stored: Answers) -> bool:
    return asyncio.run(ServerWeights(server, 1.0).still_hold(stored))


def test_answers_hold_while_the_server_has_their_weights():
    server = FakeServer()
    server.aligners["ko"] = WEIGHTS
    assert holds(server, aligned_in_korean())
    assert server.asked == ["en", "ko"]


@pytest.mark.parametrize(
    "what", ["models", "aligners", "voice_activity", "no aligner", "precision"]
)
def test_answers_of_other_weights_do_not_hold(what: str):
    server = FakeServer()
    server.aligners["ko"] = WEIGHTS
    if what == "models":
        server.models = {"whisper": OTHER_WEIGHTS}
    elif what == "aligners":
        server.aligners["ko"] = OTHER_WEIGHTS
    elif what == "voice_activity":
        server.voice_activity = OTHER_WEIGHTS
    elif what == "no aligner":
        del server.aligners["ko"]
    else:
        server.models = {"whisper": {**WEIGHTS, "computed_in": "int8"}}
    assert not holds(server, aligned_in_korean())


def test_answers_of_a_run_in_which_a_model_was_exchanged_hold_for_neither_of_the_two():
    server = FakeServer()
    stored = answers()
    stored.heard[0].evidence["models"]["whisper"] = OTHER_WEIGHTS
    stored.heard[1].evidence["models"]["whisper"] = WEIGHTS
    assert not holds(server, stored)
    server.models = {"whisper": OTHER_WEIGHTS}
    assert not holds(server, stored)


def test_the_code_that_summed_up_counts():
    server = FakeServer()
    document = summary("A", "B") | {"models": {"recording_summary": WEIGHTS}}
    stored = answers(summary_text=json.dumps(document))
    assert holds(server, stored)
    server.code = OTHER_WEIGHTS
    assert not holds(server, stored)


def test_the_server_is_asked_once_for_all_recordings():
    async def ask() -> None:
        weights = ServerWeights(server, 1.0)
        assert all(await asyncio.gather(*(weights.still_hold(answers()) for _ in range(9))))
        silent = Answers((), (), None, {"voice_activity": WEIGHTS})
        assert await weights.still_hold(silent)

    server = FakeServer()
    asyncio.run(ask())
    assert server.asked == ["en", "ko", "auto"]
