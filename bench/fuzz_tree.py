"""Spoiled copies of a .tflite file, made in its object form: consistent changes that go deep.

A byte changed alone is mostly refused at once; these change a network as a whole (every tensor of a
shape or type), wire it otherwise, join two of them, or make subgraphs call each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from bench.fuzz_bytes import DIMS, REALS, WIDE

# A file that grows past this is not changed further.
MAX_OPERATORS = 24
_ITEM_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8, 12: 8, 13: 4, 15: 4, 16: 2}
_TYPES = (0, 1, 2, 2, 3, 4, 6, 7, 9, 9, 12, 13, 15, 16, 17)
_WHILE, _IF, _CALL_ONCE = 119, 118, 129
_CALLS = (
    (_IF, "IfOptionsT", 92, ("thenSubgraphIndex", "elseSubgraphIndex")),
    (_WHILE, "WhileOptionsT", 93, ("condSubgraphIndex", "bodySubgraphIndex")),
    (_CALL_ONCE, "CallOnceOptionsT", 103, ("initSubgraphIndex",)),
)

Tree = Any
Change = Callable[[Tree, random.Random], None]


def unpacked(model: bytes) -> Tree:
    """The object form of a file, every vector a list but the data of buffers."""
    tree = tflite.ModelT.InitFromPackedBuf(model, 0)
    for graph in tree.subgraphs:
        graph.inputs, graph.outputs = _listed(graph.inputs), _listed(graph.outputs)
        graph.tensors, graph.operators = _listed(graph.tensors), _listed(graph.operators)
        for tensor in graph.tensors:
            tensor.shape = _listed(tensor.shape)
        for operator in graph.operators:
            operator.inputs, operator.outputs = _listed(operator.inputs), _listed(operator.outputs)
    tree.signatureDefs = None
    return tree


def packed(tree: Tree) -> bytes:
    """The file of an object form."""
    builder = flatbuffers.Builder(2048)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def spoil(model: bytes, other: bytes, chance: random.Random) -> bytes | None:
    """A copy of `model` after one to three changes; `other` is a file to join it with.

    None where flatbuffers cannot take one of them apart, or not put the result together.
    """
    try:
        tree = unpacked(model)
        for _ in range(chance.choice((1, 1, 2, 3))):
            if chance.random() < 0.2:
                _join(tree, unpacked(other), chance)
            else:
                chance.choice(_CHANGES)(tree, chance)
        return packed(tree)
    except Exception:  # they are spoiled files themselves
        return None


def _graph(tree: Tree, chance: random.Random) -> Any:
    return tree.subgraphs[0] if chance.random() < 0.8 else chance.choice(tree.subgraphs)


def _size(tensor: Any) -> int:
    """Bytes a tensor's data should have, cut where that is a great many."""
    elements = 1
    for dim in tensor.shape:
        elements *= max(int(dim), 0)
    return min(elements, 1 << 14) * _ITEM_BYTES.get(tensor.type, 4)


def _fit_data(tree: Tree, tensor: Any) -> None:
    """Cut or repeat a constant's data to the size of its tensor."""
    if not 0 < tensor.buffer < len(tree.buffers):
        return
    data = tree.buffers[tensor.buffer].data
    if data is None or not len(data):
        return
    buffer = tflite.BufferT()
    buffer.data = np.resize(np.asarray(data, np.uint8), _size(tensor))
    tree.buffers.append(buffer)
    tensor.buffer = len(tree.buffers) - 1


def _resize(tree: Tree, chance: random.Random) -> None:
    """Every axis of one size has another."""
    graph = _graph(tree, chance)
    sizes = sorted({int(d) for t in graph.tensors for d in t.shape})
    if not sizes:
        return
    old, new = chance.choice(sizes), chance.choice((*DIMS, *sizes, chance.randrange(40)))
    new = max(min(new, 2**31 - 1), -(2**31))
    for tensor in graph.tensors:
        if old in tensor.shape:
            tensor.shape = [new if d == old else d for d in tensor.shape]
            _fit_data(tree, tensor)


def _retype(tree: Tree, chance: random.Random) -> None:
    """Every tensor of one element type has another."""
    graph = _graph(tree, chance)
    if not graph.tensors:
        return
    old, new = chance.choice(graph.tensors).type, chance.choice(_TYPES)
    for tensor in graph.tensors:
        if tensor.type == old:
            tensor.type = new
            _fit_data(tree, tensor)


def _rerank(tree: Tree, chance: random.Random) -> None:
    """Every tensor, or one of them, has an axis of 1 more or an axis less."""
    graph = _graph(tree, chance)
    if not graph.tensors:
        return
    some = graph.tensors if chance.random() < 0.6 else [chance.choice(graph.tensors)]
    more, front = chance.random() < 0.5, chance.random() < 0.5
    for tensor in some:
        if more:
            tensor.shape.insert(0 if front else len(tensor.shape), 1)
        elif tensor.shape:
            tensor.shape.pop(0 if front else -1)
            _fit_data(tree, tensor)


