"""Rows of depthwise_conv2d in s8 for the DSP extension: lines of int16, kernels/mw_plane_dsp.h.

The run is the image axis that the inner loop walks; rows or columns, whichever costs less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.compiler.rows.channel_steps import ChannelSteps, channel_steps
from milliwatt.compiler.rows.results import s8_bounds
from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import Conv2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import is_plain

BUFFER_BYTES = 2200
"""What the buffer of four channels may take, unless one window's lines take more."""
BODIES = (3, 5, 7, 10)
"""Tap counts that depthwise_conv2d_taps_s8_dsp has bodies for; those between take the next."""
WIDE = 3
"""A wide buffer may take this part of the input's bytes: fewer blocks, fewer lines moved."""


@dataclass(frozen=True)
class Axis:
    """One axis of the image: elements, and bytes from one to the next."""

    size_in: int
    size_out: int
    pad: int
    stride: int
    kernel: int
    step_in: int
    step_out: int


@dataclass(frozen=True)
class Plan:
    """How a node's image lies in the buffer: `run` and `lines` are its axes."""

    run: Axis
    lines: Axis
    columns: bool
    line_bytes: int
    buffer_lines: int
    words: int = 0
    """Weight words of a channel that depthwise_conv2d_any_s8_dsp makes."""

    @property
    def workspace_bytes(self) -> int:
        """Four channels' lines, and room for weights."""
        return 4 * self.line_bytes * self.buffer_lines + 4 * self.words

    @property
    def block(self) -> int:
        """Output lines that are made of one filling of the buffer."""
        return (self.buffer_lines - self.lines.kernel) // self.lines.stride + 1


def axes_of(node: Node) -> tuple[Axis, Axis]:
    """Height and width."""
    attrs, x, out = node.attrs, node.src[0].type.shape, node.type.shape
    assert isinstance(attrs, Conv2d)
    channels = x[3]
    steps = ((x[2] * channels, out[2] * channels), (channels, channels))
    height, width = (
        Axis(
            x[1 + a],
            out[1 + a],
            attrs.padding[2 * a],
            attrs.stride[a],
            node.src[1].type.shape[1 + a],
            *steps[a],
        )
        for a in range(2)
    )
    return height, width


