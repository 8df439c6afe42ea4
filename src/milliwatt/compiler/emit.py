"""Program -> C text. It decides nothing: constants, one arena, a straight list of kernel calls."""

from __future__ import annotations

import itertools

import numpy as np

from milliwatt.compiler.bind import kernel_sources
from milliwatt.compiler.emit_steps import Names, array_name, emit_copy, emit_layer
from milliwatt.compiler.emit_text import C_TYPES, c_array, c_literal, plain, stored
from milliwatt.compiler.lifetimes import fill_byte, first_values
from milliwatt.compiler.program import Program, identifiers
from milliwatt.ir.attrs.control import State
from milliwatt.ir.graph import Node
from milliwatt.ir.types import DType, Type

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


def _constants(program: Program) -> list[tuple[str, np.ndarray, str]]:
    """Every constant array: (identifier, values, comment)."""
    packed = [
        (array_name(step, field), stored(value), f"{step.node.name}: {field}")
        for step in program.all_steps()
        for field, value in step.call.fields
        if isinstance(value, np.ndarray)
    ]
    read = [
        (name, stored(node.value, node.type.dtype), node.name)
        for node, name in _constant_names(program).items()
    ]
    first = [
        (name, stored(first_values(node)), f"{node.name}: first value")
        for node, name in _state_names(program).items()
    ]
    return packed + read + first


def _constant_names(program: Program) -> Names:
    """C names of the constants that kernels read as operands, and of those that are copied."""
    sources = itertools.chain(
        (o for step in program.all_steps() for o in step.operands),
        (copy.source for each in program.all_programs() for copy in each.plan.copies),
    )
    nodes = dict.fromkeys(o for o in sources if isinstance(o, Node))
    idents = identifiers(node.name for node in nodes)
    return {node: f"mw_const_{i}" for node, i in zip(nodes, idents, strict=True)}


def _state_names(program: Program) -> Names:
    """C names of the first values of states that need flash."""
    nodes = list(program.stored_states())
    idents = identifiers(node.name for node in nodes)
    return {node: f"mw_state_{i}" for node, i in zip(nodes, idents, strict=True)}


def _declaration(name: str, element: str, count: int) -> str:
    return f"const {element} {name}[{count}]"


def _weights_header(program: Program) -> str:
    lines = [
        f"extern {_declaration(name, c_array(values[:0])[0], max(values.size, 1))};"
        for name, values, _ in _constants(program)
    ]
    return _guard("MW_WEIGHTS_H", ["#include <stdint.h>", "", *lines])


def _weights(program: Program) -> str:
    parts = ['#include "mw_weights.h"\n']
    for name, values, comment in _constants(program):
        element, items = c_array(values)
        items = items or ["0"]  # C has no empty arrays
        rows = [", ".join(items[i : i + _PER_LINE]) for i in range(0, len(items), _PER_LINE)]
        body = ",\n  ".join(rows)
        declared = _declaration(name, element, len(items))
        parts.append(f"/* {plain(comment)} */\n{declared} = {{\n  {body}\n}};\n")
    return "\n".join(parts)


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
    offsets = [*map(plan.offset, graph.inputs), *plan.outputs]
    return [(c, n, at) for c, (_, n), at in zip(names, ports, offsets, strict=True)]


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
    text = _HEADER.replace("@NAME@", plain(program.graph.name))
    text = text.replace("@ARENA_BYTES@", str(program.arena_bytes))
    states = program.states()
    listed = (
        f" *   byte {program.plan.offset(n)}: {plain(n.name)}, {_port_comment(n.type)}"
        for n in states
    )
    text = text.replace("@STATES@", "\n".join([_STATES, *listed]) if states else "")
    size = f"#define MW_MODEL_STATE_BYTES {program.plan.state_bytes}\n" if states else ""
    text = text.replace("@STATE_BYTES@", size).replace("@RESET@", _RESET_HEAD if states else "")
    text = text.replace("@MACROS@", "\n".join(macros)).replace("@FIELDS@", "\n".join(fields))
    return _guard("MW_MODEL_H", [text])


