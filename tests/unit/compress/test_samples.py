"""Data in all the forms users have it, and one clear line for data that does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.samples import batches, collect
from milliwatt.errors import BadData
from milliwatt.ir.attrs import Elementwise, Unary
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType


def one_input(shape: tuple[int, ...] = (1, 2, 3)) -> Graph:
    """tanh(x)."""
    x = graph_input(shape, DType.F32, "x")
    return Graph((x,), (Node(Op.TANH, (x,), Unary(), "y"),))


def two_inputs() -> Graph:
    """a + b."""
    a, b = (graph_input((1, 2), DType.F32, name) for name in "ab")
    return Graph((a, b), (Node(Op.ADD, (a, b), Elementwise(), "y"),))


VALUES = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
FORMS = {
    "array": VALUES,
    "array with batch axes": VALUES[:, None],
    "list of samples": list(VALUES),
    "tuple of samples": tuple(VALUES),
    "list of batched samples": list(VALUES[:, None]),
    "batches": [VALUES[:3], VALUES[3:]],
    "1-tuples": [(v,) for v in VALUES],
    "1-lists": [[v[None]] for v in VALUES],
    "float64": VALUES.astype(np.float64),
    "float16": VALUES.astype(np.float16),
    "function": lambda: iter(VALUES),
    "one sample of 4": lambda: ([v] for v in VALUES),
    "column": (VALUES,),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_samples(form) -> None:
    """f32 [4,2,3] whatever the form."""
    (got,) = collect(one_input(), form)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, VALUES)


def test_generator_is_streamed() -> None:
    """Samples are asked for one at a time."""
    asked = []

    def source():
        for index, value in enumerate(VALUES):
            asked.append(index)
            yield value

    next(batches(one_input(), source()))
    assert asked == [0]


def test_torch_tensors() -> None:
    """What a DataLoader yields goes as it is."""
    torch = pytest.importorskip("torch")
    (got,) = collect(one_input(), [torch.from_numpy(VALUES)])
    np.testing.assert_array_equal(got, VALUES)


def test_several_inputs() -> None:
    """A tuple or list of columns, or an iterable of tuples."""
    a, b = VALUES[:, 0, :2], VALUES[:, 1, :2]
    for data in ((a, b), [a, b], list(zip(a, b, strict=True))):
        got = collect(two_inputs(), data)
        np.testing.assert_array_equal(got[0], a)
        np.testing.assert_array_equal(got[1], b)


def test_input_without_batch_axis() -> None:
    """One whole input, or a stack of them."""
    graph = one_input((2, 3))
    assert collect(graph, VALUES)[0].shape == (4, 2, 3)
    assert collect(graph, VALUES[0])[0].shape == (1, 2, 3)


NAN = VALUES.copy()
NAN[2, 1, 1] = np.nan
INFINITE = VALUES.copy()
INFINITE[3, 0, 0] = np.inf
BAD = {
    "empty list": ([], "data holds no samples"),
    "empty array": (VALUES[:0], "holds no samples"),
    "nan": (NAN, "sample 2, input x: NaN found"),
    "nan in a list": (list(NAN), "sample 2, input x: NaN found"),
    "infinity": (INFINITE, "sample 3, input x: infinity found"),
    "float64 beyond float32": (VALUES.astype(np.float64) * 1e300, "sample 0, .* infinity found"),
    "wrong shape": (VALUES[:, :, :2], r"shape \[4, 2, 2\] given; \[1, 2, 3\] wanted"),
    "second of wrong shape": ([VALUES[0], VALUES[1].T], r"sample 1, input x: shape \[3, 2\]"),
    "integers": (VALUES.astype(np.uint8), "uint8 given; f32 wanted"),
    "text": (["abc"], "sample 0, input x: <U3 given"),
    "ragged": ([[1.0, [2.0]], 3], "sample 0: 2 arrays given; 1 wanted"),
    "no iterable": (7, "data is int"),
    "none": (None, "data is NoneType"),
    "pairs of image and label": ([(VALUES[0], 1)], "sample 0: 2 arrays given; 1 wanted, one each"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_bad_data_in_one_line(data, message) -> None:
    """The line says which sample and input, what was found and what is wanted."""
    with pytest.raises(BadData, match=message) as caught:
        collect(one_input(), data)
    assert "\n" not in str(caught.value)


def test_bad_columns() -> None:
    """Inputs must hold equal numbers of samples, and all must be there."""
    with pytest.raises(BadData, match=r"inputs hold \[4, 3\] samples"):
        collect(two_inputs(), (VALUES[:, 0, :2], VALUES[:3, 0, :2]))
    with pytest.raises(BadData, match="sample 0: 1 arrays given; 2 wanted, one each for a, b"):
        collect(two_inputs(), VALUES[:, 0, :2])
