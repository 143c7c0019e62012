"""The file of known voices, and who of them a speaker resembles."""

import json

import numpy as np
import pytest

from voiceman.errors import ConfigurationError, ResultNotWrittenError
from voiceman.voices import SAME_VOICE_SIMILARITY
from voiceman_client.voices import (
    EmbeddingModel,
    Voice,
    Voices,
    read_voices,
    recognise,
    write_voices,
)

ALICE, BOB, CAROL = np.eye(192, dtype=np.float32)[:3]
MODEL = EmbeddingModel("ecapa 1", "0" * 64)


def voice(vector) -> Voice:
    return Voice(tuple(vector.tolist()), 12.5, {"/a.wav": "1" * 64})


KNOWN = Voices(MODEL, {"Alice": voice(ALICE), "Bob": voice(BOB)})


def test_a_voices_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "voices.json"
    write_voices(path, KNOWN)
    assert read_voices(path) == KNOWN
    assert path.stat().st_mode & 0o077 == 0  # biometric data: for its owner only
    assert list(tmp_path.iterdir()) == [path]


def test_a_voice_of_the_same_name_is_replaced_and_no_other():
    changed = KNOWN.with_voice("Bob", voice(CAROL))
    assert changed.voices == {"Alice": voice(ALICE), "Bob": voice(CAROL)}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"schema": "other/1"}',
        '{"schema": "voiceman.voices/1", "model": {}, "voices": {}}',
        '{"schema": "voiceman.voices/1", "model": {"name": "", "sha256": ""}, '
        '"voices": {"A": {"embedding": [1], "speech": 1, "files": {}}}}',
    ],
)
def test_what_is_no_voices_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "voices.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"voices\.json"):
        read_voices(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.json: cannot be read"):
        read_voices(tmp_path / "none.json")
    with pytest.raises(ResultNotWrittenError, match=r"voices\.json"):
        write_voices(tmp_path / "no folder" / "voices.json", KNOWN)


def test_voices_of_other_weights_are_refused_with_both_names(tmp_path):
    KNOWN.check_model(MODEL, tmp_path)
    with pytest.raises(ConfigurationError, match=r"ecapa 1 \(0{12}\).*ecapa 2 \(1{12}\)"):
        KNOWN.check_model(EmbeddingModel("ecapa 2", "1" * 64), tmp_path)


def test_speakers_are_named_from_the_threshold_on():
    near = (0.9 * ALICE + np.sqrt(1 - 0.9**2) * CAROL).astype(np.float32)
    far = (0.3 * BOB + np.sqrt(1 - 0.3**2) * CAROL).astype(np.float32)
    nothing = np.full(192, np.nan, np.float32)
    found = recognise(
        KNOWN.voices,
        ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00", "SPEAKER_02"],
        np.stack([near, far, nothing, nothing]),
        np.array([2.0, 3.0, 9.0, 1.0]),
    )
    assert found == {
        "SPEAKER_00": {"name": "Alice", "similarity": 0.9, "threshold": SAME_VOICE_SIMILARITY},
        "SPEAKER_01": {"name": None, "similarity": 0.3, "threshold": SAME_VOICE_SIMILARITY},
    }


def test_long_utterances_count_more():
    found = recognise(KNOWN.voices, ["S", "S"], np.stack([ALICE, BOB]), np.array([9.0, 1.0]))
    assert found["S"]["name"] == "Alice"
    assert found["S"]["similarity"] == pytest.approx(9 / np.hypot(9, 1), abs=1e-4)


def test_nobody_is_compared_with_an_empty_file():
    assert recognise({}, ["S"], ALICE[np.newaxis], np.ones(1)) == {}


def test_a_voices_file_is_plain_json(tmp_path):
    write_voices(tmp_path / "voices.json", KNOWN.with_voice("김철수", voice(CAROL)))
    document = json.loads((tmp_path / "voices.json").read_text(encoding="utf-8"))
    assert list(document["voices"]) == ["Alice", "Bob", "김철수"]