def _requantize(tree: Tree, chance: random.Random) -> None:
    """Tensors have other scales or zero points, none, one for each channel, or another's."""
    graph = _graph(tree, chance)
    if not graph.tensors:
        return
    way, scale = chance.randrange(5), abs(chance.choice((*REALS, chance.random(), 2.0**-7)))
    zero = chance.choice((0, 0, 1, -128, 127, 128, 255, -(2**31), 2**31 - 1))
    source = chance.choice(graph.tensors)
    for tensor in graph.tensors if chance.random() < 0.4 else [chance.choice(graph.tensors)]:
        if way == 0:
            tensor.quantization = None
            continue
        if way == 1:
            tensor.quantization = source.quantization
            continue
        quant = tflite.QuantizationParametersT()
        axis = chance.randrange(max(len(tensor.shape), 1))
        count = int(tensor.shape[axis]) if way == 2 and tensor.shape else 1
        count = max(min(count, 64), 1)
        quant.scale = np.full(count, scale, np.float32)
        quant.zeroPoint = np.full(count, zero if way != 3 else 0, np.int64)
        quant.quantizedDimension = axis
        tensor.quantization = quant


def _rewire(tree: Tree, chance: random.Random) -> None:
    """An operand or result is another tensor, is missing, is there twice, or changes its place."""
    graph = _graph(tree, chance)
    if not graph.operators:
        return
    operator = chance.choice(graph.operators)
    ends = operator.inputs if chance.random() < 0.75 else operator.outputs
    index = chance.randrange(len(graph.tensors)) if graph.tensors else 0
    at = chance.randrange(len(ends)) if ends else 0
    match chance.randrange(5):
        case 0:
            ends.insert(at, chance.choice((-1, index)))
        case 1:
            del ends[at : at + 1]
        case 2:
            chance.shuffle(ends)
        case _:
            ends[at : at + 1] = [chance.choice((-1, index, index))]


def _reorder(tree: Tree, chance: random.Random) -> None:
    """Operators change places, one is gone, one is there twice, with results of its own or not."""
    graph = _graph(tree, chance)
    if not graph.operators or len(graph.operators) > MAX_OPERATORS:
        return
    operator = chance.choice(graph.operators)
    match chance.randrange(4):
        case 0:
            chance.shuffle(graph.operators)
        case 1:
            graph.operators.remove(operator)
        case 2:
            graph.operators.append(operator)
        case 3:
            first = len(graph.tensors)
            made = [graph.tensors[i] for i in operator.outputs if 0 <= i < first]
            graph.tensors += made
            twin = tflite.OperatorT()
            twin.__dict__.update(operator.__dict__)
            twin.inputs, twin.outputs = list(operator.inputs), [first + i for i in range(len(made))]
            graph.operators.append(twin)
            graph.outputs += twin.outputs


def _options(tree: Tree, chance: random.Random) -> None:
    """An option is another number; the bytes of a custom operator's options change."""
    graph = _graph(tree, chance)
    if not graph.operators:
        return
    operator = chance.choice(graph.operators)
    custom = operator.customOptions
    if custom is not None and len(custom):
        data = np.array(custom, np.uint8)
        for _ in range(chance.choice((1, 2, 4))):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 4, 255, chance.randrange(256)))
        operator.customOptions = data
    fields = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    if not fields:
        return
    name = chance.choice(sorted(fields))
    old = fields[name]
    if isinstance(old, bool):
        fields[name] = not old
    elif isinstance(old, float):
        fields[name] = chance.choice(REALS)
    elif isinstance(old, int):
        fields[name] = chance.choice((old - 1, old + 1, *range(-1, 9), *WIDE[:17]))
    elif old is not None and len(old):
        changed = np.array(old)
        changed[chance.randrange(len(changed))] = chance.choice((0, 1, -1, 2, 2**31 - 1))
        fields[name] = changed


def _data(tree: Tree, chance: random.Random) -> None:
    """A constant has other contents."""
    graph = _graph(tree, chance)
    held = [t for t in graph.tensors if 0 < t.buffer < len(tree.buffers)]
    held = [t for t in held if tree.buffers[t.buffer].data is not None]
    if not held:
        return
    tensor = chance.choice(held)
    raw = np.array(tree.buffers[tensor.buffer].data, np.uint8)
    kind = {0: "<f4", 2: "<i4", 4: "<i8", 7: "<i2"}.get(tensor.type, "<u1")
    if not raw.size or raw.size % np.dtype(kind).itemsize:
        return
    values = raw.view(kind)
    bits = 8 * values.itemsize
    few = 1 if chance.random() < 0.7 else values.size
    for at in (chance.randrange(values.size) for _ in range(min(few, 64))):
        if kind == "<f4":
            values[at] = chance.choice(REALS)
            continue
        new = chance.choice((*range(-2, 6), *WIDE, -(2**31), int(values[at]) + 1)) % 2**bits
        values[at] = new - 2**bits if kind != "<u1" and new >= 2 ** (bits - 1) else new
    tree.buffers[tensor.buffer].data = raw


