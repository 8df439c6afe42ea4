"""Steps -> C text: one function a layer, and what `if`, `while` and `scan` run inside their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from milliwatt.compiler.alias import root
from milliwatt.compiler.emit_rows import emit_rows
from milliwatt.compiler.emit_text import C_TYPES, c_literal, plain
from milliwatt.compiler.memory import Copy
from milliwatt.compiler.program import Program, Step
from milliwatt.ir.attrs.control import If, While, bundle_type
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Node
from milliwatt.ir.types import DType, Type

Names = dict[Node, str]
"""C names of the constants that code reads where they lie in flash."""


def array_name(step: Step, field: str) -> str:
    """C name of a packed constant; `field` may reach into a nested struct ("conv.weights")."""
    return f"{step.symbol}_{field.replace('.', '_')}"


def emit_layer(index: int, step: Step, names: Names, macro: str = "MW_LAYER") -> str:
    """The function of one step, after those of the steps inside it."""
    node = step.node
    inside = [
        emit_layer(i, inner, names, "static")
        for program in step.inner
        for i, inner in enumerate(program.steps)
    ]
    operands = ", ".join(s.type.short for s in node.src if not s.is_constant)
    comment = (
        f"/* {index}: {plain(node.name)} = {node.op}({operands}) -> {node.type.short}, "
        f"{step.macs} MACs, {step.weight_bytes} constant bytes */\n"
    )
    head = f"{macro} void {step.symbol}(uint8_t *arena)\n{{\n"
    if step.inner:
        return "\n".join([*inside, f"{comment}{head}{_control(step, names)}}}\n"])
    call = step.call
    if call.rows is not None:
        return comment + emit_rows(step, macro)
    fields = "".join(f"  .{name} = {_field(step, name, v)},\n" for name, v in call.fields)
    params = ""
    if fields:
        params = f"static const {call.params_type} {step.symbol}_params = {{\n{fields}}};\n\n"
    passed = [_operand(step, k, names) for k in range(len(step.operands))]
    arguments = [_pointer(node.type, step.out_offset), *(["in"] if call.variadic else passed)]
    arguments.append(f"&{step.symbol}_params" if fields else "NULL")
    arguments.append(f"arena + {step.workspace_offset}" if call.workspace_bytes else "NULL")
    joined = ",\n      ".join(arguments)
    setup = ""
    if call.variadic:
        listed = ", ".join(passed)
        setup = f"  const void *const in[] = {{{listed}}};\n"
    return f"{comment}{params}{head}{setup}  {call.kernel}(\n      {joined});\n}}\n"


def _field(step: Step, name: str, value: int | float | np.ndarray) -> str:
    if isinstance(value, np.ndarray):
        return array_name(step, name)
    return c_literal(value, DType.F32 if isinstance(value, float) else DType.S32)


def _pointer(kind: Type, offset: int) -> str:
    # Through void: the arena is aligned for every element type, and so is every offset.
    return f"({C_TYPES[kind.dtype]} *)(void *)(arena + {offset})"


def _operand(step: Step, index: int, names: Names) -> str:
    where = step.operands[index]
    if isinstance(where, Node):
        return names[where]
    return _pointer(step.node.src[step.call.operands[index]].type, where)


def emit_copy(copy: Copy, names: Names, arena: str) -> str:
    """A copy at the end of a run."""
    source = names[copy.source] if isinstance(copy.source, Node) else f"{arena} + {copy.source}"
    return f"memcpy({arena} + {copy.to}, {source}, {copy.nbytes});"


def _control(step: Step, names: Names) -> str:
    """The body of an `if`, `while` or `scan`: copies in, calls, copies out."""
    attrs = step.node.attrs
    assert isinstance(attrs, If | While | Scan)
    _, offsets = bundle_type(attrs.results)
    results = [
        (f"out + {at}", kind.nbytes) for at, kind in zip(offsets, attrs.results, strict=True)
    ]
    given = [names[o] if isinstance(o, Node) else f"arena + {o}" for o in step.operands]
    lines = [f"  uint8_t *const out = arena + {step.out_offset};"]
    lines.append(f"  uint8_t *const inner = arena + {step.workspace_offset};")
    if isinstance(attrs, Scan):
        return "\n".join([*lines, *_scan(step, attrs, given, results, names), ""])
    first, second = step.inner
    if isinstance(attrs, If):
        flag = f"*({given[0]})"
        for head, program in ((f"  if ({flag} != 0) {{", first), ("  } else {", second)):
            lines.append(head)
            lines += _indented(4, _copies_in(program, given[1:]))
            lines += _indented(4, _calls(program, names))
            lines += _indented(4, _copies_out(program, results))
        return "\n".join([*lines, "  }", ""])
    values = [place for place, _ in results]
    sizes = [nbytes for _, nbytes in results]
    into = zip(values, given, sizes, strict=True)
    lines += [f"  memcpy({to}, {source}, {size});" for to, source, size in into]
    lines.append("  for (;;) {")
    lines += _indented(4, _copies_in(first, values))
    lines += _indented(4, _calls(first, names))
    lines += [f"    if (inner[{first.plan.outputs[0]}] == 0) {{", "      break;", "    }"]
    lines += _indented(4, _copies_in(second, values))
    lines += _indented(4, _calls(second, names))
    lines += _indented(4, _copies_out(second, results))
    return "\n".join([*lines, "  }", ""])


def _scan(
    step: Step, attrs: Scan, given: list[str], results: list[tuple[str, int]], names: Names
) -> Iterator[str]:
    """The lines of a counted loop: a position of every sequence in, one of every result out."""
    (body,), count = step.inner, len(attrs.positions)
    first, last = attrs.sequences, attrs.sequences + attrs.states
    states = results[count:]
    for (place, nbytes), source in zip(states, given[first:last], strict=True):
        yield f"  memcpy({place}, {source}, {nbytes});"
    yield f"  for (int32_t t = 0; t < {attrs.steps}; t++) {{"
    given = [*given[:first], *(place for place, _ in states), *given[last:]]
    read = _read(body)
    for at, (node, source) in enumerate(zip(body.graph.inputs, given, strict=True)):
        place = f"inner + {body.plan.offset(node)}"
        if node in read and at < attrs.sequences:
            yield from _indented(4, _position(node.type, attrs.steps, place, source, into=True))
        elif node in read:
            yield f"    memcpy({place}, {source}, {node.type.nbytes});"
    yield from _indented(4, _calls(body, names))
    for kind, (place, _), offset in zip(attrs.positions, results, body.plan.outputs, strict=False):
        inside = f"inner + {offset}"
        yield from _indented(4, _position(kind, attrs.steps, inside, place, into=False))
    for (place, nbytes), offset in zip(states, body.plan.outputs[count:], strict=True):
        yield f"    memcpy({place}, inner + {offset}, {nbytes});"
    yield "  }"


def _position(kind: Type, steps: int, inside: str, whole: str, *, into: bool) -> Iterator[str]:
    """Copy position t of a sequence of `kind`s, `into` the program's arena or out of it."""
    rows = kind.shape[0]
    row = kind.nbytes // rows
    base = f"(const uint8_t *){whole}" if into else whole
    if rows == 1:
        pair = inside, f"{base} + t * {row}"
    else:
        yield f"for (int32_t b = 0; b < {rows}; b++) {{"
        pair = f"{inside} + b * {row}", f"{base} + (b * {steps} + t) * {row}"
    to, source = pair if into else pair[::-1]
    yield f"{'' if rows == 1 else '  '}memcpy({to}, {source}, {row});"
    if rows > 1:
        yield "}"


def _indented(width: int, lines: Iterator[str]) -> Iterator[str]:
    return (" " * width + line for line in lines)


def _copies_in(program: Program, given: list[str]) -> Iterator[str]:
    """The values that a program inside takes, where it reads them at all."""
    read = _read(program)
    for node, source in zip(program.graph.inputs, given, strict=True):
        if node in read:
            yield f"memcpy(inner + {program.plan.offset(node)}, {source}, {node.type.nbytes});"


def _read(program: Program) -> set[Node]:
    """The values that a program reads or gives."""
    inside = {root(s) for step in program.steps for s in step.node.src}
    return inside | {root(node) for node in program.graph.outputs}


def _calls(program: Program, names: Names) -> Iterator[str]:
    yield from (f"{step.symbol}(inner);" for step in program.steps)
    yield from (emit_copy(copy, names, "inner") for copy in program.plan.copies)


def _copies_out(program: Program, results: list[tuple[str, int]]) -> Iterator[str]:
    for (place, nbytes), offset in zip(results, program.plan.outputs, strict=True):
        yield f"memcpy({place}, inner + {offset}, {nbytes});"
