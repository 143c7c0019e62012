"""What a caller may write into OPTIONS, and how everything else is answered."""

import pytest

from voiceman.errors import InvalidRequestError
from voiceman.options import WindowOptions, parse_window_options


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_nothing_stands_for_the_defaults(text: str):
    assert parse_window_options(text) == WindowOptions()


def test_options_are_read():
    options = parse_window_options(
        '{"timestamps": false, "max_new_tokens": 7, "initial_prompt": "서울", "hotwords": "김",'
        ' "temperatures": [0, 0.5], "min_avg_logprob": -2, "deadline_unix_s": 1}'
    )
    assert options == WindowOptions(
        timestamps=False,
        max_new_tokens=7,
        initial_prompt="서울",
        hotwords="김",
        temperatures=(0, 0.5),
        min_avg_logprob=-2,
        deadline_unix_s=1,
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not valid JSON"),
        ("[1]", "JSON object"),
        ("[" * 100_000, "not valid JSON"),
        ('{"timestamp": true}', "timestamp"),
        ('{"timestamps": 1}', "timestamps"),
        ('{"max_new_tokens": true}', "max_new_tokens"),
        ('{"max_new_tokens": 0}', "1 to 444"),
        ('{"max_new_tokens": 445}', "1 to 444"),
        ('{"max_new_tokens": 7.5}', "max_new_tokens"),
        ('{"initial_prompt": null}', "initial_prompt"),
        ('{"initial_prompt": "\\ud800"}', "initial_prompt"),
        ('{"hotwords": ["a"]}', "hotwords is .*expected str"),
        ('{"hotwords": "\\ud800"}', "hotwords"),
        ('{"temperatures": 0}', "temperatures is 0, expected list of numbers"),
        ('{"temperatures": []}', "ascending"),
        ('{"temperatures": [0.5, 0]}', "ascending"),
        ('{"temperatures": [0, 1.5]}', "each 0 or from 0.01 to 1"),
        ('{"temperatures": [NaN]}', "each 0 or from 0.01 to 1"),
        ('{"temperatures": [1e-40]}', "each 0 or from 0.01 to 1"),
        (f'{{"temperatures": {[n / 100 for n in range(90)]}}}', "1 to 10 numbers"),
        (f'{{"min_avg_logprob": {10**400}}}', "min_avg_logprob is too large"),
        (f'{{"min_avg_logprob": {"1" * 5000}}}', "not valid JSON"),
        ('{"temperatures": [true]}', "temperatures"),
        ('{"max_compression_ratio": NaN}', "max_compression_ratio"),
        ('{"deadline_unix_s": "soon"}', "deadline_unix_s"),
        ('{"deadline_unix_s": NaN}', "deadline_unix_s"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, named: str):
    with pytest.raises(InvalidRequestError, match=named):
        parse_window_options(text)
