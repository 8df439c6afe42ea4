"""The algebra of the Winograd kernels: what they compute is a multiple of the convolution."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases_winograd_dsp import convolution
from milliwatt.compiler.rows.winograd_dsp import F2, F4, ROWS, Scheme, fits, pack
from milliwatt.compiler.target import DSP, Target
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.types import Quant

# B' and a multiple of A', as kernels/mw_winograd_dsp.h has them.
CELLS = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
SUMS = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: (
        (2, -4, -4, 1, 1, 0),
        (0, -4, 4, 2, -2, 0),
        (0, -4, -4, 4, 4, 0),
        (0, -4, 4, 8, -8, 8),
    ),
}
TARGET = Target(frozenset({DSP}))


@pytest.mark.parametrize(("scheme", "times"), [(F2, 4), (F4, 576)], ids=["F2", "F4"])
def test_transforms_are_a_convolution(scheme: Scheme, times: int) -> None:
    """Of any cells and kernel, exactly; the odd part of the factor is divided by first."""
    rng = np.random.default_rng(1)
    b, a, g = (np.array(m) for m in (CELLS[scheme.side], SUMS[scheme.side], scheme.kernel))
    cells = rng.integers(-128, 128, (scheme.side + 2, scheme.side + 2))
    kernel = rng.integers(-127, 128, (3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(cells, (3, 3))
    wanted = (windows * kernel).sum(axis=(2, 3))
    got = a @ ((g @ kernel @ g.T) * (b @ cells @ b.T)) @ a.T
    np.testing.assert_array_equal(got, times * wanted)
    assert times in (1 << scheme.shift, 9 << scheme.shift)


@pytest.mark.parametrize(("scheme", "cells", "kernel"), [(F2, 512, 1143), (F4, 12800, 6223)])
def test_lanes_hold_what_is_transformed(scheme: Scheme, cells: int, kernel: int) -> None:
    """The largest magnitudes that the kernels' head comments state; 16 bits have them."""
    b, g = (np.abs(np.array(m)).sum(axis=1) for m in (CELLS[scheme.side], scheme.kernel))
    assert 128 * b.max() ** 2 == cells < 1 << 15
    assert 127 * g.max() ** 2 == kernel < 1 << 15


@pytest.mark.parametrize("scheme", [F2, F4], ids=["F2", "F4"])
def test_packed_weights(scheme: Scheme) -> None:
    """Pair of outputs, position, pair of channels, output: lanes (0, 2) and (1, 3) of four."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-127, 128, (4, 3, 3, 8)).astype(np.int8)
    side, g = len(scheme.order), np.array(scheme.kernel)
    packed = pack(weight, scheme).view(np.int16).reshape(2, scheme.positions, 4, 2, 2)
    for o, j, i, c in [(0, 0, 0, 0), (1, 2, 1, 6), (3, side - 1, side - 1, 5), (2, 1, 0, 3)]:
        wanted = g[scheme.order[i]] @ weight[o, :, :, c].astype(int) @ g[j]
        at = packed[o // 2, side * j + i, 2 * (c // 4) + c % 2, o % 2, c % 4 // 2]
        assert at == wanted


def test_sums_beyond_32_bits_are_not_taken() -> None:
    """64 times the sum has to fit: F(4x4) takes 229 channels of the largest weights, not 232."""
    assert fits(convolution((1, 3, 3, 228), 2, (0, 0, 0, 0), fill=127), F4, 1)
    beyond = convolution((1, 3, 3, 232), 2, (0, 0, 0, 0), fill=127)
    assert not fits(beyond, F4, 1)
    assert fits(beyond, F2, 1)


def test_other_convolutions_are_not_taken() -> None:
    """Channels out of fours, an odd number of results, another kernel."""
    for node in (
        convolution((1, 6, 6, 6), 2, (1, 1, 1, 1)),
        convolution((1, 6, 6, 8), 3, (1, 1, 1, 1)),
    ):
        assert not any(row.matches(node, TARGET) for row in ROWS)
    node = convolution((1, 6, 6, 8), 2, (1, 1, 1, 1))
    assert any(row.matches(node, TARGET) for row in ROWS)
    assert not any(row.matches(node) for row in ROWS)
    weight = constant(np.ones((2, 1, 3, 8), np.int8), "w", Quant.per_tensor(0.01))
    flat = Node(node.op, (node.src[0], weight, node.src[2]), node.attrs, "y")
    assert not any(row.matches(flat, TARGET) for row in ROWS)
