"""Steps -> C text: one function a layer, and what an `if` or `while` runs inside its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from milliwatt.compiler.alias import root
from milliwatt.compiler.emit_text import C_TYPES, c_literal, plain
from milliwatt.compiler.memory import Copy
from milliwatt.compiler.program import Program, Step
from milliwatt.ir.attrs.control import If, While, bundle_type
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
    """The body of an `if` or `while`: copies in, calls, copies out."""
    attrs = step.node.attrs
    assert isinstance(attrs, If | While)
    _, offsets = bundle_type(attrs.results)
    results = [
        (f"out + {at}", kind.nbytes) for at, kind in zip(offsets, attrs.results, strict=True)
    ]
    given = [names[o] if isinstance(o, Node) else f"arena + {o}" for o in step.operands]
    lines = [f"  uint8_t *const out = arena + {step.out_offset};"]
    lines.append(f"  uint8_t *const inner = arena + {step.workspace_offset};")
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


def _indented(width: int, lines: Iterator[str]) -> Iterator[str]:
    return (" " * width + line for line in lines)


def _copies_in(program: Program, given: list[str]) -> Iterator[str]:
    """The values that a program inside takes, where it reads them at all."""
    read = {root(s) for step in program.steps for s in step.node.src}
    read |= {root(node) for node in program.graph.outputs}
    for node, source in zip(program.graph.inputs, given, strict=True):
        if node in read:
            yield f"memcpy(inner + {program.plan.offset(node)}, {source}, {node.type.nbytes});"


def _calls(program: Program, names: Names) -> Iterator[str]:
    yield from (f"{step.symbol}(inner);" for step in program.steps)
    yield from (emit_copy(copy, names, "inner") for copy in program.plan.copies)


def _copies_out(program: Program, results: list[tuple[str, int]]) -> Iterator[str]:
    for (place, nbytes), offset in zip(results, program.plan.outputs, strict=True):
        yield f"memcpy({place}, inner + {offset}, {nbytes});"
