"""Print a graph as text and read it back, so that a failing graph is a test fixture.

    graph kws
      x = input() {type=s8[1,49,10,1] q([0.58], [83], None)} : s8[1,49,10,1] ...
      conv = conv2d(x, w, b) {stride=(2, 2), ...}
      return conv

One node a line, operands before users. Attributes are Python literals of the operator's dataclass;
arrays are `array(dtype, shape, "base64 of zlib of the little-endian bytes")`. Graphs that an `if`
or `while` holds follow its line, indented, each under the name of its field:

      y = if(flag, x) {} : u8[16]
        then: graph twice
          ...
          return sum
        otherwise: graph same
          ...
"""

from __future__ import annotations

import ast
import base64
import itertools
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import Attrs, Conv2d, Elementwise, Pool2d
from milliwatt.ir.attrs.control import MAX_DEPTH
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant, Type


def print_graph(graph: Graph, *, data: bool = True) -> str:
    """The text form of `graph`; `data=False` leaves the bytes of constants out (not parsable)."""
    return "\n".join(_lines(graph, data)) + "\n"


def _lines(graph: Graph, data: bool) -> Iterator[str]:
    yield f"graph {graph.name}"
    for node in graph.nodes():
        operands = ", ".join(s.name for s in node.src)
        changed = _changed(node.attrs).items()
        listed = ", ".join(f"{k}={_show(v, data)}" for k, v in changed if not isinstance(v, Graph))
        yield f"  {node.name} = {node.op}({operands}) {{{listed}}} : {node.type.short}"
        for field, value in changed:
            if isinstance(value, Graph):
                first, *rest = _lines(value, data)
                yield f"    {field}: {first}"
                yield from (f"    {line}" for line in rest)
    for state, new in graph.updates:
        yield f"  update {state.name} = {new.name}"
    yield "  return " + ", ".join(n.name for n in graph.outputs)


def _changed(attrs: Attrs) -> dict[str, Any]:
    """Fields that differ from their default, in declaration order."""
    pairs = {f.name: (getattr(attrs, f.name), f.default) for f in fields(attrs)}
    return {
        name: value
        for name, (value, default) in pairs.items()
        if isinstance(value, np.ndarray) or value != default
    }


def _show(value: Any, data: bool) -> str:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        packed = base64.b64encode(zlib.compress(little.tobytes(), 9)).decode() if data else "..."
        return f'array("{value.dtype.name}", {value.shape}, "{packed}")'
    if isinstance(value, Type):
        shown = "None" if value.quant is None else str(value.quant)
        return f'type({value.shape}, "{value.dtype}", {shown})'
    if isinstance(value, DType):
        return f'dtype("{value}")'
    if isinstance(value, Quant):
        return str(value)
    if isinstance(value, Conv2d | Elementwise | Pool2d):
        inner = ", ".join(f"{k}={_show(v, data)}" for k, v in _changed(value).items())
        return f"{type(value).__name__.lower()}({inner})"
    if isinstance(value, tuple):
        inner = ", ".join(_show(v, data) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _array(dtype: str, shape: tuple[int, ...], packed: str) -> np.ndarray:
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    # No more than the shape says is unpacked: a hostile file cannot ask for all memory.
    raw = zlib.decompressobj().decompress(base64.b64decode(packed), wanted + 1)
    if len(raw) != wanted:
        raise ValueError(f"array of {list(shape)} {dtype} holds {len(raw)} bytes; {wanted} wanted")
    little = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(shape)
    value = little.astype(np.dtype(dtype))
    value.setflags(write=False)
    return value


# What a call in an attribute may be; nothing else in the text is ever called.
_CALLS = {
    "array": _array,
    "type": lambda shape, dtype, quant: Type(shape, DType(dtype), quant),
    "dtype": DType,
    "q": lambda scale, zero, axis: Quant(tuple(scale), tuple(zero), axis),
    "conv2d": Conv2d,
    "pool2d": Pool2d,
    "elementwise": Elementwise,
}


def _read(expression: ast.expr) -> Any:
    """Evaluate literals, `inf` and the calls above; everything else is refused."""
    match expression:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CALLS:
            named = {str(k.arg): _read(k.value) for k in keywords}
            return _CALLS[name](*[_read(a) for a in args], **named)  # type: ignore[operator]
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand)
        case ast.Tuple(elts=items):
            return tuple(_read(i) for i in items)
        case ast.List(elts=items):
            return [_read(i) for i in items]
        case ast.Constant(value=value):
            return value
    raise InvalidGraph(f"text form: {ast.unparse(expression)!r} is not an attribute value")


def _whole(value: Any) -> bool:
    """An integer that C's int32_t holds, or nested tuples of them."""
    if isinstance(value, tuple):
        return all(_whole(v) for v in value)
    return type(value) is int and abs(value) < 2**31