def _line_bytes(run: Axis) -> int:
    """Results are made in twos: the last may be one of which nobody asks."""
    read = (run.size_out + 1) // 2 * 2 * run.stride + 2
    return 2 * max(read, (run.pad + run.size_in + 1) // 2 * 2)


def _any_plan(node: Node, *, columns: bool) -> Plan | None:
    """The plan of depthwise_conv2d_any_s8_dsp; None where runs do not move by one."""
    run, lines = axes_of(node)[:: 1 if columns else -1]
    if run.stride != 1:
        return None
    triples = (run.kernel // 2 + 3) // 3
    read = -(-run.size_out // 6) * 6 - 6 + 6 * triples + 4
    line_bytes = 2 * max(read, (run.pad + run.size_in + 1) // 2 * 2)
    whole = (lines.size_out - 1) * lines.stride + lines.kernel
    fit = max(BUFFER_BYTES // (4 * line_bytes), lines.kernel)
    return Plan(run, lines, columns, line_bytes, min(whole, fit), 6 * triples * lines.kernel)


def any_plan_of(node: Node) -> Plan | None:
    """The cheaper of the plans of depthwise_conv2d_any_s8_dsp, if there is one."""
    found = [p for c in (False, True) if (p := _any_plan(node, columns=c))]
    return min(found, key=lambda p: any_counts(node, p)["steps"], default=None)


def any_counts(node: Node, plan: Plan) -> Mapping[str, float]:
    """Loop bodies of depthwise_conv2d_any_s8_dsp, for the cost model."""
    x, lines = node.src[0].type.shape, plan.lines
    sixes = x[0] * x[3] * lines.size_out * -(-plan.run.size_out // 6)
    blocks = -(-lines.size_out // plan.block)
    return {
        "calls": 1,
        "channel_blocks": x[0] * x[3] * blocks,
        "widened": x[0] * -(-x[3] // 4) * x[1] * x[2],
        "words": x[0] * x[3] * blocks * plan.words,
        "lines": x[0] * x[3] * lines.size_out,
        "sixes": sixes,
        "steps": sixes * plan.words / 6,
        "flash_bytes": node.src[1].type.size + 16 * x[3],
    }


def taps_plan_of(node: Node) -> Plan | None:
    """The plan of depthwise_conv2d_taps_s8_dsp; None where the kernel is no short line."""
    for columns in (False, True):
        found = _any_plan(node, columns=columns)
        if found is not None and found.lines.kernel == 1 < found.run.kernel <= BODIES[-1]:
            taps = next(b for b in BODIES if b >= found.run.kernel)
            return replace(found, run=replace(found.run, kernel=taps), words=0)
    return None


def taps_counts(node: Node, plan: Plan) -> Mapping[str, float]:
    """Loop bodies of depthwise_conv2d_taps_s8_dsp, for the cost model."""
    counted = any_counts(node, plan)
    kept = {k: v for k, v in counted.items() if k not in ("words", "steps")}
    return kept | {"taps": counted["sixes"] * plan.run.kernel}


def plans(node: Node, wide: bool = False) -> tuple[Plan, Plan]:
    """The plan that walks rows, and the one that walks columns."""
    height, width = axes_of(node)
    most = max(BUFFER_BYTES, node.src[0].type.nbytes // WIDE if wide else 0)
    found = []
    for run, lines, columns in ((width, height, False), (height, width, True)):
        line_bytes = _line_bytes(run)
        whole = (lines.size_out - 1) * lines.stride + lines.kernel
        fit = most // (4 * line_bytes)
        found.append(Plan(run, lines, columns, line_bytes, min(whole, max(fit, lines.kernel))))
    return found[0], found[1]


def _many(plan: Plan) -> int:
    """Results that the 3 x 3 loops make at a time."""
    return 6 if plan.run.stride == 1 else 4


def counts(node: Node, plan: Plan) -> Mapping[str, float]:
    """Loop bodies of a 3 x 3 layer, for the cost model."""
    run, lines = plan.run, plan.lines
    batches, _, _, channels = node.src[0].type.shape
    groups = batches * -(-channels // 4)
    blocks = -(-lines.size_out // plan.block)
    made = batches * channels * lines.size_out
    pixels = min((run.size_out - 1) * run.stride + run.kernel - run.pad, run.size_in)
    lead = run.pad % 2
    moved = max(0, lines.kernel - lines.stride) * plan.line_bytes
    many, rest = divmod(run.size_out, _many(plan))
    return {
        "calls": 1,
        "blocks": groups * blocks,
        "channel_blocks": batches * channels * blocks,
        "widened_lines": groups * lines.size_in,
        "widened_pairs": groups * lines.size_in * ((pixels - lead) // 2),
        "widened_single": groups * lines.size_in * (lead + (pixels - lead) % 2),
        "moved_words": groups * (blocks - 1) * moved,
        "lines": made,
        "many": made * many,
        "twos": made * ((rest + 1) // 2),
        "flash_bytes": node.src[1].type.size + 16 * channels,
    }


# Cycles, roughly: enough to tell rows from columns.
_PRICES = {
    "channel_blocks": 100,
    "widened_lines": 30,
    "widened_pairs": 20,
    "widened_single": 15,
    "moved_words": 3,
    "lines": 25,
    "many": 93,
    "twos": 43,
}


def plan_of(node: Node, wide: bool = False) -> Plan:
    """The cheaper plan."""
    found = plans(node, wide)
    price = [sum(_PRICES.get(k, 0) * v for k, v in counts(node, p).items()) for p in found]
    return found[price[1] < price[0]]


def _steps(node: Node) -> ChannelSteps | None:
    assert isinstance(node.attrs, Conv2d)
    return channel_steps(node, node.attrs, node.type, axis=3)


def _lower(node: Node, plan: Plan) -> Lowered:
    steps = _steps(node)
    assert isinstance(node.attrs, Conv2d)
    assert steps is not None
    run, lines = plan.run, plan.lines
    weight = node.src[1].value[0].transpose((2, 1, 0) if plan.columns else (2, 0, 1))
    weight = np.pad(weight, ((0, 0), (0, 0), (0, run.kernel - weight.shape[2])))
    x, out = node.src[0].type, node.type
    return Lowered(
        (
            ("batches", x.shape[0]),
            ("in_bytes", x.size // x.shape[0]),
            ("out_bytes", out.size // x.shape[0]),
            ("channels", x.shape[3]),
            *_axis_fields("run", run),
            *_axis_fields("lines", lines),
            ("in_step", run.step_in),
            ("in_line", lines.step_in),
            ("out_step", run.step_out),
            ("out_line", lines.step_out),
            ("buffer_lines", plan.buffer_lines),
            ("line_bytes", plan.line_bytes),
            ("in_zero_point", x.zero_point),
            *s8_bounds(out, node.attrs.clamp),
            ("steps", steps.steps),
            ("weights", np.ascontiguousarray(weight).reshape(-1)),
            ("records", _records(steps, out.zero_point).reshape(-1)),
        ),
        plan.workspace_bytes,
        (0,),
    )


def _records(steps: ChannelSteps, zero_point: int) -> np.ndarray:
    """Of two steps, both are rounded products: {bias, 2 * multiplier - 2^32, zero_point, power};
    the power of two and one, see kernels/mw_plane_dsp.h."""
    if steps.steps == 1:
        return steps.records
    bias, multiplier, _, right = steps.records.astype(np.int64).T
    zeros = np.full(len(bias), zero_point)
    return np.column_stack([bias, 2 * multiplier - 2**32, zeros, (1 << (32 - right)) + 1]).astype(
        np.int32
    )


def _axis_fields(name: str, axis: Axis) -> tuple[tuple[str, int], ...]:
    return (
        (f"{name}_in", axis.size_in),
        (f"{name}_out", axis.size_out),
        (f"{name}_pad", axis.pad),
        (f"{name}_stride", axis.stride),
        (f"{name}_kernel", axis.kernel),
    )


def _planes(node: Node) -> bool:
    """Constant symmetric weights, one output per input channel, a result no larger than the input
    along both axes, padding that every window leaves."""
    x, weight = node.src[0].type, node.src[1]
    assert isinstance(node.attrs, Conv2d)
    return (
        weight.is_constant
        and all(s.is_constant for s in node.src[2:])
        and is_plain(node.op, x, weight.type)
        and x.shape[3] == node.type.shape[3]
        and all(a.size_out <= a.size_in and a.pad < a.kernel for a in axes_of(node))
    )


def _any(node: Node) -> bool:
    attrs = node.attrs
    assert isinstance(attrs, Conv2d)
    kernel = node.src[1].type.shape[1:3]
    near = all(d == 1 or k == 1 for d, k in zip(attrs.dilation, kernel, strict=True))
    if not near or not _planes(node) or any_plan_of(node) is None:
        return False
    steps = _steps(node)
    return steps is not None and (steps.steps == 1 or _two_roundings(steps))


def _two_roundings(steps: ChannelSteps) -> bool:
    """A right shift of one would take a power of two beyond 32 bits; above 11 a value could be
    beyond 2^(32 - right) and its result still an int8."""
    right = steps.records[:, 3].astype(np.int64)
    small = np.abs(steps.reach).max(axis=1) < 1 << (32 - right)
    return bool((right > 1).all() and ((right < 12) | small).all())


def _taps(node: Node) -> bool:
    return _any(node) and taps_plan_of(node) is not None


def _is_whole(plan: Plan) -> bool:
    return plan.block >= plan.lines.size_out


def _three(stride: int, wide: bool) -> Callable[[Node], bool]:
    def predicate(node: Node) -> bool:
        attrs = node.attrs
        assert isinstance(attrs, Conv2d)
        if node.src[1].type.shape[1:3] != (3, 3) or attrs.stride != (stride, stride):
            return False
        if attrs.dilation != (1, 1) or not _planes(node):
            return False
        steps = _steps(node)
        if steps is None or steps.steps != 1:
            return False
        return not wide or not _is_whole(plan_of(node))

    return predicate


def _row(
    kernel: str,
    predicate: Callable[[Node], bool],
    note: str,
    plan_for: Callable[[Node], Plan | None],
    counted: Callable[[Node, Plan], Mapping[str, float]],
) -> Row:
    """A row of one way to plan."""

    def plan(node: Node) -> Plan:
        found = plan_for(node)
        assert found is not None
        return found

    def lower(node: Node) -> Lowered:
        """depthwise_conv2d with one output per input channel, by lines of planes."""
        return _lower(node, plan(node))

    def work(node: Node) -> Mapping[str, float]:
        """Loop bodies of the plan that `lower` takes."""
        return counted(node, plan(node))

    def shrinks(node: Node) -> bool:
        """A smaller result starts where the input starts: rows come in order, columns do not."""
        return not plan(node).columns or _is_whole(plan(node))

    return Row(
        Op.DEPTHWISE_CONV2D,
        ("s8", "s8"),
        kernel,
        "depthwise_dsp_params",
        lower,
        predicate,
        note,
        inplace=(0,),
        isa=DSP,
        work=work,
        shrinks=shrinks,
    )


def _three_rows(stride: int, kernel: str) -> tuple[Row, ...]:
    note = f"3 x 3, stride {stride}, requantized in one step"
    return (
        _row(
            kernel,
            _three(stride, wide=True),
            f"{note}; a wide buffer",
            lambda node: plan_of(node, wide=True),
            counts,
        ),
        _row(kernel, _three(stride, wide=False), note, plan_of, counts),
    )


ROWS = (
    *_three_rows(1, "depthwise_conv2d_s8_dsp"),
    *_three_rows(2, "depthwise_conv2d_s2_s8_dsp"),
    _row(
        "depthwise_conv2d_taps_s8_dsp",
        _taps,
        "one output per input channel, a line of 2 to 10 taps that moves by one along itself",
        taps_plan_of,
        taps_counts,
    ),
    _row(
        "depthwise_conv2d_any_s8_dsp",
        _any,
        "one output per input channel, a kernel that moves by one along an axis",
        any_plan_of,
        any_counts,
    ),
)
