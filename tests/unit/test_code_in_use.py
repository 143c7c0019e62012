"""The hash that stands for the weights of models without any: the package's code and tables."""

from voiceman import manifest
from voiceman.manifest import code_in_use


def test_code_and_tables_count_and_what_python_compiles_does_not(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    code, table = tmp_path / "manifest.py", tmp_path / "data" / "scoring.toml"
    code.write_text("1")
    table.write_text("weight = 0.5")
    monkeypatch.setattr(manifest, "__file__", str(code))
    before = code_in_use()
    (tmp_path / "manifest.cpython-311.pyc").touch()
    assert code_in_use() == before
    table.write_text("weight = 0.6")
    changed = code_in_use()
    assert changed["sha256"] != before["sha256"]
    code.write_text("2")
    assert code_in_use()["sha256"] not in {before["sha256"], changed["sha256"]}


def test_the_package_is_named_with_its_version():
    assert code_in_use()["name"] == "voiceman"
    assert code_in_use()["version"]
