"""Whatever the file, the same sound comes out, or an error that says what is wrong with it."""

import os
import struct
import wave
import zipfile

import numpy as np
import pytest
from media import tone, truncate, write_sound, write_video

from voiceman.errors import (
    NoAudioError,
    RecordingLimitError,
    RecordingNotFoundError,
    RecordingTooShortError,
    RecordingUnreadableError,
)
from voiceman_client.decode import decode
from voiceman_client.decode_limits import DecodeLimits

CODEC_DELAY_S = 0.15


def loudest_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform.astype(float) * np.hanning(len(waveform))))
    return np.argmax(spectrum) * 16_000 / len(waveform)


@pytest.mark.parametrize(
    ("name", "codec", "encoded_rate"),
    [
        ("a.wav", "pcm_s16le", 16_000),
        ("a.flac", "flac", 16_000),
        ("a.mp3", "libmp3lame", 16_000),
        ("a.m4a", "aac", 16_000),
        ("a.mp4", "aac", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.webm", "libopus", 48_000),
        ("a.amr", "libopencore_amrnb", 8_000),
    ],
)
def test_every_format_becomes_16_khz_mono(tmp_path, name, codec, encoded_rate):
    path = write_sound(tmp_path / name, tone(2.0, hz=440), codec, encoded_rate=encoded_rate)
    recording = decode(path)
    assert recording.duration_s == pytest.approx(2.0, abs=CODEC_DELAY_S)
    assert loudest_hz(recording.waveforms[0]) == pytest.approx(440, abs=2)
    assert recording.channels == (None,)
    assert recording.flags == ()
    assert recording.source.sample_rate_hz == encoded_rate


def test_telephone_rate_is_resampled_without_images(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(1.0, hz=3000, rate=8000), rate=8000)
    (waveform,) = decode(path).waveforms
    power = np.abs(np.fft.rfft(waveform.astype(float) * np.hanning(len(waveform)))) ** 2
    above_4_khz = power[len(power) // 2 + 50 :].sum()
    assert 10 * np.log10(power.sum() / above_4_khz) > 60


def test_sound_of_a_video_is_decoded(tmp_path):
    recording = decode(write_video(tmp_path / "a.mp4", with_sound=tone(1.0)))
    assert recording.duration_s == pytest.approx(1.0, abs=CODEC_DELAY_S)


def test_equal_channels_are_mixed(tmp_path):
    path = write_sound(tmp_path / "a.wav", [tone(2.0), tone(2.0)])
    recording = decode(path)
    assert recording.channels == (None,)
    np.testing.assert_allclose(recording.waveforms[0], tone(2.0), atol=1)


def talkers():
    """Two tones that take turns of a second."""
    turn = np.repeat([1, 0, 1, 0, 1, 0], 16_000).astype(np.int16)
    return tone(6.0, 200) * turn, tone(6.0, 310) * (1 - turn)


def test_one_speaker_per_channel_stays_apart(tmp_path):
    left, right = talkers()
    recording = decode(write_sound(tmp_path / "a.wav", [left, right]))
    assert recording.channels == (0, 1)
    np.testing.assert_array_equal(recording.waveforms[0], left)
    np.testing.assert_array_equal(recording.waveforms[1], right)


def test_cross_talk_does_not_hide_a_call(tmp_path):
    left, right = talkers()
    mixed = [left + right // 10, right + left // 10]
    assert decode(write_sound(tmp_path / "a.wav", mixed)).channels == (0, 1)


def test_one_silent_channel_is_no_call(tmp_path):
    path = write_sound(tmp_path / "a.wav", [tone(2.0), np.zeros(32_000, np.int16)])
    assert decode(path).channels == (None,)


def test_caller_may_decide_about_channels(tmp_path):
    path = write_sound(tmp_path / "a.wav", list(talkers()))
    assert decode(path, "mix").channels == (None,)
    alike = write_sound(tmp_path / "b.wav", [tone(1.0), tone(1.0)])
    assert decode(alike, "split").channels == (0, 1)


def test_truncated_m4a_gives_what_can_be_read(tmp_path):
    path = write_sound(tmp_path / "a.m4a", tone(4.0), "aac", movflags="faststart")
    recording = decode(truncate(path, 0.6))
    assert 1.5 < recording.duration_s < 3.5
    (flag,) = recording.flags
    assert flag["kind"] == "truncated"
    assert flag["end"] == pytest.approx(4.0, abs=CODEC_DELAY_S)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac")])
def test_truncated_files_are_flagged(tmp_path, name, codec):
    noise = np.random.default_rng(1).integers(-9000, 9000, 64_000).astype(np.int16)
    recording = decode(truncate(write_sound(tmp_path / name, noise, codec), 0.5))
    assert [flag["kind"] for flag in recording.flags] == ["truncated"]
    assert 1.0 < recording.duration_s < 2.1


def test_undecodable_packets_are_flagged_and_the_rest_is_kept(tmp_path):
    path = write_sound(tmp_path / "a.m4a", tone(6.0), "aac", movflags="faststart")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(content)
    recording = decode(path)
    assert recording.duration_s == pytest.approx(6.0, abs=2 * CODEC_DELAY_S)
    assert {flag["kind"] for flag in recording.flags} == {"gap", "damaged"}


def test_m4a_without_its_index_is_unreadable(tmp_path):
    path = truncate(write_sound(tmp_path / "a.m4a", tone(4.0), "aac"), 0.6)
    with pytest.raises(RecordingUnreadableError, match=r"a\.m4a: not a sound file, or damaged"):
        decode(path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.wav"
    path.touch()
    with pytest.raises(RecordingUnreadableError, match=r"a\.wav: empty, 0 bytes"):
        decode(path)


def test_text_under_a_false_name(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("Dear Sir or Madam,\n" * 100)
    with pytest.raises(RecordingUnreadableError, match="not a sound file"):
        decode(path)


def test_playlist_is_not_followed(tmp_path):
    secret = write_sound(tmp_path / "secret.wav", tone(1.0))
    path = tmp_path / "a.wav"
    path.write_text(f"ffconcat version 1.0\nfile '{secret.name}'\n")
    with pytest.raises(RecordingUnreadableError):
        decode(path)


def test_video_without_sound(tmp_path):
    with pytest.raises(NoAudioError, match="without a sound track"):
        decode(write_video(tmp_path / "a.mp4"))


def test_one_millisecond(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(0.001))
    with pytest.raises(RecordingTooShortError, match=r"1\.0 ms of sound, at least 25 ms"):
        decode(path)


def test_samples_that_are_no_numbers(tmp_path):
    sound = np.linspace(-0.5, 0.5, 16_000, dtype=np.float32)
    sound[8000:8010] = np.nan
    with pytest.raises(RecordingUnreadableError, match=r"10 samples near .* are not finite"):
        decode(write_sound(tmp_path / "a.wav", sound, "pcm_f32le"))


def test_missing_file(tmp_path):
    with pytest.raises(RecordingNotFoundError, match=r"a\.wav: no such file"):
        decode(tmp_path / "a.wav")


def test_header_without_any_sound(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(RecordingTooShortError):
        decode(tmp_path / "a.wav")


def test_hashes_are_of_the_file_and_of_the_samples(tmp_path):
    sound = tone(1.0)
    wav = decode(write_sound(tmp_path / "a.wav", sound))
    flac = decode(write_sound(tmp_path / "a.flac", sound, "flac"))
    assert wav.pcm_sha256 == flac.pcm_sha256
    assert wav.source.sha256 != flac.source.sha256


@pytest.mark.parametrize(
    ("suffix", "codec", "second"),
    [
        ("mp3", "libmp3lame", {"encoded_rate": 44_100}),
        ("mp3", "libmp3lame", {"stereo": True}),
        ("aac", "aac", {"encoded_rate": 44_100}),
    ],
)
def test_sound_whose_format_changes_midway_is_read_to_its_end(tmp_path, suffix, codec, second):
    stereo = second.pop("stereo", False)
    low = write_sound(tmp_path / f"low.{suffix}", tone(2.0, hz=300), codec)
    sound = [tone(2.0, hz=700)] * 2 if stereo else tone(2.0, hz=700)
    high = write_sound(tmp_path / f"high.{suffix}", sound, codec, **second)
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(low.read_bytes() + high.read_bytes())
    recording = decode(joined)
    assert recording.duration_s == pytest.approx(4.0, abs=2 * CODEC_DELAY_S)
    assert loudest_hz(recording.waveforms[0][:24_000]) == pytest.approx(300, abs=3)
    assert loudest_hz(recording.waveforms[0][-24_000:]) == pytest.approx(700, abs=3)


def test_a_name_that_is_not_utf_8_is_decoded_and_stored_printable(tmp_path):
    path = tmp_path / os.fsdecode("통화.wav".encode("cp949"))
    write_sound(tmp_path / "a.wav", tone(1.0)).rename(path)
    decode(path).source.path.encode()


def test_titles_that_are_not_utf_8_do_not_hide_the_sound(tmp_path):
    """Recorders in Korea write CP949."""
    path = write_sound(tmp_path / "a.wav", tone(1.0))
    title = "통화".encode("cp949")
    info = b"INFOINAM" + struct.pack("<I", len(title)) + title
    content = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    assert decode(path).duration_s == 1.0


def claiming(path, seconds):
    """A WAV file of 1 s at 16 kHz whose header says that it is longer."""
    content = bytearray(write_sound(path, tone(1.0)).read_bytes())
    struct.pack_into("<I", content, content.index(b"data") + 4, round(seconds * 32_000))
    path.write_bytes(content)
    return path


def test_a_claim_that_the_file_has_no_bytes_for_is_damage(tmp_path):
    recording = decode(claiming(tmp_path / "a.wav", 13 * 3600))
    assert recording.duration_s == 1.0


def test_a_claim_that_the_file_has_the_bytes_for_is_refused_at_once(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(3.0))
    heard = []
    with pytest.raises(RecordingLimitError, match=r"a\.wav: 0\.0 h of sound or more, at most"):
        decode(path, limits=DecodeLimits(recording_s=2.0), report=lambda *told: heard.append(told))
    assert heard == []


def test_a_stream_without_a_claim_is_cut_off_at_the_limit(tmp_path):
    path = write_sound(tmp_path / "a.aac", tone(3.0), "aac")
    with pytest.raises(RecordingLimitError, match="h of sound or more"):
        decode(path, limits=DecodeLimits(recording_s=2.0))


def test_a_codec_that_nobody_knows_is_named_as_the_reason(tmp_path):
    content = bytearray(write_sound(tmp_path / "a.wav", tone(1.0)).read_bytes())
    struct.pack_into("<H", content, 20, 0x1234)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(RecordingUnreadableError, match="codec that cannot be decoded"):
        decode(tmp_path / "a.wav")


def test_an_archive_is_not_searched_for_sound(tmp_path):
    sound = write_sound(tmp_path / "a.flac", tone(1.0), "flac")
    with zipfile.ZipFile(tmp_path / "b.flac", "w") as archive:
        archive.write(sound)
    with pytest.raises(RecordingUnreadableError, match="ZIP archive; unpack it first"):
        decode(tmp_path / "b.flac")


@pytest.mark.parametrize("change", ["grows", "is replaced", "goes"])
def test_a_file_that_changes_while_it_is_read_has_no_result(tmp_path, change):
    """Its hash would be of other bytes than its sound."""
    path = write_sound(tmp_path / "call.wav", tone(5))
    content = path.read_bytes()

    def report(read_bytes, decoded_s):
        if change == "grows":
            path.write_bytes(content + bytes(1000))
        else:
            path.unlink(missing_ok=True)
            if change == "is replaced":
                (tmp_path / "other").write_bytes(content)
                path.write_bytes(content)

    with pytest.raises(RecordingUnreadableError, match="changed while it was read"):
        decode(path, report=report)
