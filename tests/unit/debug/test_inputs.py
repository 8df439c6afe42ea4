"""Inputs of a run: what is taken, how floats are quantized, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.debug.inputs import as_inputs, random_inputs, samples, split
from milliwatt.errors import BadData
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

HALVES = Quant.per_tensor(0.5, 10)


def quantized(shape: tuple[int, ...] = (1, 4)) -> Graph:
    """One s8 input: real = 0.5 * (q - 10), from -69 to 58.5."""
    x = graph_input(shape, DType.S8, "x", HALVES)
    return Graph((x,), (x,), name="one")


def two() -> Graph:
    """Two f32 inputs."""
    a, b = (graph_input((1, 3), DType.F32, name) for name in "ab")
    return Graph((a, b), (Node(Op.ADD, (a, b), Elementwise(), "sum"),), name="two")


def test_floats_are_quantized_half_away_from_zero_and_saturated() -> None:
    """TFLite's rounding, by hand: round(x / 0.5) + 10, limits -128 and 127."""
    (x,) = as_inputs(quantized(), [0.25, -0.25, 60.0, -100.0])
    assert x.dtype == np.int8
    np.testing.assert_array_equal(x, [[11, 9, 127, -128]])


def test_the_graphs_own_type_passes_unchanged() -> None:
    """Same bytes, with or without the batch axis, and in a tuple of one."""
    values = np.array([[-128, 0, 1, 127]], np.int8)
    for given in (values, values[0], (values,)):
        np.testing.assert_array_equal(as_inputs(quantized(), given)[0], values)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((1, 5), np.int8), r"x: int8\[1, 5\] given; s8\[1,4\] wanted"),
        (np.zeros((1, 4), np.uint8), r"x: uint8\[1, 4\] given; s8\[1,4\] wanted, or real values"),
        (np.array([0, np.nan, 0, 0]), r"x: NaN at \[0, 1\]; finite values wanted"),
        (np.array([0, 0, np.inf, 0]), r"x: infinity at \[0, 2\]"),
        (np.array([0, 0, 0, 187.0]), r"x: values from 0 to 187 given; -69 to 58.5 wanted"),
        (np.array([-197.0, 0, 0, 0]), r"x: values from -197 to 0 given"),
        (["a", "b", "c", "d"], r"x: <U1\[4\] given"),
        (None, r"x: object\[\] given"),
        ((np.zeros(4), np.zeros(4)), r"x: float64\[2, 4\] given"),
        ([[1.0], [1.0, 2.0]], r"x: not an array"),
    ],
)
def test_wrong_inputs_are_refused_by_name(value: object, message: str) -> None:
    """The input, what was found, what is wanted."""
    with pytest.raises(BadData, match=message):
        as_inputs(quantized(), value)


def test_saturation_reaches_one_span_beyond_the_range() -> None:
    """58.5 + 127.5 still saturates; anything above is data on another scale."""
    assert as_inputs(quantized(), [0, 0, 0, 186.0])[0][0, 3] == 127


def test_several_inputs_come_as_a_tuple() -> None:
    """One array each, named in the error where the number is wrong."""
    found = as_inputs(two(), (np.zeros(3), np.ones(3, np.float16)))
    assert [x.dtype for x in found] == [np.float32, np.float32]
    with pytest.raises(BadData, match="two: 1 inputs given; 2 wanted, for a, b"):
        as_inputs(two(), np.zeros(3))


def test_unquantized_integers_take_no_floats() -> None:
    """Without a scale a float has no meaning."""
    x = graph_input((1, 2), DType.S32, "n")
    with pytest.raises(BadData, match="it has no scale for floats"):
        as_inputs(Graph((x,), (x,)), [0.5, 1.0])


def test_samples_stack_along_the_first_axis() -> None:
    """Arrays, tuples of arrays and iterables; errors carry the sample's number."""
    assert len(list(samples(quantized(), np.zeros((5, 4))))) == 5
    assert len(list(samples(quantized(), iter([np.zeros(4)] * 2)))) == 2
    assert len(list(samples(two(), (np.zeros((6, 3)), np.zeros((6, 3)))))) == 6
    with pytest.raises(BadData, match=r"two: inputs hold \[6, 5\] samples; equal numbers wanted"):
        list(samples(two(), (np.zeros((6, 3)), np.zeros((5, 3)))))
    bad = np.zeros((3, 4))
    bad[2, 1] = np.nan
    with pytest.raises(BadData, match=r"sample 2: input x: NaN"):
        list(samples(quantized(), bad))
    with pytest.raises(BadData, match="int given; an array of samples wanted"):
        list(samples(quantized(), 3))


def test_split_tells_one_from_many() -> None:
    """A file of one input and a file of a stack, also where the batch axis is left out."""
    for shape, count in (((4,), 1), ((1, 4), 1), ((7, 4), 7), ((7, 1, 4), 7)):
        assert len(split(quantized(), (np.zeros(shape),))) == count
    with pytest.raises(BadData, match=r"float64\[0, 4\] given"):
        split(quantized(), (np.zeros((0, 4)),))
    with pytest.raises(BadData, match=r"float64\[\] given"):
        split(quantized(), (np.zeros(()),))


def test_random_inputs_repeat_and_cover_the_range() -> None:
    """The same bytes for a seed, both ends of the integers, floats within -1 and 1."""
    graph = quantized((1, 20000))
    (x,) = random_inputs(graph, 3)
    np.testing.assert_array_equal(x, random_inputs(graph, 3)[0])
    assert (x.min(), x.max()) == (-128, 127)
    assert not np.array_equal(x, random_inputs(graph, 4)[0])
    assert all(np.abs(v).max() <= 1 and v.dtype == np.float32 for v in random_inputs(two()))
