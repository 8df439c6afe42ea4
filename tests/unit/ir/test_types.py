"""Types: sizes, limits, quantization parameters and the text they print as."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph
from milliwatt.ir.types import DType, Quant, Type, dtype_of


@pytest.mark.parametrize("dtype", list(DType))
def test_dtype_agrees_with_numpy(dtype: DType) -> None:
    """Every DType stores as the NumPy type of its name and is found back from an array.

    An s4 is stored as int8, which alone reads back as s8.
    """
    array = np.zeros(3, dtype.numpy)
    assert dtype_of(array) is (DType.S8 if dtype is DType.S4 else dtype)
    assert dtype.itemsize == array.itemsize
    assert str(dtype) == dtype.value


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [(DType.S8, (-128, 127)), (DType.U8, (0, 255)), (DType.S32, (-(2**31), 2**31 - 1))],
)
def test_limits(dtype: DType, limits: tuple[int, int]) -> None:
    """Integer types know their range."""
    assert dtype.limits == limits


def test_type_counts_bytes_and_prints_short() -> None:
    """Bytes follow from shape and element type; a scalar has one element."""
    assert Type((1, 49, 10, 1), DType.S8).nbytes == 490
    assert Type((2, 3), DType.S32).nbytes == 24
    assert Type((), DType.F32).size == 1
    assert Type((1, 49, 10, 1), DType.S8, Quant.per_tensor(0.5, 3)).short == "s8[1,49,10,1]"


def test_per_tensor_scale_is_rounded_to_float32() -> None:
    """TFLite stores float32 scales, so that is what is held."""
    quant = Quant.per_tensor(0.1, -7)
    assert quant.scale == (float(np.float32(0.1)),)
    assert quant.zero_point == (-7,)
    assert quant.axis is None
    assert Type((4,), DType.S8, quant).scale == float(np.float32(0.1))
    assert Type((4,), DType.S8, quant).zero_point == -7


def test_per_axis_is_symmetric() -> None:
    """Per-axis quantization has zero points of 0 and keeps its axis."""
    quant = Quant.per_axis(np.array([0.25, 0.5]), 3)
    assert (quant.scale, quant.zero_point, quant.axis) == ((0.25, 0.5), (0, 0), 3)
    assert quant.scales.dtype == np.float32


def test_unquantized_type_reads_as_scale_one() -> None:
    """Without quantization a value is its own real value."""
    kind = Type((4,), DType.F32)
    assert (kind.scale, kind.zero_point) == (1.0, 0)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_bad_scale_is_refused(scale: float) -> None:
    """A scale must be finite and above 0; the message shows it."""
    with pytest.raises(InvalidGraph, match=r"quantization scale is .*; a finite number above 0"):
        Quant((scale,), (0,))


def test_counts_must_agree() -> None:
    """As many zero points as scales, and one of each per tensor."""
    with pytest.raises(InvalidGraph, match="2 scales and 1 zero points"):
        Quant((1.0, 2.0), (0,), 0)
    with pytest.raises(InvalidGraph, match="per-tensor quantization has 2 scales; 1 wanted"):
        Quant((1.0, 2.0), (0, 0))
    with pytest.raises(InvalidGraph, match="0 scales"):
        Quant((), (), 0)


def test_equality_is_by_value() -> None:
    """Types with equal parts are equal and hash alike."""
    one, other = (Type((1, 2), DType.S8, Quant.per_tensor(0.5, 1)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Type((1, 2), DType.S8, Quant.per_tensor(0.5, 2))
