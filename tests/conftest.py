"""What every test shares: reproducible examples and a compiler cache that is not the user's."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples on every run; a failing one prints as a plain call that reproduces it.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled objects beside pytest's cache: warm in the next run, not in the user's home."""
    os.environ.setdefault("MILLIWATT_CACHE", str(config.rootpath / ".pytest_cache" / "milliwatt"))


# What `make check` leaves to `make test`: long, and seldom the first to fail.
SLOW = (
    "conformance/test_models.py",
    "conformance/test_single_ops.py",
    "unit/formats/test_layout.py::test_random_networks",
    "unit/formats/test_bridge.py::test_any_batch_is_the_samples_one_by_one",
    "unit/formats/test_bridge.py::test_networks_train_a_step",
    "unit/formats/test_torch_errors.py",
    "unit/zoo/test_digits.py",
    "property/test_passes.py::test_passes_keep_meaning_on_models",
    "property/test_memory.py::test_models",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of SLOW."""
    here = Path(__file__).parent.name
    for item in items:
        if item.nodeid.removeprefix(f"{here}/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)
