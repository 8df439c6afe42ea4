"""What TensorFlow Lite Micro registers, and what becomes of it here: two tables of docs/ops.md.

The list of operators and the reasons are data; what an operator is read as, in which types it runs
and who judges it are taken from the readers, the bind table and the draws of the tests.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill

from milliwatt.compiler.bind import TABLE
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.formats.tflite_read import READERS
from milliwatt.formats.tflite_read.refusals import NEAREST
from milliwatt.formats.tflite_read.unsigned import COMPUTES
from milliwatt.ir.ops import Op

ROOT = Path(__file__).resolve().parent.parent
_READ = ROOT / "src" / "milliwatt" / "formats" / "tflite_read"

BUILTIN = tuple(
    """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE
    DEPTHWISE_CONV_2D DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS
    FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH
    IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOG_SOFTMAX LOGICAL_AND
    LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL
    PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
    VAR_HANDLE WHILE ZEROS_LIKE
    """.split()  # noqa: SIM905
)
CUSTOM = tuple(
    """
    CIRCULAR_BUFFER SignalDelay SignalEnergy SignalFftAutoScale SignalFilterBank SignalFilterBankLog
    SignalFilterBankSpectralSubtraction SignalFilterBankSquareRoot SignalFramer SignalIrfft
    SignalOverlapAdd SignalPCAN SignalRfft SignalStacker SignalWindow TFLM_DECODE
    TFLite_Detection_PostProcess ethos-u
    """.split()  # noqa: SIM905
)
"""All that `micro_mutable_op_resolver.h` of TensorFlow Lite Micro registers."""

LEFT_OUT = {
    "ethos-u": "commands for one vendor's accelerator, made by the Vela compiler; read the file "
    "from before Vela",
}
"""Operators of TFLM that have no reader, each with the reason."""

LIMITS = {
    "CIRCULAR_BUFFER": "`cycles_max` above 1, where what follows runs on every second call only: a "
    "graph runs whole; cut the model there and call the second part less often",
    "FULLY_CONNECTED": "shuffled weights, a packing for one kernel of TensorFlow Lite that TFLM "
    "does not read either",
    "CONCATENATION": "a fused activation, which TensorFlow Lite does not define for it",
    "AVERAGE_POOL_2D": "uint8 with padding or an even number of values in the window: halves are "
    "rounded up there and away from zero in int8; convert the model again with int8",
    "LOGISTIC, TANH": "uint8 with an input scale where the uint8 kernel's table is not the int8 "
    "kernel's; convert the model again with int8",
    "SignalFilterBank": "tables computed at run time and negative weights",
    "SOFTMAX": "s8 rows so long that their sum of exponentials may leave 32 bits; drop classes or "
    "keep it in f32",
    "IF, WHILE": "a condition that assigns a variable; branches that give different variables",
    "CALL_ONCE": "a call inside a subgraph, and first values that take long to compute: store them "
    "in the file",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "peepholes, projection, coupled gates and layer normalization, "
    "which TFLM does not compute either; f32 with integer weights",
    "SVDF": "f32 with integer weights, as in TFLM",
    "L2_NORMALIZATION": "a fused activation, which TensorFlow Lite refuses too",
    "TFLite_Detection_PostProcess": "several classes of each detection without `use_regular_nms`",
    "any": "shapes, axes and paddings that are computed at run time (an MCU's memory is planned "
    "before the first run); a fused TANH or SIGN_BIT; tensors of STRING, FLOAT64, BFLOAT16, "
    "complex or UINT16; scales that let a 32-bit sum overflow",
}
"""What operators that are read refuse, and why; UnsupportedOp says it with the node's name."""

# Numbers of the schema that name no operation.
_NO_OPERATORS = frozenset({"CALL", "CUSTOM", "DELEGATE", "PLACEHOLDER"})
_TYPES = ("s8", "s16", "s32", "s64", "u8", "u32", "u64", "bool", "f16", "f32")
_BESIDE = (Op.CAST, Op.DEQUANTIZE, Op.TANH)  # of operands or results, where there are others
_MOVES = (Op.CONCAT, Op.PAD, Op.RESHAPE, Op.SELECT, Op.STRIDED_SLICE, Op.TRANSPOSE)

_HEAD = """
## Operators of TensorFlow Lite Micro

Everything that its `MicroMutableOpResolver` registers, builtin operators first. *Read as* is what
the reader makes of it; *kernels* are the element types of the first operand in the bind table (`u8
as s8`: the same integers less 128, in the int8 kernel, which gives the same bytes). The last two
columns are the types in which generated files are compared with that interpreter on every test
run, byte for byte for integers; a file name instead says which tests do it. An s8 kernel without a
judge is a table of 256 results, for an operator that neither interpreter has in s8.

| operator | read as | kernels | judged by TFLM | judged by LiteRT |
|---|---|---|---|---|
"""

_BEYOND = """
Read as well, though TFLM has no such operator (LiteRT is the judge): {names}.

## Left out, and why

Of the operators of TFLM:

| operator | reason |
|---|---|
"""

_OTHERS = """
Of the operators that TensorFlow Lite has and TFLM lacks, those with something that stands in for
them. The error says it too.

| operator | what to use in its place |
|---|---|
"""

_NONE = """
Neither TFLM nor milliwatt has these, and nothing stands in for them: {names}; and the StableHLO
operators. Compute them in the code around the model.
"""

_LIMITED = """
Read, but not in every form. What is refused ends in `UnsupportedOp` with the node's name:

| operator | not in this form |
|---|---|
"""


