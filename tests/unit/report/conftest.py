"""What the tests of reports share: the pinned font with Hangul."""

import pytest

from voiceman_client.report import fonts
from voiceman_export.assets import fetch
from voiceman_export.registries import ProgramMissingError


@pytest.fixture(scope="session")
def korean_font():
    """Path of the catalogue's font."""
    try:
        return fetch("korean-font") / "NanumGothic_400Regular.ttf"
    except ProgramMissingError as err:
        pytest.skip(f"no font with Hangul: {err}")


@pytest.fixture(scope="session")
def report_fonts(korean_font):
    """The fonts of the PDF, the catalogue's first."""
    return fonts.load(korean_font)
