"""Only results are read, and nothing in them can break or turn around a page."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_results import conversation

from voiceman.errors import ResultUnreadableError
from voiceman_client.documents import read_result, shown


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "not JSON"),
        (b'{"schema": "voiceman.result/1", "score": NaN}', "NaN"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "its schema is None"),
        (b'{"schema": "voiceman.result/2"}', "its schema is"),
        (b'{"schema": "voiceman.result/1"}', "lacks flags, language"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_what_is_no_result_is_refused_by_name(tmp_path, content, why):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ResultUnreadableError, match=why) as caught:
        read_result(path)
    assert "x.json" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResultUnreadableError, match=r"gone\.json: cannot be read"):
        read_result(tmp_path / "gone.json")


def test_the_hash_is_that_of_the_file(tmp_path):
    path = tmp_path / "empty-sound.json"
    path.write_text(json.dumps(conversation()))
    assert len(read_result(path).sha256) == 64


def test_control_surrogate_and_direction_characters_become_visible():
    assert shown({"a\x00": ["b\u202ec", "\ud800", "d\x1b[31m", 1, None]}) == {
        "a\ufffd": ["b\ufffdc", "\ufffd", "d\ufffd[31m", 1, None]
    }


@given(st.text(alphabet=st.characters()))
def test_places_in_a_text_stay_where_they_are(text):
    """Findings are given by their places."""
    found = shown(text)
    assert len(found) == len(text)
    found.encode()
