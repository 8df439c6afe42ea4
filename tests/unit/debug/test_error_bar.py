"""A report's honesty: the error bar of cycles and the difference from the reference."""

from __future__ import annotations

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.debug.report import largest_difference
from milliwatt.emulate.machine import FLOAT_ERROR_PERCENT
from support.quantize_nets import samples, small_cnn


@pytest.mark.parametrize(
    ("board", "of_float"), [("nucleo-l4r5zi", FLOAT_ERROR_PERCENT), ("esp32-c3", 30), ("host", 0)]
)
def test_float_kernels_widen_the_bar(board: str, of_float: float) -> None:
    """At least 7 % on a board where float layers ran; a wider bar of the board's own stays."""
    firmware = mw.build(small_cnn(), board=board)
    report = firmware.profile(np.zeros((8, 8, 3), np.float32))
    assert report.error_percent == of_float
    assert firmware.run(np.zeros((8, 8, 3), np.float32)).error_percent == of_float
    if board != "host":
        assert f"within {of_float:g} %" in str(report)


def test_integer_kernels_keep_the_boards_bar() -> None:
    """An int8 model on the calibrated board: the 5 % of its file."""
    graph = mw.quantize(small_cnn(), samples(small_cnn(), 4))
    assert mw.build(graph, board="nucleo-l4r5zi").profile().error_percent == 5


def test_difference_of_values_that_are_not_finite() -> None:
    """Equal infinities and NaN on both sides differ by nothing, one side alone by that."""
    huge = np.array([np.inf, -np.inf, np.nan, 1, 2], np.float32)
    assert largest_difference((huge,), (huge.copy(),)) == 0
    assert largest_difference((huge,), (huge - np.float32([0, 0, 0, 0, 0.5]),)) == 0.5
    assert largest_difference((huge,), (np.float32([1, -np.inf, np.nan, 1, 2]),)) == np.inf
    assert np.isnan(largest_difference((huge,), (np.float32([np.inf, -np.inf, 0, 1, 2]),)))