def render() -> str:
    """Both tables as Markdown."""
    made, drawn = dict(_made()), _drawn()
    lines = [_HEAD]
    for name in (*BUILTIN, *CUSTOM):
        if name not in LEFT_OUT:
            lines.append(_row(name, made.get(name, ()), drawn))
    beyond = ", ".join(f"`{n}`" for n in sorted(set(READERS) - set(BUILTIN) - set(CUSTOM)))
    lines.append(_BEYOND.format(names=beyond))
    lines += [f"| `{name}` | {reason} |\n" for name, reason in LEFT_OUT.items()]
    lines += _others()
    lines.append(_LIMITED)
    for names, reason in LIMITS.items():
        shown = ", ".join(n if n == "any" else f"`{n}`" for n in names.split(", "))
        lines.append(f"| {shown} | {reason} |\n")
    return "".join(lines)


def _others() -> Iterator[str]:
    """Builtin operators that neither TFLM nor milliwatt has."""
    lacking = sorted(set(OPERATORS) - set(READERS) - set(BUILTIN) - _NO_OPERATORS)
    yield _OTHERS
    for name in filter(NEAREST.__contains__, lacking):
        yield f"| `{name}` | {NEAREST[name]} |\n"
    alone = [f"`{n}`" for n in lacking if n not in NEAREST and not n.startswith("STABLEHLO")]
    text = fill(_NONE.format(names=", ".join(alone)).strip(), 100, break_on_hyphens=False)
    yield f"\n{text}\n"


def _row(name: str, ops: tuple[Op, ...], drawn: dict[str, dict[str, list[str]]]) -> str:
    judges: dict[str, dict[str, None]] = {"tflm": {}, "litert": {}}
    for source in [name] if name in drawn else [op.value for op in _judged(ops)]:
        for judge, kinds in drawn.get(source, {}).items():
            judges[judge].update(dict.fromkeys(kinds))
    cells = [", ".join(_ordered(kinds)) for kinds in judges.values()]
    if not any(cells):
        cells[0] = _tested_in(name)
    read_as = ", ".join(f"`{op}`" for op in ops) or _without_node(name)
    return f"| `{name}` | {read_as} | {_kernels(name, ops)} | {cells[0]} | {cells[1]} |\n"


def _judged(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The operators whose own files stand for it: none where it is several moves of data."""
    computing = tuple(op for op in ops if op not in _MOVES)
    if len(computing) > 1:
        computing = tuple(op for op in computing if op not in _BESIDE)
    moves = tuple(op for op in ops if op is not Op.RESHAPE) or ops
    return computing or (moves if len(moves) == 1 else ())


def _without_node(name: str) -> str:
    stateful = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")
    return "a state and its update" if name in stateful else "a constant"


def _kernels(name: str, ops: tuple[Op, ...]) -> str:
    """Element types of the first operand; those of data movement are "any"."""
    if not ops:
        return "none needed"
    rows = [row for row in TABLE if row.op in (_judged(ops) or ops)]
    if not all(row.dtypes for row in rows) or not rows:
        return "any"
    names = _ordered(str(row.dtypes[0]) for row in rows if row.dtypes)
    if name in COMPUTES and "u8" not in names:
        names.append("u8 as s8")
    return ", ".join(names)


def _ordered(kinds: Iterable[str]) -> list[str]:
    """Element types in one order for all rows, none twice."""
    return sorted(set(kinds), key=_TYPES.index)


def _made() -> Iterator[tuple[str, tuple[Op, ...]]]:
    """(operator, what its reader's source names of `Op`), for every row of a READERS table."""
    for path in sorted(_READ.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        defs: dict[str, ast.AST] = {
            n.name: n for n in module.body if isinstance(n, ast.FunctionDef | ast.ClassDef)
        }
        for statement in module.body:
            if not isinstance(statement, ast.AnnAssign | ast.Assign):
                continue
            value = statement.value
            if "READERS" in ast.unparse(statement)[:20] and isinstance(value, ast.Dict):
                for key, reader in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant):
                        named = dict.fromkeys(_named(reader, defs, set()))
                        yield str(key.value), tuple(named)


def _named(tree: ast.AST, defs: dict[str, ast.AST], seen: set[str]) -> Iterator[Op]:
    """Members of `Op` in an expression and in the functions of its module that it calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Op":
            yield Op[node.attr]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in defs and node.id not in seen:
            seen.add(node.id)
            yield from _named(defs[node.id], defs, seen)


def _drawn() -> dict[str, dict[str, list[str]]]:
    """{operator of the IR or of a file: {judge: element types}} of the files that tests draw."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from support.move_files import FILES
        from support.single_ops import GRID, ORACLE
    finally:
        sys.path.remove(str(ROOT / "tests"))
    # Activations in s8 have a test of their own in conformance/test_single_ops.py.
    found: dict[str, dict[str, list[str]]] = {"clamp": {"tflm": ["s8"]}}
    for pair in GRID:
        name, dtype = pair
        kinds = found.setdefault(name, {}).setdefault(ORACLE.get(pair, "tflm"), [])
        kinds.append(str(dtype))
    for name, (_, judge, dtypes) in FILES.items():
        kinds = found.setdefault(name.partition("-")[0], {}).setdefault(judge, [])
        kinds += [str(dtype) for dtype in dtypes if str(dtype) not in kinds]
    return found


def _tested_in(name: str) -> str:
    """The files of tests that have the operator's name in them."""
    found = [
        path.relative_to(ROOT / "tests").as_posix()
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if re.search(rf"\b{re.escape(name)}\b", path.read_text(encoding="utf-8"))
    ]
    return ", ".join(found[:2])
