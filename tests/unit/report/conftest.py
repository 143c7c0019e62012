"""What the tests of reports share: the pinned font with Hangul."""

import pytest

from voiceman_client.report import fonts


@pytest.fixture(scope="session")
def report_fonts(korean_font):
    """The fonts of the PDF, the catalogue's first."""
    return fonts.load(korean_font)
