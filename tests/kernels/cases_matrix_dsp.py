"""fully_connected, pooling, mean and transposes: sizes around their blocks, long sums."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from kernels.cases_core import CLAMPS, ZERO_POINTS, Case, grid
from milliwatt.ir.attrs import Conv2d, FullyConnected, Mean, Pool2d, Transpose
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant


def connected(
    shape: tuple[int, ...],
    outputs: int,
    *,
    zero: int = 3,
    out_zero: int = -7,
    clamp: tuple[float, float] = CLAMPS[0],
    per_axis: bool = False,
    large: bool = False,
    name: str = "y",
) -> Node:
    """One fully_connected of random weights and biases; `large`: weights at the ends of s8."""
    rng = np.random.default_rng([*shape, outputs])
    count = shape[-1]
    x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, zero))
    ends = rng.choice([-127, 127], (outputs, count))
    values = ends if large else rng.integers(-127, 128, (outputs, count))
    scales = 2.0 ** rng.uniform(-9, -6, outputs if per_axis else 1)
    quant = Quant.per_axis(scales, 0) if per_axis else Quant.per_tensor(float(scales[0]))
    weight = constant(values.astype(np.int8), f"{name}.w", quant)
    bias = constant(rng.integers(-9000, 9000, outputs).astype(np.int32), f"{name}.b")
    out = Quant.per_tensor(0.05 * float(scales.max()) * 3 * count**0.5, out_zero)
    return Node(Op.FULLY_CONNECTED, (x, weight, bias), FullyConnected(clamp, out), name)


def whole_window(shape: tuple[int, int, int, int], outputs: int, name: str) -> Node:
    """conv2d whose kernel is the image, with a scale a channel."""
    flat = connected((shape[0], int(np.prod(shape[1:]))), outputs, per_axis=True, name=name)
    x, weight, bias = flat.src
    image = graph_input(shape, DType.S8, "x", x.type.quant)
    filters = constant(weight.value.reshape(outputs, *shape[1:]), f"{name}.w", weight.type.quant)
    attrs = Conv2d(padding=(0, 0, 0, 0), quant=flat.type.quant)
    return Node(Op.CONV2D, (image, filters, bias), attrs, name)


def connected_cases() -> Iterator[Node]:
    """Every remainder of the blocks of 8 channels and of the steps of 16, 4 and 1 products."""
    options = grid(
        60,
        inputs=(1, 2, 3, 4, 5, 8, 12, 16, 20, 23, 36, 61, 64, 66),
        outputs=(1, 2, 3, 7, 8, 9, 10, 13, 16, 17, 24, 29, 31),
        lead=((1,), (1,), (3,), (2, 2)),
        zero=ZERO_POINTS,
        out_zero=ZERO_POINTS,
        clamp=CLAMPS,
        per_axis=(False, False, True),
    )
    for number, option in enumerate(options):
        yield connected(
            (*option["lead"], option["inputs"]),
            option["outputs"],
            zero=option["zero"],
            out_zero=option["out_zero"],
            clamp=option["clamp"],
            per_axis=option["per_axis"],
            name=f"fc{number}",
        )
    # Sums of 256 a + b beyond 32 bits: in parts, the last of them with products left over.
    yield connected((1, 700), 11, large=True, zero=-128, name="parts")
    yield connected((2, 1603), 8, large=True, per_axis=True, name="more_parts")
    yield whole_window((1, 3, 5, 7), 12, "window")
    yield whole_window((2, 4, 4, 2), 9, "windows")


def pool_cases() -> Iterator[Node]:
    """Windows of 1 to more than 256 cells, cut by borders or not, words that share channels."""
    options = grid(
        60,
        op=(Op.MAX_POOL2D, Op.AVERAGE_POOL2D),
        size=((1, 1), (4, 4), (5, 7), (8, 9), (11, 6)),
        kernel=((2, 2), (1, 3), (3, 3), (2, 2), (3, 4), (5, 5), (1, 1)),
        stride=((1, 1), (2, 2), (3, 1)),
        padding=((0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)),
        channels=(4, 5, 6, 8, 11, 16),
        batches=(1, 1, 2),
        zero=ZERO_POINTS,
        clamp=CLAMPS[:4],
    )
    for number, option in enumerate(options):
        kernel = tuple(map(min, option["kernel"], option["size"]))
        padding = tuple(min(p, kernel[i // 2] - 1) for i, p in enumerate(option["padding"]))
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, option["zero"]))
        attrs = Pool2d(kernel, option["stride"], padding, option["clamp"])
        yield Node(option["op"], (x,), attrs, f"pool{number}")
    for height, width, kernel in ((17, 16, (17, 16)), (60, 50, (60, 50)), (20, 30, (19, 21))):
        x = graph_input((1, height, width, 5), DType.S8, "x", Quant.per_tensor(0.05, 4))
        for op in (Op.MAX_POOL2D, Op.AVERAGE_POOL2D):
            yield Node(op, (x,), Pool2d(kernel, (1, 1), (0, 0, 0, 0)), f"large{height}{op}")


def mean_cases() -> Iterator[Node]:
    """Means over neighbouring axes; scales that have a form in one step, only in two."""
    options = grid(
        24,
        shape=((1, 8, 8, 5), (2, 3, 7, 16), (1, 300, 4), (3, 2, 2, 2, 3), (1, 4, 9, 6)),
        axes=((1, 2), (1,), (0, 1)),
        zero=ZERO_POINTS,
        out=(Quant.per_tensor(0.04, -20), Quant.per_tensor(0.05, 0), Quant.per_tensor(0.033, 90)),
        keep=(False, True),
    )
    for number, option in enumerate(options):
        shape = option["shape"]
        axes = tuple(a for a in option["axes"] if a < len(shape) - 1)
        x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, option["zero"]))
        yield Node(Op.MEAN, (x,), Mean(axes, option["keep"], option["out"]), f"mean{number}")


def transpose_cases() -> Iterator[Node]:
    """Planes larger and smaller than the blocks of 4 x 4, runs of one word and more."""
    shapes = ((9, 5), (4, 4), (3, 17), (17, 3), (2, 7, 6), (5, 3, 20), (2, 5, 4, 9))
    for shape in shapes:
        x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, 0))
        for perm in itertools.permutations(range(len(shape))):
            yield Node(Op.TRANSPOSE, (x,), Transpose(perm), "turned")


CASES: tuple[Case, ...] = tuple(
    (f"dsp-{node.op}-{number}", node)
    for number, node in enumerate(
        [*connected_cases(), *pool_cases(), *mean_cases(), *transpose_cases()]
    )
)
