"""A model before it runs: its inputs and outputs, its layers, and what quantization cost them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from milliwatt.compiler.program import Program, Step
from milliwatt.compress.report import LayerError, QuantizeReport
from milliwatt.debug.table import Fact, columns, facts, heading
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.types import Type

if TYPE_CHECKING:
    from rich.console import RenderableType


def model_dict(graph: Graph, program: Program) -> dict[str, Any]:
    """The model as plain values: ports with their quantization, layers, totals."""
    return {
        "model": graph.name,
        "inputs": [_port(node) for node in graph.inputs],
        "outputs": [_port(node) for node in graph.outputs],
        "states": [_port(node) for node in program.states()],
        "macs": sum(step.macs for step in program.steps),
        "weight_bytes": program.weight_bytes,
        "arena_bytes": program.arena_bytes,
        "state_bytes": program.plan.state_bytes,
        "layers": [_layer(step) for step in program.steps],
    }


def model_view(graph: Graph, program: Program) -> tuple[RenderableType, ...]:
    """The same as tables."""
    rows = [
        (
            step.node.name,
            step.call.kernel,
            step.node.type.short,
            f"{step.macs:,}" if step.macs else "",
            f"{step.weight_bytes:,}" if step.weight_bytes else "",
        )
        for step in program.steps
    ]
    macs = sum(step.macs for step in program.steps)
    rows.append(("total", "", "", f"{macs:,}", f"{program.weight_bytes:,}"))
    arena = f"{program.plan.lower_bound_bytes:,} needed at once by the largest layer"
    if program.plan.state_bytes:
        arena += f", {program.plan.state_bytes:,} of it state"
    totals: list[Fact] = [
        *(("input", node.name, _real(node.type), "") for node in graph.inputs),
        *(("output", node.name, _real(node.type), "") for node in graph.outputs),
        *(("state", node.name, _real(node.type), "") for node in program.states()),
        ("arena", f"{program.arena_bytes:,}", "bytes", arena),
    ]
    return (
        heading(f"{graph.name}: {len(program.steps)} layers"),
        "",
        columns(("layer", "kernel", "result", "MACs", "weights"), rows, left=3),
        "",
        facts(totals),
    )


def _port(node: Node) -> dict[str, Any]:
    kind = node.type
    return {
        "name": node.name,
        "dtype": str(kind.dtype),
        "shape": list(kind.shape),
        "scale": kind.scale if kind.quant else None,
        "zero_point": kind.zero_point if kind.quant else None,
    }


def _layer(step: Step) -> dict[str, Any]:
    return {
        "name": step.node.name,
        "op": str(step.node.op),
        "kernel": step.call.kernel,
        "dtype": str(step.node.type.dtype),
        "shape": list(step.node.type.shape),
        "macs": step.macs,
        "weight_bytes": step.weight_bytes,
    }


def _real(kind: Type) -> str:
    """A port's type and the real values that it stands for."""
    if kind.quant is None:
        return kind.short
    if kind.quant.axis is not None:
        return kind.short
    low, high = ((limit - kind.zero_point) * kind.scale for limit in kind.dtype.limits)
    return (
        f"{kind.short} = {low:.4g} to {high:.4g} (scale {kind.scale:.6g}, zero {kind.zero_point})"
    )


QUANTIZATION_HEADS = (
    "value",
    "op",
    "type",
    "SQNR dB",
    "float range",
    "s8 range",
    "clipped",
    "weight dB",
)


def quantization_view(
    report: QuantizeReport, rows: Sequence[LayerError]
) -> tuple[RenderableType, ...]:
    """What quantization did: one row a value, and the scores where they were measured."""
    table = columns(
        QUANTIZATION_HEADS,
        (
            (
                row.name,
                row.op,
                row.dtype,
                f"{row.sqnr_db:.1f}",
                f"{row.float_low:.3g} to {row.float_high:.3g}",
                f"{row.low:.3g} to {row.high:.3g}" if row.low is not None else "",
                f"{row.clipped_percent:.2f} %",
                f"{row.weight_sqnr_db:.1f}" if row.weight_sqnr_db is not None else "",
            )
            for row in rows
        ),
        left=3,
    )
    return (table, "", facts(_scores(report))) if report.metric else (table,)


def _scores(report: QuantizeReport) -> list[Fact]:
    if report.float_score is None or report.score is None:
        return []
    shown = [("float", report.float_score), ("quantized", report.score)]
    lines = [(name, f"{value:.4f}", report.metric or "", "") for name, value in shown]
    kept = ", ".join(report.kept) or "none"
    costs = ", ".join(f"{row.name} {row.drop:+.4f}" for row in report.costs[:5])
    lines.append(("kept in f32", str(len(report.kept)), "layers", kept))
    for row in report.promoted:
        why = f"for its {row.reason}; {row.mac_bytes:+,} MACs x bytes"
        lines.append((f"{row.name} in {row.dtype}", f"{row.flash_bytes:+,}", "B of flash", why))
    return [*lines, ("costliest", "", "", costs)] if costs else lines
