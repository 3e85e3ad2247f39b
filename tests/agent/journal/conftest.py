"""What several tests of the journal need."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test is."""
    return tmp_path / "j.db"