def _model(program: Program) -> str:
    names, arena_bytes = _constant_names(program), program.arena_bytes
    layers = "\n".join(emit_layer(i, step, names) for i, step in enumerate(program.steps))
    entry = _entry_points(program, names)
    strings = "#include <string.h>\n\n" if "  mem" in layers + entry else ""
    parts = [
        f'#include "mw_model.h"\n\n{strings}#include "mw.h"\n#include "mw_weights.h"\n',
        _LAYER_MACRO,
        f"MW_STATIC_ASSERT(MW_MODEL_ARENA_BYTES == {arena_bytes}, header_and_plan_agree);\n",
        *([layers] if layers else []),
        entry,
    ]
    return "\n".join(parts)


def _entry_points(program: Program, names: Names) -> str:
    ports = "".join(
        f"  model->{name} = ({C_TYPES[node.type.dtype]} *)(void *)(model->arena + {offset});\n"
        for name, node, offset in _ports(program)
    )
    calls = "".join(f"  {step.symbol}(model->arena);\n" for step in program.steps)
    copies = [emit_copy(copy, names, "model->arena") for copy in program.plan.copies]
    calls += "".join(f"  {line}\n" for line in copies)
    text = _ENTRY.replace("@PORTS@", ports).replace("@CALLS@", calls)
    reset = _RESET.replace("@VALUES@", _first_values(program)) if program.states() else ""
    ready = "mw_model_reset(model)" if program.states() else "MW_OK"
    return text.replace("@READY@", ready).replace("@RESET@", reset)


def _first_values(program: Program) -> str:
    """Statements that give the states their first values: a memset for neighbours of one byte."""
    names, offset = _state_names(program), program.plan.offset
    lines = []

    def fill(state: Node) -> int | None:
        assert isinstance(state.attrs, State)
        return fill_byte(state.attrs.value)

    for byte, group in itertools.groupby(program.states(), fill):
        states = list(group)
        if byte is None:
            lines += [_repeat(offset(n), names[n], n) for n in states]
        else:
            start, stop = offset(states[0]), offset(states[-1]) + states[-1].type.nbytes
            lines.append(f"memset(model->arena + {start}, {byte}, {stop - start});")
    return "".join(f"  {line}\n" for line in lines)


def _repeat(offset: int, name: str, state: Node) -> str:
    """The statement that fills a state with what its first value repeats."""
    piece, whole = first_values(state).nbytes, state.type.nbytes
    if piece == whole:
        return f"memcpy(model->arena + {offset}, {name}, {whole});"
    return (
        f"for (size_t i = 0; i < {whole}; i += {piece}) "
        f"memcpy(model->arena + {offset} + i, {name}, {piece});"
    )


_HEADER = """\
/* @NAME@, compiled by milliwatt.
 *
 * The caller owns the arena: MW_MODEL_ARENA_BYTES bytes, aligned to 8. Fill the inputs before every
 * mw_model_run; a run may overwrite them. Outputs stay until the next run.@STATES@ */
#include <stddef.h>
#include <stdint.h>

#define MW_MODEL_ARENA_BYTES @ARENA_BYTES@
@STATE_BYTES@
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

@RESET@/* One inference. */
mw_status mw_model_run(mw_model *model);

/* A status in words. */
const char *mw_model_status_text(mw_status status);

#ifdef __cplusplus
}
#endif"""

_STATES = """
 *
 * The model remembers from run to run: the first MW_MODEL_STATE_BYTES bytes of the arena are its
 * state. Leave them as they are between runs, or save them and put them back. What lies where:"""

_RESET_HEAD = """\
/* Forget all earlier runs: give the state its first values, as mw_model_init does. */
mw_status mw_model_reset(mw_model *model);

"""

_RESET = """\
mw_status mw_model_reset(mw_model *model)
{
  if (model->arena == NULL) {
    return MW_NOT_READY;
  }
@VALUES@  return MW_OK;
}

"""

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
@PORTS@  return @READY@;
}

@RESET@mw_status mw_model_run(mw_model *model)
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
