"""What every test shares: reproducible examples and a compiler cache that is not the user's."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples on every run; a failing one prints as a plain call that reproduces it.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


# What a user or a CI service may set and what changes how a command looks or whether Python warns.
FOREIGN = (
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "LINES",
    "NO_COLOR",
    "PYTHONWARNINGS",
    "PY_COLORS",
    "TERMINAL_WIDTH",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
)


def pytest_configure(config: pytest.Config) -> None:
    """One environment everywhere; compiled objects beside pytest's cache, not in the user's home.

    They are warm in the next run.
    """
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.setdefault("MILLIWATT_CACHE", str(config.rootpath / ".pytest_cache" / "milliwatt"))


# What `make check` leaves to `make test`: long, and seldom the first to fail.
SLOW = (
    "conformance/test_aims.py",
    "conformance/test_audio_preprocessor.py",
    "conformance/test_core_types.py",
    "conformance/test_micro_wake_word.py",
    "conformance/test_models.py",
    "conformance/test_moves.py",
    "conformance/test_signal_ops.py",
    "conformance/test_single_ops.py",
    "conformance/test_streaming.py",
    "emulate/test_dsp_conv.py",
    "emulate/test_dsp_depthwise.py",
    "emulate/test_dsp_elementwise.py",
    "emulate/test_dsp_matrix.py",
    "emulate/test_dsp_winograd.py",
    "emulate/test_speed_gates.py",
    "emulate/test_spills.py",
    "kernels/test_core_types.py",
    "kernels/test_grids.py",
    "kernels/test_pointwise_math.py",
    "kernels/test_ranges",
    "kernels/test_rules.py::test_warnings_of_zig",
    "property/test_constant_channels.py",
    "property/test_effort.py",
    "property/test_memory.py::test_models",
    "property/test_passes.py",
    "property/test_states.py",
    "regression/test_fuzz_slice.py",
    "unit/compiler/test_scan.py",
    "unit/compress/test_int16.py",
    "unit/compress/test_operators.py",
    "unit/compress/test_scans.py",
    "unit/compress/test_states.py",
    "unit/formats/test_bridge.py::test_any_batch_is_the_samples_one_by_one",
    "unit/formats/test_bridge.py::test_networks_train_a_step",
    "unit/formats/test_layout.py",
    "unit/formats/test_tflite_loading.py::test_twenty_thousand",
    "unit/formats/test_tflite_unsigned.py",
    "unit/formats/test_torch.py",
    "unit/formats/test_torch_errors.py",
    "unit/formats/test_torch_recurrent.py",
    "unit/test_doc_pages.py",
    "unit/test_docs.py::test_the_tutorial",
    "unit/zoo/test_digits.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of SLOW."""
    here = Path(__file__).parent.name
    for item in items:
        if item.nodeid.removeprefix(f"{here}/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)
