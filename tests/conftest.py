"""What every test shares: reproducible examples and a compiler cache that is not the user's."""

from __future__ import annotations

import os

import hypothesis
import pytest

# The same examples on every run; a failing one prints as a plain call that reproduces it.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled objects beside pytest's cache: warm in the next run, not in the user's home."""
    os.environ.setdefault("MILLIWATT_CACHE", str(config.rootpath / ".pytest_cache" / "milliwatt"))
