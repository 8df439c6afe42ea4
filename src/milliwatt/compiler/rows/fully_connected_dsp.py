"""Rows of fully_connected for the DSP extension: channels in pairs, see the kernel's head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from milliwatt.compiler.rows.channel_steps import LIMIT, ChannelSteps, channel_steps
from milliwatt.compiler.rows.onestep import solve, two_step
from milliwatt.compiler.rows.results import s8_bounds
from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import Conv2d, FullyConnected
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import is_plain, multipliers

BLOCK = 8
"""Channels of the inner loop."""
SMALLEST_PART = 64
"""Products of a part: fewer, and what is done once per part outweighs them."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How the kernel computes a node.

    weight: s8 [channels, in_c]. bias: s64 [channels], with the input's zero point and what the
    rounding adds. records: s32 [channels or 1, 2 or 3], as the kernel reads them. part: products
    summed in one go.
    """

    weight: np.ndarray
    bias: np.ndarray
    steps: int
    records: np.ndarray
    part: int


_PLANS: WeakKeyDictionary[Node, Plan | None] = WeakKeyDictionary()


def plan_of(node: Node) -> Plan | None:
    """The plan of a fully_connected or of a conv2d over the whole image; None where the kernel
    cannot compute it."""
    if node not in _PLANS:
        _PLANS[node] = _make_plan(node)
    return _PLANS[node]


def _in_blocks(node: Node) -> int:
    """Channels that go in blocks; the others are done one by one."""
    return int(node.src[1].type.shape[0]) // BLOCK * BLOCK


def _make_plan(node: Node) -> Plan | None:
    attrs, kind = node.attrs, node.src[1].type
    assert isinstance(attrs, Conv2d | FullyConnected)
    found = channel_steps(node, attrs, node.type, axis=0)
    if found is None:
        return None
    weight = node.src[1].value.reshape(kind.shape[0], -1)
    if (weight[0 : _in_blocks(node) : 2] == -128).any():
        return None
    bias, steps = found.records[:, 0].astype(np.int64), found.steps
    records = found.records[:, [1, 2] if steps == 1 else [3, 1, 2]]
    shared = _shared(node, found, weight)
    if shared is not None:
        bias, steps, records = shared
    blocks = _in_blocks(node)
    part = _part(weight[:blocks], bias[:blocks])
    return None if part is None else Plan(weight, bias, steps, records, part)


def _shared(
    node: Node, found: ChannelSteps, weight: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray] | None:
    """bias, steps and the one record of a node whose channels have one scale; None for others."""
    scale = [np.unique(part) for part in multipliers(node.src[0].type, node.src[1].type, node.type)]
    if any(part.size > 1 for part in scale):
        return None
    # What `reach` has beside the bias: the smallest sum of products.
    rows = weight.astype(np.int64)
    smallest = -128 * np.maximum(rows, 0).sum(axis=1) + 127 * np.minimum(rows, 0).sum(axis=1)
    bias = found.reach[:, 0] - smallest
    multiplier, shift = (int(part[0]) for part in scale)
    reach = (int(found.reach.min()), int(found.reach.max()))
    one = solve(multiplier, shift, node.type.zero_point, reach, limit=LIMIT)
    if one is not None:
        return bias + one.bias, 1, np.array([[one.factor, one.offset]], np.int32)
    two = two_step(multiplier, shift, node.type.zero_point)
    if two is not None:
        return bias, 2, np.array([[two.right, two.multiplier, two.half]], np.int32)
    return None


def _part(weight: np.ndarray, bias: np.ndarray) -> int | None:
    """The most products, in fours, whose paired sums fit 32 bits; all of in_c if they do."""
    channels, count = map(int, weight.shape)
    pairs = channels // 2
    if not pairs:
        return count
    reach = 128 * np.abs(weight.astype(np.int64)).reshape(pairs, 2, count)
    start = np.abs(bias).reshape(pairs, 2)
    part = count
    while True:
        whole = count // 4 * 4
        firsts = np.arange(0, whole, part) if part < count else np.zeros(1, np.int64)
        sums = np.add.reduceat(reach, firsts, axis=2)
        sums[:, :, 0] += start
        if int((256 * sums[:, 0] + sums[:, 1]).max()) < 2**31:
            return part
        part = -(-part // 8) * 4
        if part < SMALLEST_PART:
            return None


def pack_pairs(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The stream of biases and weights that the kernel's head describes, as s32 words.

    As many bytes as the weights and 4 a channel, rounded up to a word.
    """
    channels, count = weight.shape
    blocks, whole = channels // BLOCK, count // 4 * 4
    size = (blocks, BLOCK // 2, 2)
    a, b = np.moveaxis(weight[: blocks * BLOCK].astype(np.int64).reshape(*size, count), 2, 0)
    bias_a, bias_b = np.moveaxis(bias[: blocks * BLOCK].reshape(size), 2, 0)
    low = bias_b - (b[..., 1:whole:2] * b[..., 0:whole:2]).sum(axis=2)
    starts = np.stack([256 * bias_a + bias_b, low], axis=2).astype("<i4")  # modulo 2^32, as sums
    halves = (256 * a + b).astype("<i2")
    fours = halves[..., :whole].reshape(*size[:2], whole // 4, 4)[..., [1, 3, 0, 2]]
    chunks: list[np.ndarray] = []
    for block in range(blocks):
        chunks += [starts[block], fours[block].transpose(1, 0, 2), halves[block, :, whole:].T]
    for channel in range(blocks * BLOCK, channels):
        chunks += [bias[channel].astype("<i4"), weight[channel]]
    stream = b"".join(chunk.tobytes() for chunk in chunks)
    return np.frombuffer(stream + bytes(-len(stream) % 4), "<i4").astype(np.int32)


def lower_fully_connected(node: Node) -> Lowered:
    """fully_connected and conv2d over the whole image; every other axis is a row."""
    plan = plan_of(node)
    assert plan is not None
    assert isinstance(node.attrs, Conv2d | FullyConnected)
    channels, count = plan.weight.shape
    return Lowered(
        (
            ("rows", node.src[0].type.size // count),
            ("in_c", count),
            ("out_c", channels),
            ("part", plan.part),
            *s8_bounds(node.type, node.attrs.clamp),
            ("steps", plan.steps),
            ("record_step", plan.records.shape[1] if len(plan.records) > 1 else 0),
            ("records", np.ascontiguousarray(plan.records).reshape(-1)),
            ("weights", pack_pairs(plan.weight, plan.bias)),
        ),
        operands=(0,),
    )


def work(node: Node) -> Mapping[str, float]:
    """Rows and their fours of products, blocks of 8 channels and theirs, parts of blocks, channels
    left over and their products.
    """
    plan = plan_of(node)
    assert plan is not None
    channels, count = plan.weight.shape
    rows, blocks = node.src[0].type.size // count, _in_blocks(node) // BLOCK
    single = channels % BLOCK
    return {
        "calls": 1,
        "rows": rows,
        "row_steps": rows * (count // 4) * bool(blocks),
        "blocks": rows * blocks,
        "block_steps": rows * blocks * (count // 4),
        "block_rests": rows * blocks * (count % 4),
        "parts": 0 if plan.part >= count else rows * blocks * -(-count // plan.part),
        "singles": rows * single,
        "single_macs": rows * single * count,
        "multiplies": rows * (channels - single) * count * 3 // 4 + rows * single * count,
        "flash_bytes": rows * channels * (count + 4),
    }


def _connected(node: Node) -> bool:
    constant = all(source.is_constant for source in node.src[1:])
    plain = constant and is_plain(node.op, node.src[0].type, node.src[1].type)
    return plain and plan_of(node) is not None


def _whole_window(node: Node) -> bool:
    assert isinstance(node.attrs, Conv2d)
    kernel, image = node.src[1].type.shape[1:3], node.src[0].type.shape[1:3]
    dense = all(d == 1 or k == 1 for k, d in zip(kernel, node.attrs.dilation, strict=True))
    return kernel == image and dense and not any(node.attrs.padding) and _connected(node)


_NOTE = "constant symmetric weights above -128, scales below one half"
ROWS = tuple(
    Row(
        op,
        ("s8", "s8"),
        "fully_connected_s8_dsp",
        "fully_connected_s8_dsp_params",
        lower_fully_connected,
        predicate,
        note,
        isa=DSP,
        work=work,
    )
    for op, predicate, note in (
        (Op.FULLY_CONNECTED, _connected, _NOTE),
        (Op.CONV2D, _whole_window, "the kernel covers the image"),
    )
)
