"""`voiceman-client patterns check`, and what is sent of a file of patterns."""

import hashlib

import pytest
from click.testing import CliRunner

from voiceman.errors import ConfigurationError
from voiceman.options import MOST_PATTERNS_BYTES
from voiceman_client.cli import main
from voiceman_client.patterns import read_patterns

TABLE = """
language = "ko"
[[pattern]]
id = "my-flowers"
category = "drugs"
severity = 0.5
all = ["장미|백합/N", "팔/V"]
matches = ["장미 팔아요"]
harmless = ["{harmless}"]
source = "a code word"
"""


def check(tmp_path, text: str):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["patterns", "check", str(path)])


def test_patterns_that_hold_are_listed(tmp_path):
    result = check(tmp_path, TABLE.format(harmless="장미가 예쁘네요"))
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("mine.toml: my-flowers: holds\n")


def test_a_broken_example_is_named_and_fails(tmp_path):
    result = check(tmp_path, TABLE.format(harmless="백합을 팔았어"))
    assert result.exit_code == 1
    assert result.stdout.endswith("mine.toml: my-flowers: broken\n")
    assert "my-flowers: must be harmless, found my-flowers: 백합을 팔았어" in result.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("language = ", "mine.toml"),
        (TABLE.replace('"drugs"', '"flowers"'), "pattern my-flowers: unknown category"),
        (TABLE.replace('language = "ko"', 'language = "xx"'), "language 'xx'"),
        (TABLE.replace("severity = 0.5", ""), "pattern my-flowers: severity is missing"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_by_name(tmp_path, text, named):
    result = check(tmp_path, text)
    assert result.exit_code == 1
    assert named in result.stderr


def test_what_is_sent_is_the_file_with_its_hash(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE, encoding="utf-8")
    read = read_patterns(path)
    assert (read.text, read.sha256) == (TABLE, hashlib.sha256(TABLE.encode()).hexdigest())
    path.write_text("#" * (MOST_PATTERNS_BYTES + 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"mine\.toml: 65537 bytes"):
        read_patterns(path)
