"""Binding: which C kernel runs a node, with which parameters. One table, in compiler/rows."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from milliwatt.compiler.by_rows import plan_rows, rows_work
from milliwatt.compiler.rows import TABLE, Call, Field, Row
from milliwatt.compiler.rows.row import plain_work
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.control import Control
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.common import F32_MAX

if TYPE_CHECKING:
    from milliwatt.compiler.program import Program

__all__ = [
    "TABLE",
    "Binder",
    "Call",
    "Field",
    "Row",
    "bind",
    "call_of",
    "choices",
    "kernel_sources",
]

Binder = Callable[[Node], "Call"]
"""Which call computes a node: `bind` for a target, or what the search chose."""

Inside = tuple[tuple[str, "Program"], ...]

# Memory planning and emission bind the same nodes; packing the weights once is enough.
_BOUND: WeakKeyDictionary[Node, dict[Target, Call]] = WeakKeyDictionary()
_CHOICES: WeakKeyDictionary[Node, dict[Target, tuple[Call, ...]]] = WeakKeyDictionary()
_INSIDE: WeakKeyDictionary[Control, dict[Target, Inside]] = WeakKeyDictionary()
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def bind(node: Node, target: Target = PORTABLE) -> Call:
    """The kernel call that computes `node`: the first row of the table that matches it on `target`.

    Raises: UnsupportedOp naming the node, its types and the nearest types that have a kernel.
    """
    calls = _BOUND.setdefault(node, {})
    if target not in calls:
        calls[target] = _bind(node, target)
    return calls[target]


def choices(node: Node, target: Target) -> tuple[Call, ...]:
    """What a search may choose from for `node`, `bind`'s call the first; errors as there.

    These are the rows for the target's extensions and the first portable row, each also as a call
    whose result takes the first bytes of a larger operand, where the kernel allows that.
    """
    known = _CHOICES.setdefault(node, {})
    if target not in known:
        known[target] = tuple(_choices(node, target))
    return known[target]


def _choices(node: Node, target: Target) -> Iterator[Call]:
    yield bind(node, target)
    if isinstance(node.attrs, Control):
        return
    rows = [row for row in TABLE if row.matches(node, target)]
    portable = next((row for row in rows if not row.isa), None)
    for row in rows:
        if not row.isa and row is not portable:
            continue
        if row is not rows[0]:
            yield call_of(node, row)
        smaller = _shrinking(node, row)
        if smaller is not None:
            yield smaller


def _shrinking(node: Node, row: Row) -> Call | None:
    """The call of a row whose result may take a larger operand's first bytes, if it has one."""
    if row.shrinks is None or not row.shrinks(node):
        return None
    call = call_of(node, row, shrink=True)
    return call if len(call.inplace) > len(call_of(node, row).inplace) else None


def _bind(node: Node, target: Target) -> Call:
    if isinstance(node.attrs, Control):
        return _bind_control(node, node.attrs, target)
    if node.op is Op.BY_ROWS:
        return _bind_rows(node, target)
    row = next((r for r in TABLE if r.matches(node, target)), None)
    if row is None:
        raise UnsupportedOp(_no_row(node))
    return call_of(node, row)


def call_of(node: Node, row: Row, *, shrink: bool = False) -> Call:
    """The call of one row that matches `node`; errors as in `bind`.

    `shrink`: the result may take the first bytes of an operand that is larger.
    """
    lowered = row.lower(node)
    _check_numbers(node, lowered.fields)
    operands = tuple(range(len(node.src))) if lowered.operands is None else lowered.operands
    return Call(
        kernel=f"mw_{row.kernel}",
        params_type=f"mw_{row.params}",
        fields=lowered.fields,
        workspace_bytes=lowered.workspace_bytes,
        inplace=_inplace(node, row, operands, shrink),
        files=(f"{row.kernel}.c", *row.files),
        variadic=row.variadic,
        operands=operands,
        work=(row.work or plain_work)(node),
    )


