"""C text of two operators that run row by row: the parameters of every strip, and the loops."""

from __future__ import annotations

from collections.abc import Iterator

from milliwatt.compiler.by_rows import RowsPlan, Strip, Turn
from milliwatt.compiler.emit_text import C_TYPES, c_literal
from milliwatt.compiler.program import Step
from milliwatt.ir.types import DType


def emit_rows(step: Step, macro: str) -> str:
    """The function of a `by_rows` step and what it reads from flash."""
    plan = step.call.rows
    assert plan is not None
    params = "".join(_params(step, i, strip) for i, strip in enumerate(plan.strips))
    (source,) = step.operands
    lines = [
        f"{macro} void {step.symbol}(uint8_t *arena)",
        "{",
        f"  const uint8_t *const in = arena + {source};",
        f"  uint8_t *const out = arena + {step.out_offset};",
        f"  uint8_t *const rows = arena + {step.workspace_offset};",
    ]
    if any(strip.call.workspace_bytes for strip in plan.strips):
        lines.append(f"  uint8_t *const workspace = rows + {plan.buffer_bytes};")
    for turn in plan.turns:
        lines += _turn(step, plan, turn)
    return params + "\n".join([*lines, "}", ""])


def _params(step: Step, number: int, strip: Strip) -> str:
    fields = "".join(
        f"  .{name} = {step.symbol}_{strip.arrays[name]},\n"
        if name in strip.arrays
        else f"  .{name} = {_number(value)},\n"
        for name, value in strip.call.fields
    )
    name = f"{step.symbol}_params_{number}"
    return f"static const {strip.call.params_type} {name} = {{\n{fields}}};\n\n"


def _number(value: object) -> str:
    assert isinstance(value, int | float)
    return c_literal(value, DType.F32 if isinstance(value, float) else DType.S32)


def _turn(step: Step, plan: RowsPlan, turn: Turn) -> Iterator[str]:
    """One loop over result rows; a lone row needs none."""
    pad, y = "  ", str(turn.start)
    source = str(turn.row * plan.in_row)
    if turn.count > 1:
        yield f"  for (int32_t y = {turn.start}; y < {turn.start + turn.count}; y++) {{"
        pad, y = "    ", "y"
        source += f" + (y - {turn.start}) * {turn.step * plan.in_row}"
    if turn.keep and turn.drop:
        moved = turn.keep * plan.hidden_row
        yield f"{pad}memmove(rows, rows + {turn.drop * plan.hidden_row}, {moved});"
    if turn.first >= 0:
        to = f"rows + {turn.keep * plan.hidden_row}"
        yield from _call(step, plan, turn.first, pad, to, f"in + {source}")
    to = f"out + {y} * {plan.out_row}"
    yield from _call(step, plan, turn.second, pad, to, "rows")
    if turn.count > 1:
        yield "  }"


def _call(
    step: Step,
    plan: RowsPlan,
    number: int,
    pad: str,
    to: str,
    source: str,
) -> Iterator[str]:
    call = plan.strips[number].call
    workspace = "workspace" if call.workspace_bytes else "NULL"
    kind = C_TYPES[step.node.type.dtype]
    yield f"{pad}{call.kernel}("
    yield f"{pad}    ({kind} *)(void *)({to}), (const {kind} *)(const void *)({source}),"
    yield f"{pad}    &{step.symbol}_params_{number}, {workspace});"