# What a field of each declared type may hold. Types not listed are made by calls that check.
_HOLDS = {
    "int": lambda v: type(v) is int and _whole(v),
    "bool": lambda v: type(v) is bool,
    "float": lambda v: type(v) in (int, float) and math.isfinite(v),
    "float | None": lambda v: v is None or (type(v) in (int, float) and math.isfinite(v)),
    "Clamp": lambda v: (
        isinstance(v, tuple)
        and len(v) == 2
        and all(type(b) in (int, float) and not math.isnan(b) for b in v)
    ),
    "tuple[int, int]": lambda v: isinstance(v, tuple) and len(v) == 2 and _whole(v),
    "tuple[int, int, int, int]": lambda v: isinstance(v, tuple) and len(v) == 4 and _whole(v),
    "tuple[float, float, float, float]": lambda v: (
        isinstance(v, tuple)
        and len(v) == 4
        and all(type(x) in (int, float) and math.isfinite(x) for x in v)
    ),
    "tuple[int, ...]": lambda v: isinstance(v, tuple) and _whole(v),
    "tuple[tuple[int, int], ...]": lambda v: (
        isinstance(v, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in v) and _whole(v)
    ),
    "DType": lambda v: isinstance(v, DType),
    "DType | None": lambda v: v is None or isinstance(v, DType),
    "Type": lambda v: isinstance(v, Type) and _whole(v.shape),
    "Quant": lambda v: isinstance(v, Quant),
    "Quant | None": lambda v: v is None or isinstance(v, Quant),
    "np.ndarray": lambda v: isinstance(v, np.ndarray),
    "Conv2d": lambda v: isinstance(v, Conv2d),
    "Conv2d | Pool2d": lambda v: isinstance(v, Conv2d | Pool2d),
    "str": lambda v: isinstance(v, str),
    "Elementwise": lambda v: isinstance(v, Elementwise),
    "Graph": lambda v: isinstance(v, Graph),
}


def _check(attrs: Attrs) -> None:
    """Raise ValueError where a field read from text does not hold what it declares."""
    for field in fields(attrs):
        value = getattr(attrs, field.name)
        if not _HOLDS[str(field.type)](value):
            raise ValueError(f"{field.name} is {value!r}; {field.type} wanted")
        if isinstance(value, Conv2d | Elementwise):
            _check(value)


_LINE = re.compile(r"  (\S+) = (\w+)\((.*?)\) \{(.*)\} : \S+")
_INNER = "    "
_FIELD = re.compile(rf"{_INNER}(\w+): (graph .*)")
_UNREADABLE = (
    KeyError,
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,
    zlib.error,
)


def parse_graph(text: str) -> Graph:
    """Read what `print_graph` wrote. InvalidGraph names the line that does not parse."""
    return _parse_graph(text.strip("\n").split("\n"), 1)


def _parse_graph(lines: list[str], number: int, depth: int = 0) -> Graph:
    """The graph in `lines`, the first of which is line `number` of the file."""
    if not lines[0].startswith("graph "):
        raise InvalidGraph(f"text form: line {number} is {lines[0][:40]!r}; 'graph NAME' wanted")
    if depth > MAX_DEPTH:
        raise InvalidGraph(f"text form: line {number}: graphs {depth} deep; {MAX_DEPTH} allowed")
    nodes: dict[str, Node] = {}
    outputs: tuple[Node, ...] = ()
    updates: list[tuple[Node, Node]] = []
    at = 1
    while at < len(lines):
        line, end = lines[at], at + 1
        while end < len(lines) and lines[end].startswith(_INNER):
            end += 1
        graphs = _parse_inner(lines[at + 1 : end], number + at + 1, depth)
        try:
            if line.startswith("  return "):
                outputs = tuple(nodes[n] for n in line[9:].split(", "))
            elif line.startswith("  update "):
                state, new = line[9:].split(" = ")
                updates.append((nodes[state], nodes[new]))
            else:
                node = _parse_node(line, nodes, graphs)
                nodes[node.name] = node
        except _UNREADABLE as error:
            raise InvalidGraph(f"text form: line {number + at} does not parse: {error}") from None
        at = end
    inputs = tuple(n for n in nodes.values() if n.op is Op.INPUT)
    return Graph(inputs, outputs, tuple(updates), lines[0][6:])


def _parse_inner(lines: list[str], number: int, depth: int) -> dict[str, Graph]:
    """Graphs by field from the indented lines after a node's own."""
    starts = [i for i, line in enumerate(lines) if _FIELD.fullmatch(line)]
    if lines and starts[:1] != [0]:
        raise InvalidGraph(
            f"text form: line {number} is {lines[0][:40]!r}; 'FIELD: graph NAME' wanted"
        )
    graphs: dict[str, Graph] = {}
    for start, stop in itertools.pairwise([*starts, len(lines)]):
        found = _FIELD.fullmatch(lines[start])
        assert found is not None
        own = [found[2], *(line[len(_INNER) :] for line in lines[start + 1 : stop])]
        graphs[found[1]] = _parse_graph(own, number + start, depth + 1)
    return graphs


def _parse_node(line: str, nodes: dict[str, Node], graphs: dict[str, Graph]) -> Node:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("'NAME = OP(OPERANDS) {ATTRIBUTES} : TYPE' wanted")
    name, op_name, operands, listed = found.groups()
    op = Op(op_name)
    call = ast.parse(f"attrs({listed})", mode="eval").body
    assert isinstance(call, ast.Call)
    attrs = OPS[op].attrs(**{str(k.arg): _read(k.value) for k in call.keywords}, **graphs)
    _check(attrs)
    src = tuple(nodes[o] for o in operands.split(", ") if o)
    return Node(op, src, attrs, name)
