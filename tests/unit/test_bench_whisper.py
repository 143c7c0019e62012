import numpy as np

from perf.bench_whisper import in_turn, ratios, summarise
from perf.peers.process import Round
from perf.texts import agreement, characters, differences, normalise
from perf.whisper_corpus import join_clips
from perf.whisper_windows import compare_words, matching_words


def test_every_other_round_runs_in_reverse_order() -> None:
    assert in_turn(["a", "b", "c"], 3) == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


def test_characters_do_not_count_spaces() -> None:
    assert characters(["가 나\n다", " ab "]) == 5


def test_figures_are_medians_and_bests_over_rounds() -> None:
    rounds = [
        Round(("ab c",), wall, cpu, 10.0) for wall, cpu in ((4.0, 8.0), (2.0, 3.0), (5.0, 6.0))
    ]
    figures = summarise(rounds, audio_s=60.0)
    assert (figures["rtfx_median"], figures["rtfx_best"]) == (15.0, 30.0)
    assert (figures["cpu_s_per_audio_s_median"], figures["cpu_s_per_audio_s_best"]) == (0.1, 0.05)
    assert (figures["characters"], figures["same_text_in_all_rounds"]) == (3, True)


def test_texts_that_differ_between_rounds_are_told() -> None:
    rounds = [Round((text,), 1.0, 1.0, 1.0) for text in ("a", "b")]
    assert not summarise(rounds, audio_s=1.0)["same_text_in_all_rounds"]


def test_ratios_hold_our_speed_against_every_other_engine() -> None:
    speeds = {"voiceman-fp32": 30.0, "voiceman-int8": 60.0, "openai-whisper": 10.0}
    text = ratios({name: {"rtfx_median": speed} for name, speed in speeds.items()})
    assert text.splitlines()[-1].endswith("| 3.00 | 6.00 |")


def test_clips_are_joined_with_a_second_of_silence() -> None:
    joined = join_clips([np.ones(5, np.int16), np.ones(7, np.int16)])
    assert len(joined) == 5 + 16000 + 7
    assert not joined[5:16005].any()


def test_normalising_keeps_letters_and_digits_of_any_script() -> None:
    assert normalise("Héllo, Wörld! ４명… 沃森?") == "héllowörld4명沃森"


def test_agreement_ignores_case_spaces_and_punctuation() -> None:
    assert agreement(["Hello, world."], ["hello WORLD"]) == 1.0


def test_agreement_counts_what_is_missing_and_what_was_added() -> None:
    assert agreement(["abcdefghij", "abcdefghij"], ["abcdefghi", "abcdefghijk"]) == 0.9


def test_differences_show_both_sides_in_context() -> None:
    assert differences("the cat sat", "the bat sat on", context=3) == ["the[c|b]ats", "sat[|on]"]


def test_words_are_matched_by_their_text() -> None:
    left = [{"word": w, "start": s, "end": s + 0.2} for w, s in ((" The", 0.0), (" cat,", 0.2))]
    right = [
        {"word": w, "start": s, "end": s + 0.3} for w, s in (("a", 0.1), ("cat", 0.26), ("!", 0.6))
    ]
    pairs = matching_words(left, right)
    assert [(a["word"], b["word"]) for a, b in pairs] == [(" cat,", "cat")]


def test_distances_of_words_are_in_milliseconds() -> None:
    theirs = [
        [{"word": "one", "start": 1.0, "end": 1.2}, {"word": "two", "start": 1.2, "end": 1.5}]
    ]
    ours = [[{"word": "one", "start": 1.02, "end": 1.2}, {"word": "two", "start": 1.3, "end": 1.5}]]
    figures = compare_words(theirs, ours)
    assert figures["mean_ms"] == {"start": 60.0, "end": 0.0, "both": 30.0}
    assert (figures["matched"], figures["share_within_40_ms"]) == (2, 0.75)
