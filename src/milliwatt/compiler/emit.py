"""Program -> C text. It decides nothing: constants, one arena, a straight list of kernel calls."""

from __future__ import annotations

import numpy as np

from milliwatt.compiler.bind import kernel_sources
from milliwatt.compiler.program import Program, Step, identifiers
from milliwatt.ir.graph import Node
from milliwatt.ir.types import DType, Type, dtype_of

C_TYPES = {
    DType.F32: "float",
    DType.S64: "int64_t",
    DType.S32: "int32_t",
    DType.S16: "int16_t",
    DType.S8: "int8_t",
    DType.U8: "uint8_t",
    DType.BOOL: "uint8_t",
}
_PER_LINE = 20


def emit(program: Program) -> dict[str, str]:
    """The program as C99 sources, path -> text: model, weights, the kernels it uses, a `main`."""
    files = {path for step in program.steps for path in step.call.files}
    return {
        "mw_model.h": _header(program),
        "mw_model.c": _model(program),
        "mw_weights.h": _weights_header(program),
        "mw_weights.c": _weights(program),
        "main.c": _MAIN,
        **kernel_sources(("mw.h", *sorted(files))),
    }


def c_literal(value: int | float, dtype: DType) -> str:
    """A literal that reads back as exactly `value`."""
    if dtype is DType.F32:
        text = repr(float(str(np.float32(value))))
        return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
    if dtype is DType.S32 and value == -(2**31):
        return "INT32_MIN"
    return str(int(value))


def _constants(program: Program) -> list[tuple[str, np.ndarray, str]]:
    """Every constant array: (identifier, values, comment)."""
    packed = [
        (_array_name(step, field), value, f"{step.node.name}: {field}")
        for step in program.steps
        for field, value in step.call.fields
        if isinstance(value, np.ndarray)
    ]
    names = _constant_names(program)
    return packed + [(name, node.value, node.name) for node, name in names.items()]


def _array_name(step: Step, field: str) -> str:
    """C name of a packed constant; `field` may reach into a nested struct ("conv.weights")."""
    return f"{step.symbol}_{field.replace('.', '_')}"


def _constant_names(program: Program) -> dict[Node, str]:
    """C names of the constants that kernels read as operands."""
    nodes = dict.fromkeys(o for s in program.steps for o in s.operands if isinstance(o, Node))
    idents = identifiers(node.name for node in nodes)
    return {node: f"mw_const_{i}" for node, i in zip(nodes, idents, strict=True)}


def _declaration(name: str, values: np.ndarray) -> str:
    return f"const {C_TYPES[dtype_of(values)]} {name}[{max(values.size, 1)}]"


def _weights_header(program: Program) -> str:
    lines = [f"extern {_declaration(n, v)};" for n, v, _ in _constants(program)]
    return _guard("MW_WEIGHTS_H", ["#include <stdint.h>", "", *lines])


def _weights(program: Program) -> str:
    parts = ['#include "mw_weights.h"\n']
    for name, values, comment in _constants(program):
        dtype = dtype_of(values)
        # C has no empty arrays.
        items = [c_literal(v, dtype) for v in values.ravel().tolist()] or ["0"]
        rows = [", ".join(items[i : i + _PER_LINE]) for i in range(0, len(items), _PER_LINE)]
        body = ",\n  ".join(rows)
        parts.append(f"/* {_plain(comment)} */\n{_declaration(name, values)} = {{\n  {body}\n}};\n")
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Text that is safe inside a C comment."""
    return text.replace("*/", "* /").replace("/*", "/ *")


def _guard(macro: str, lines: list[str]) -> str:
    return "\n".join([f"#ifndef {macro}", f"#define {macro}", "", *lines, "", "#endif", ""])


def _ports(program: Program) -> list[tuple[str, Node, int]]:
    """(C name, node, offset) of every input and output; names say which of the two they are."""
    graph, plan = program.graph, program.plan
    ports = [("input", n) for n in graph.inputs] + [("output", n) for n in graph.outputs]
    idents = identifiers(n.name for _, n in ports)
    names = [f"{kind}_{i}" for (kind, _), i in zip(ports, idents, strict=True)]
    # `input_1` is clear as it is; `input_input_1` is for networks that also have an input `1`.
    short = [
        kind + ("_" + rest if (rest := i.removeprefix(kind).strip("_")) else "")
        for (kind, _), i in zip(ports, idents, strict=True)
    ]
    names = short if len(set(short)) == len(short) else names
    return [(c, n, plan.offset(n)) for c, (_, n) in zip(names, ports, strict=True)]


def _port_comment(kind: Type) -> str:
    if kind.quant is None:
        return kind.short
    shift = f"q - {kind.zero_point}" if kind.zero_point >= 0 else f"q + {-kind.zero_point}"
    return f"{kind.short}, real = {kind.scale!r} * ({shift})"


def _port_macros(name: str, kind: Type) -> list[str]:
    """Element count and, for integers, scale and zero point of one input or output."""
    prefix = f"MW_{name.upper()}"
    lines = [f"#define {prefix}_COUNT {kind.size}"]
    if kind.quant is not None:
        lines.append(f"#define {prefix}_SCALE {c_literal(kind.scale, DType.F32)}")
        lines.append(f"#define {prefix}_ZERO_POINT ({kind.zero_point})")
    return lines


def _header(program: Program) -> str:
    ports = _ports(program)
    fields = [f"  {C_TYPES[n.type.dtype]} *{c}; /* {_port_comment(n.type)} */" for c, n, _ in ports]
    macros = [line for c, n, _ in ports for line in _port_macros(c, n.type)]
    text = _HEADER.replace("@NAME@", _plain(program.graph.name))
    text = text.replace("@ARENA_BYTES@", str(program.arena_bytes))
    text = text.replace("@MACROS@", "\n".join(macros)).replace("@FIELDS@", "\n".join(fields))
    return _guard("MW_MODEL_H", [text])


def _model(program: Program) -> str:
    names, arena_bytes = _constant_names(program), program.arena_bytes
    parts = [
        '#include "mw_model.h"\n\n#include "mw.h"\n#include "mw_weights.h"\n',
        _LAYER_MACRO,
        f"MW_STATIC_ASSERT(MW_MODEL_ARENA_BYTES == {arena_bytes}, header_and_plan_agree);\n",
        *(_layer(i, step, names) for i, step in enumerate(program.steps)),
        _entry_points(program),
    ]
    return "\n".join(parts)


def _layer(index: int, step: Step, names: dict[Node, str]) -> str:
    call, node = step.call, step.node
    operands = ", ".join(s.type.short for s in node.src if not s.is_constant)
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
    return (
        f"/* {index}: {_plain(node.name)} = {node.op}({operands}) -> {node.type.short}, "
        f"{step.macs} MACs, {step.weight_bytes} constant bytes */\n"
        f"{params}MW_LAYER void {step.symbol}(uint8_t *arena)\n{{\n{setup}"
        f"  {call.kernel}(\n      {joined});\n}}\n"
    )


def _field(step: Step, name: str, value: int | float | np.ndarray) -> str:
    if isinstance(value, np.ndarray):
        return _array_name(step, name)
    return c_literal(value, DType.F32 if isinstance(value, float) else DType.S32)


def _pointer(kind: Type, offset: int) -> str:
    # Through void: the arena is aligned for every element type, and so is every offset.
    return f"({C_TYPES[kind.dtype]} *)(void *)(arena + {offset})"


def _operand(step: Step, index: int, names: dict[Node, str]) -> str:
    where = step.operands[index]
    if isinstance(where, Node):
        return names[where]
    return _pointer(step.node.src[step.call.operands[index]].type, where)


def _entry_points(program: Program) -> str:
    ports = "".join(
        f"  model->{name} = ({C_TYPES[node.type.dtype]} *)(void *)(model->arena + {offset});\n"
        for name, node, offset in _ports(program)
    )
    calls = "".join(f"  {step.symbol}(model->arena);\n" for step in program.steps)
    return _ENTRY.replace("@PORTS@", ports).replace("@CALLS@", calls)


_HEADER = """\
/* @NAME@, compiled by milliwatt.
 *
 * The caller owns the arena: MW_MODEL_ARENA_BYTES bytes, aligned to 8. Fill the inputs before every
 * mw_model_run; a run may overwrite them. Outputs stay until the next run. */