def _bind_control(node: Node, attrs: Control, target: Target) -> Call:
    """The programs that an `if` or `while` runs; one at a time, so that they share a workspace.

    It is called after its operator, and `_f32` where a float kernel runs inside.
    """
    known = _INSIDE.setdefault(attrs, {})
    if target not in known:
        known[target] = tuple(_bind_inside(node, attrs, target))
    inner = known[target]
    calls = [step.call for _, program in inner for step in program.all_steps()]
    floats = any(call.kernel.endswith("_f32") for call in calls)
    return Call(
        kernel=f"mw_{node.op}" + ("_f32" if floats else ""),
        params_type="",
        fields=(),
        workspace_bytes=max(program.arena_bytes for _, program in inner),
        inplace=(),
        files=tuple(sorted({path for call in calls for path in call.files})),
        variadic=False,
        operands=tuple(range(len(node.src))),
        inner=inner,
    )


def _bind_rows(node: Node, target: Target) -> Call:
    """The strips of two operators that run row by row; they share the workspace."""
    plan, arrays = plan_rows(node, functools.partial(bind, target=target))
    calls = [strip.call for strip in plan.strips]
    kernels = dict.fromkeys(call.kernel for call in calls)
    return Call(
        kernel=" + ".join(kernels),
        params_type="",
        fields=tuple(arrays.items()),
        workspace_bytes=plan.buffer_bytes + max(call.workspace_bytes for call in calls),
        inplace=(),
        files=tuple(sorted({path for call in calls for path in call.files})),
        variadic=False,
        operands=(0,),
        work=rows_work(plan),
        rows=plan,
    )


def _bind_inside(node: Node, attrs: Control, target: Target) -> Iterator[tuple[str, Program]]:
    from milliwatt.compiler.program import bind_program  # it binds these nodes

    for name, graph in attrs.graphs():
        try:
            yield name, bind_program(graph, functools.partial(bind, target=target))
        except UnsupportedOp as error:
            raise UnsupportedOp(f"{node.name} ({node.op}): {name}: {error}") from None


def _check_numbers(node: Node, fields: Iterable[Field]) -> None:
    """UnsupportedOp for a number that the kernel's float member cannot hold."""
    for name, value in fields:
        if isinstance(value, float) and not abs(value) <= F32_MAX:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): the kernel's {name} is {value}; a finite float32 "
                "wanted; its scale or bounds are out of range; quantize the model again"
            )


def _inplace(node: Node, row: Row, operands: tuple[int, ...], shrink: bool) -> tuple[int, ...]:
    """The row's in-place operands that this node can give up, as indices among the variable ones.

    An operand of another size (with `shrink`, a smaller one) keeps its buffer, and so does one that
    the kernel reads a second time through another pointer with other offsets.
    """
    variable = [i for i in operands if not node.src[i].is_constant]
    offered = []
    for position in row.inplace:
        index = operands[position]
        value = node.src[index]
        shared = [
            i for i in operands if node.src[i] is value and operands.index(i) not in row.inplace
        ]
        spare = value.type.nbytes - node.type.nbytes
        if index in variable and (spare == 0 or (shrink and spare > 0)) and not shared:
            offered.append(variable.index(index))
    return tuple(offered)


def _no_row(node: Node) -> str:
    """The message for a node that no row matches."""
    ins = ", ".join(s.type.short for s in node.src)
    rows = [r for r in TABLE if r.op is node.op]
    kinds = sorted({"any type" if r.dtypes is None else " to ".join(r.dtypes) for r in rows})
    notes = sorted({r.note for r in rows if r.note})
    what = f"{node.name} ({node.op}): no kernel for {ins} to {node.type.short}"
    if node.op is Op.RESHAPE:
        return f"{what}: the same bytes under another shape; fold constants and plan memory first"
    if not rows:
        return f"{what}; {node.op} is not a computation; constants and inputs are not bound"
    wanted = ", ".join(kinds) + (f" ({'; '.join(notes)})" if notes else "")
    return f"{what}; {wanted} wanted; quantize or rewrite the node"


def kernel_sources(files: Iterable[str]) -> Mapping[str, str]:
    """The text of kernel files, by name, with every header that they include.

    Args: files: names such as "conv2d_s8.c"; any number, any order.
    Raises: FileNotFoundError for a name that is not a kernel file.
    """
    folder = resources.files("milliwatt") / "kernels"
    sources: dict[str, str] = {}
    todo = sorted(files)
    while todo:
        name = todo.pop()
        if name not in sources:
            sources[name] = (folder / name).read_text(encoding="utf-8")
            todo.extend(_INCLUDE.findall(sources[name]))
    return dict(sorted(sources.items()))
