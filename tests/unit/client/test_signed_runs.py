"""A signed run is its signer's, and nobody else can make it so."""

import shutil
import sys
from pathlib import Path

import pytest
from run_folders import command, findings, forge, rewrite

from voiceman_client.chain import read_chain, write_line
from voiceman_client.integrity import verify
from voiceman_client.run_log import LOG_NAME


@pytest.fixture
def keys(tmp_path):
    """Two private keys, their public ones beside them."""
    pytest.importorskip("cryptography")
    paths = [tmp_path / "ours", tmp_path / "theirs"]
    for path in paths:
        assert command("keygen", path).exit_code == 0
        assert path.stat().st_mode & 0o077 == 0
    return paths


def public(key):
    return Path(f"{key}.pub")


def test_a_signed_run_is_its_signers(server, recordings, tmp_path, keys):
    ours, theirs = keys
    folder = tmp_path / "signed"
    assert command("submit", recordings[0], "-o", folder, "--sign", ours).exit_code == 0
    done = command("verify", folder, "--public-key", public(ours))
    assert done.exit_code == 0, done.output
    assert "signed by " in done.stdout
    assert "signed by another key" in findings(folder, public_key=public(theirs))[LOG_NAME]
    assert "not checked" in command("verify", folder).stdout
    path = folder / "0.json"
    path.write_text(path.read_text().replace("a", "b"))
    forge(folder, {"0.json": path})
    assert LOG_NAME in findings(folder, public_key=public(ours))


def test_an_unsigned_run_is_said_to_be_so(results, keys):
    found = findings(results, public_key=public(keys[0]))
    assert found == {LOG_NAME: "the last run is not signed"}


def test_a_seal_signed_with_another_key_is_not_ours(server, recordings, tmp_path, keys):
    """The signer's key in the line is swapped for ours, and the line's hash made again."""
    ours, theirs = keys
    folder = tmp_path / "signed"
    assert command("submit", recordings[0], "-o", folder, "--sign", theirs).exit_code == 0
    assert command("submit", recordings[0], "-o", tmp_path / "x", "--sign", ours).exit_code == 0
    key = verify(tmp_path / "x").public_key
    *lines, signed = read_chain((folder / LOG_NAME).read_bytes()).lines
    facts = {**signed.facts, "public_key": key}
    content, _ = write_line(signed.sequence, "now", signed.event, facts, lines[-1].sha256)
    rewrite(folder, lambda raw: [*raw[:-1], content])
    assert "not one that the key" in findings(folder, public_key=public(ours))[LOG_NAME]


@pytest.mark.parametrize("content", ["", "no key"])
def test_what_is_no_key_is_refused_before_any_work(recordings, tmp_path, content):
    pytest.importorskip("cryptography")
    key = tmp_path / "key"
    key.write_text(content)
    done = command("submit", recordings[0], "-o", tmp_path / "results", "--sign", key)
    assert done.exit_code == 2
    assert "not a PEM file of an Ed25519PrivateKey" in done.output
    assert not (tmp_path / "results").exists()


def test_without_the_package_it_is_said_what_to_install(recordings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    monkeypatch.delitem(sys.modules, "voiceman_client.signing", raising=False)
    for arguments in (("keygen", "key"), ("submit", recordings[0], "--sign", "key")):
        done = command(*arguments)
        assert done.exit_code == 2
        assert "pip install 'voiceman[sign]'" in done.output


def test_an_earlier_signed_state_put_back_is_found_by_the_last_seal_alone(
    server, recordings, tmp_path, keys
):
    folder, earlier = tmp_path / "signed", tmp_path / "earlier"
    assert command("submit", recordings[0], "-o", folder, "--sign", keys[0]).exit_code == 0
    shutil.copytree(folder, earlier)
    assert command("submit", recordings[1], "-o", folder, "--sign", keys[0]).exit_code == 0
    seal = verify(folder).seal
    assert findings(folder, public_key=public(keys[0]), seal=seal) == {}
    assert findings(earlier, public_key=public(keys[0])) == {}
    assert LOG_NAME in findings(earlier, public_key=public(keys[0]), seal=seal)


def test_a_key_is_never_overwritten(keys):
    done = command("keygen", keys[0])
    assert done.exit_code == 2
    assert "File exists" in done.output
