"""The two evenings that most commands are asked about. The daemon still holds the journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.story import Story, everyday, recovered


@pytest.fixture
def doubt(tmp_path: Path) -> Iterator[Story]:
    """A sale is in doubt, its reversal pending and the line down."""
    story = everyday(tmp_path)
    yield story
    story.close()


@pytest.fixture
def after(tmp_path: Path) -> Iterator[Story]:
    """It was reversed after a power cut, and the paper ran out."""
    story = recovered(tmp_path)
    yield story
    story.close()
