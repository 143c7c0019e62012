"""What is done to a recording before it is heard, and that it can be undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import tone

from voiceman_client.denoise import DENOISING, denoise
from voiceman_client.prepare import Preparation, prepare


def peak_dbfs(waveform):
    return 20 * np.log10(np.abs(waveform.astype(float)).max() / 32768)


def test_quiet_sound_is_raised_to_one_decibel_below_full_scale():
    (waveform,), done = prepare([tone(1.0, level=0.1)])
    assert peak_dbfs(waveform) == pytest.approx(-1.0, abs=0.02)
    assert done.gain_db == pytest.approx(19.0, abs=0.02)
    assert done.offsets == (0,)


def test_loud_sound_is_left_alone():
    loud = tone(1.0, level=0.99)
    (waveform,), done = prepare([loud])
    assert waveform is loud
    assert done == Preparation((0,), 0.0, None)


def test_an_offset_is_taken_away():
    (waveform,), done = prepare([tone(1.0) + np.int16(3000)])
    assert done.offsets == (3000,)
    assert abs(waveform.mean()) < 1


def test_channels_keep_their_levels_to_each_other():
    (left, right), done = prepare([tone(1.0, level=0.2), tone(1.0, level=0.02)])
    assert peak_dbfs(left) - peak_dbfs(right) == pytest.approx(20, abs=0.1)
    assert done.gain_db == pytest.approx(13.0, abs=0.05)


def test_the_noise_of_a_silent_line_does_not_become_loud():
    hiss = np.random.default_rng(0).integers(-1, 2, 16_000).astype(np.int16)
    (waveform,), done = prepare([hiss])
    assert done.gain_db == 30.0
    assert peak_dbfs(waveform) < -55


def test_digital_silence_and_nothing_at_all_stay_what_they_are():
    for waveform in (np.zeros(1000, np.int16), np.zeros(0, np.int16)):
        (same,), done = prepare([waveform], denoised=True)
        np.testing.assert_array_equal(same, waveform)
        assert (done.offsets, done.gain_db) == ((0,), 0.0)


def test_nothing_is_done_that_was_not_asked_for():
    sound = tone(1.0, level=0.1) + np.int16(500)
    (waveform,), done = prepare([sound], level=False)
    assert waveform is sound
    assert done == Preparation((0,), 0.0, None)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-12_000, 12_000), min_size=1, max_size=500),
    st.integers(-3000, 3000),
)
def test_levels_can_be_restored_exactly(samples, offset):
    sound = np.array(samples, np.int16) + np.int16(offset)
    (waveform,), done = prepare([sound])
    restored = np.rint(waveform / 10 ** (done.gain_db / 20)) + done.offsets[0]
    np.testing.assert_array_equal(restored, sound)


def test_long_recordings_are_prepared_as_short_ones_are():
    short = tone(10.0, level=0.1) + np.int16(50)
    (one,), _ = prepare([short])
    (many,), _ = prepare([np.tile(short, 15)])  # over a million samples
    np.testing.assert_array_equal(many, np.tile(one, 15))


def power_db(sound):
    return 10 * np.log10(np.mean(np.square(sound.astype(float))) + 1e-9)


def test_denoising_turns_noise_down_and_leaves_a_voice_in_place():
    rng = np.random.default_rng(0)
    speech = tone(40.0, hz=300, level=0.3) * (np.arange(640_000) // 8000 % 2).astype(np.int16)
    noisy = (speech + rng.normal(0, 300, len(speech))).astype(np.int16)
    cleaned = denoise(noisy)
    assert len(cleaned) == len(noisy)
    pause, voice = slice(16_500, 23_500), slice(24_500, 31_500)
    assert power_db(noisy[pause]) - power_db(cleaned[pause]) > 8
    assert power_db(noisy[voice]) == pytest.approx(power_db(cleaned[voice]), abs=0.3)
    left, right = noisy[voice].astype(float), cleaned[voice].astype(float)
    assert np.corrcoef(left, right)[0, 1] > 0.998  # in step: no delay


def test_denoising_without_any_noise_changes_nothing_much():
    bursts = tone(3.0) * (np.arange(48_000) // 4000 % 4 == 0).astype(np.int16)
    assert np.abs(denoise(bursts).astype(int) - bursts).max() <= 1


def test_denoising_is_written_down():
    _, done = prepare([tone(1.0)], denoised=True)
    assert done.denoising == DENOISING