#include <stddef.h>
#include <stdint.h>

#define MW_MODEL_ARENA_BYTES @ARENA_BYTES@

/* Elements of each input and output; an integer q stands for SCALE * (q - ZERO_POINT). */
@MACROS@

/* A check at compile time, for C99 and later. */
#define MW_STATIC_ASSERT(condition, name) typedef char name[(condition) ? 1 : -1]

typedef enum { MW_OK = 0, MW_BAD_ARENA = 1, MW_NOT_READY = 2 } mw_status;

typedef struct {
  uint8_t *arena;
@FIELDS@
} mw_model;

#ifdef __cplusplus
extern "C" {
#endif

/* Give the model its memory and set the input and output pointers. */
mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes);

/* One inference. */
mw_status mw_model_run(mw_model *model);

/* A status in words. */
const char *mw_model_status_text(mw_status status);

#ifdef __cplusplus
}
#endif"""

_LAYER_MACRO = """\
/* One function a layer, never inlined: profilers and fault reports tell layers apart by symbol. */
#if defined(__clang__)
#define MW_LAYER static __attribute__((noinline))
#elif defined(__GNUC__)
#define MW_LAYER static __attribute__((noinline, noclone))
#else
#define MW_LAYER static
#endif
"""

_ENTRY = """\
mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes)
{
  if (arena == NULL || arena_bytes < MW_MODEL_ARENA_BYTES || ((uintptr_t)arena & 7u) != 0) {
    model->arena = NULL;
    return MW_BAD_ARENA;
  }
  model->arena = arena;
@PORTS@  return MW_OK;
}

mw_status mw_model_run(mw_model *model)
{
  if (model->arena == NULL) {
    return MW_NOT_READY;
  }
@CALLS@  return MW_OK;
}

const char *mw_model_status_text(mw_status status)
{
  switch (status) {
  case MW_OK:
    return "ok";
  case MW_BAD_ARENA:
    return "arena is missing, too small or not aligned to 8 bytes";
  case MW_NOT_READY:
    return "mw_model_init has not succeeded";
  default:
    return "unknown status";
  }
}
"""

_MAIN = """\
/* An example program around the model; replace it with yours. The emulator calls the two
 * mw_firmware functions instead of main. */
#include "mw_model.h"

/* 64-bit elements align the arena on every compiler. */
uint64_t mw_arena[(MW_MODEL_ARENA_BYTES + 7) / 8];
MW_STATIC_ASSERT(sizeof mw_arena >= MW_MODEL_ARENA_BYTES, arena_is_large_enough);

static mw_model model;

int mw_firmware_init(void);
int mw_firmware_run(void);

int mw_firmware_init(void)
{
  return (int)mw_model_init(&model, mw_arena, sizeof mw_arena);
}

int mw_firmware_run(void)
{
  return (int)mw_model_run(&model);
}

int main(void)
{
  int status = mw_firmware_init();
  while (status == 0) {
    /* Read a sensor into the inputs here. */
    status = mw_firmware_run();
    /* Use the outputs here. */
  }
  return status;
}
"""
