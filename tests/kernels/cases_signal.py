"""Grids of the family `signal`: draws of every operator, and what TFLM leaves open."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.cases_core import Case
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.signal import Energy, Irfft, Rfft
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.ops.signal import GRID, LENGTHS, OPERATORS, octaves

_FFT_TYPES = (DType.S16, DType.S32, DType.F32)


def drawn(name: str, dtype: DType, count: int) -> Iterator[Node]:
    """`count` draws of an operator: the node that computes."""
    for seed in range(count):
        rng = np.random.default_rng([seed, *name.encode()])
        made = OPERATORS[name](rng, dtype)
        yield made if isinstance(made, Node) else made.outputs[0].src[0]


def transforms(op: Op, dtype: DType) -> Iterator[Node]:
    """Every length once, the shortest and an odd number of samples among them."""
    for length in LENGTHS:
        if op is Op.RFFT:
            for given in {length, length - 1, 1}:
                yield Node(op, (graph_input((given,), dtype, "x"),), Rfft(length), "y")
        else:
            yield Node(op, (graph_input((length + 2,), dtype, "x"),), Irfft(length), "y")


def energies() -> Iterator[Node]:
    """Ranges that leave frequencies out, at both ends, and all of them."""
    x = graph_input((14,), DType.S16, "x")
    for start, end in ((0, 7), (2, 5), (0, 3), (6, 7), (3, 3), (7, 7)):
        yield Node(Op.ENERGY, (x,), Energy(start, end), "y")


def roots() -> Iterator[Node]:
    """Around squares, around 32 bits, and any number of bits."""
    rng = np.random.default_rng(7)
    edges = [0, 1, 2, 3, 2**32 - 1, 2**32, 2**32 + 2**17, 2**64 - 1, 0xFFFE0001, 0xFFFFFFFE00000001]
    near = [max(edge + d, 0) for edge in edges for d in (-1, 0, 1) if edge + d < 2**64]
    values = np.concatenate([np.array(near, np.uint64), octaves(rng, 60, DType.U64)])
    for bits in range(-1, 33):
        given = constant(np.array(bits, np.int32), "bits")
        yield Node(Op.FILTER_BANK_SQUARE_ROOT, (constant(values, "x"), given), Attrs(), "y")


def clipped() -> Iterator[Node]:
    """-32768 anywhere: TFLM's search for the largest sample starts again behind it."""
    rng = np.random.default_rng(3)
    for count in range(1, 60):
        samples = rng.integers(-9, 9, size=(count % 7) + 1).astype(np.int16)
        samples[rng.random(samples.size) < 0.4] = -(1 << 15)
        x = constant(samples, "x")
        yield Node(Op.FFT_AUTO_SCALE, (x,), Attrs(), "y")


def _cases() -> Iterator[Case]:
    grids: dict[str, Iterator[Node]] = {
        f"{name}-{dtype}": drawn(name, dtype, 25) for name, dtype in GRID
    }
    grids |= {
        f"{op}_lengths-{dtype}": transforms(op, dtype)
        for op in (Op.RFFT, Op.IRFFT)
        for dtype in _FFT_TYPES
    }
    grids |= {"energy_range-s16": energies(), "root-u64": roots(), "clipped-s16": clipped()}
    for name, nodes in grids.items():
        for number, node in enumerate(nodes):
            yield f"{name}-{number}", node


CASES: tuple[Case, ...] = tuple(_cases())
