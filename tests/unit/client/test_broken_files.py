"""Hundreds of broken files among good ones: the good ones are read, the broken ones say why not."""

import asyncio
from collections import Counter

import numpy as np
import pytest

from perf.broken_files import BREAKAGES, FORMATS, break_all, make_good
from voiceman.errors import RecordingError
from voiceman_client.decode_limits import DecodeLimits
from voiceman_client.decoding import DecoderPool

SEED = 100
HOPELESS = {"empty", "header alone", "in a zip", "in a gzip", "in a tar", "playlist"}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """(kind, path, recording or error) of all files, and how many workers it took."""
    folder = tmp_path_factory.mktemp("files")
    good = make_good(folder / "good", 1.0)
    named = [("good", path) for path in good] + list(break_all(good, folder / "broken", SEED))

    async def decode_all():
        pool = DecoderPool(2, limits=DecodeLimits(start_s=30.0))
        answers = await asyncio.gather(
            *(pool.decode(path, "auto") for _, path in named), return_exceptions=True
        )
        await pool.close()
        return answers, pool.started

    answers, started = asyncio.run(decode_all())
    return [(*name, answer) for name, answer in zip(named, answers, strict=True)], started


def of_kind(decoded, *kinds):
    return [(path, answer) for kind, path, answer in decoded[0] if kind in kinds]


def test_every_good_file_is_read_without_a_flag(decoded):
    good = of_kind(decoded, "good")
    assert len(good) == len(FORMATS) >= 20
    for path, recording in good:
        assert not isinstance(recording, Exception), path
        assert recording.duration_s == pytest.approx(1.0, abs=0.15), path
        assert recording.flags == (), path


def test_every_broken_file_is_read_or_says_what_is_wrong(decoded):
    outcomes = Counter()
    for path, answer in of_kind(decoded, *BREAKAGES):
        if isinstance(answer, Exception):
            assert isinstance(answer, RecordingError), path
            assert str(answer).startswith(f"{path}: "), answer
            assert ";" in str(answer), f"does not say what to do: {answer}"
            assert "cannot be decoded (" not in str(answer), f"unforeseen: {answer}"
            outcomes["error"] += 1
        else:
            assert all(np.isfinite([flag["start"], flag["end"]]).all() for flag in answer.flags)
            outcomes["flagged" if answer.flags else "read"] += 1
    assert outcomes["error"] >= 100
    assert sum(outcomes.values()) == len(BREAKAGES) * len(FORMATS)


def test_what_is_no_recording_at_all_is_never_read(decoded):
    for path, answer in of_kind(decoded, *HOPELESS):
        assert isinstance(answer, RecordingError), path


def test_no_claim_makes_a_recording_longer_than_its_sound(decoded):
    for path, answer in of_kind(decoded, "huge duration"):
        assert isinstance(answer, RecordingError) or answer.duration_s < 70, path


def test_no_broken_file_costs_a_worker(decoded):
    assert decoded[1] == 2