def _ends(tree: Tree, chance: random.Random) -> None:
    """Inputs and outputs of a subgraph are others; a constant is an input, an input a constant."""
    graph = _graph(tree, chance)
    if not graph.tensors:
        return
    index = chance.randrange(len(graph.tensors))
    tensor = graph.tensors[index]
    match chance.randrange(6):
        case 0:
            graph.outputs.append(index)
        case 1:
            graph.outputs = [index]
        case 2:
            graph.inputs.append(index)
        case 3:
            tensor.buffer = 0
            graph.inputs.append(index)
        case 4:
            tensor.isVariable = not tensor.isVariable
        case 5:
            buffer = tflite.BufferT()
            buffer.data = np.full(_size(tensor), chance.choice((0, 1, 127, 255)), np.uint8)
            tree.buffers.append(buffer)
            tensor.buffer = len(tree.buffers) - 1
            graph.inputs = [i for i in graph.inputs if i != index]


def _kind(tree: Tree, chance: random.Random) -> None:
    """An operator is another one, of the same options."""
    code = chance.choice(tree.operatorCodes) if tree.operatorCodes else None
    if code is not None:
        number = chance.randrange(165)
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)


def _call(tree: Tree, chance: random.Random) -> None:
    """A new operator calls subgraphs on tensors of its own graph."""
    graph = _graph(tree, chance)
    if len(graph.operators) > MAX_OPERATORS or not graph.tensors:
        return
    number, options, kind, fields = chance.choice(_CALLS)
    code = tflite.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    tree.operatorCodes.append(code)
    operator = tflite.OperatorT()
    operator.opcodeIndex, operator.builtinOptionsType = len(tree.operatorCodes) - 1, kind
    operator.builtinOptions = getattr(tflite, options)()
    for name in fields:
        setattr(operator.builtinOptions, name, chance.randrange(len(tree.subgraphs) + 1))
    called = chance.choice(tree.subgraphs)
    operator.inputs = [] if number == _CALL_ONCE else list(called.inputs)
    results = (
        []
        if number == _CALL_ONCE
        else [graph.tensors[i % len(graph.tensors)] for i in called.outputs]
    )
    operator.outputs = [len(graph.tensors) + i for i in range(len(results))]
    graph.tensors += results
    graph.outputs += operator.outputs
    graph.operators.insert(chance.choice((0, len(graph.operators))), operator)


def _join(tree: Tree, other: Tree, chance: random.Random) -> None:
    """The other's first subgraph behind ours, or as a subgraph of its own."""
    ours, theirs = _graph(tree, chance), other.subgraphs[0]
    if len(ours.operators) + len(theirs.operators) > MAX_OPERATORS:
        return
    buffers, codes, tensors = len(tree.buffers), len(tree.operatorCodes), len(ours.tensors)
    tree.buffers += other.buffers
    tree.operatorCodes += other.operatorCodes
    for tensor in theirs.tensors:
        tensor.buffer = tensor.buffer + buffers if tensor.buffer else 0
    for operator in theirs.operators:
        operator.opcodeIndex += codes
    if chance.random() < 0.3:
        tree.subgraphs.append(theirs)
        return
    wires = {i: i + tensors if i >= 0 else i for i in range(-1, len(theirs.tensors))}
    ends = [*ours.outputs, *ours.inputs]
    for index in theirs.inputs:
        like = theirs.tensors[index]
        same = [i for i in ends if _same(ours.tensors[i], like)] or (
            ends if chance.random() < 0.1 else []
        )
        if same:
            wires[index] = chance.choice(same)
    ours.tensors += theirs.tensors
    for operator in theirs.operators:
        operator.inputs = [wires.get(int(i), int(i)) for i in operator.inputs]
        operator.outputs = [wires.get(int(i), int(i)) for i in operator.outputs]
    ours.operators += theirs.operators
    ours.inputs += [wires[i] for i in theirs.inputs if wires[i] >= tensors]
    ours.outputs += [wires[i] for i in theirs.outputs]


def _same(a: Any, b: Any) -> bool:
    return a.type == b.type and list(a.shape) == list(b.shape)


_CHANGES: tuple[Change, ...] = (
    _resize,
    _retype,
    _rerank,
    _requantize,
    _rewire,
    _reorder,
    _options,
    _data,
    _ends,
    _kind,
    _call,
)
