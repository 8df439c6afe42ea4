"""Variables and control flow of .tflite files against TFLM, over many runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, MilliwattError, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from support.oracle import Tflm
from support.tflite_build import File, Part, options
from support.tflite_mutate import survive

RNG_RUNS = 6


def add(part: Part, a: int, b: int, name: str, shape: tuple[int, ...] = (1, 2)) -> int:
    """a + b in f32."""
    return part.add("ADD", [a, b], [part.tensor(name, "f32", shape)], options("Add"))[0]


def assign(part: Part, handle: int, value: int) -> None:
    part.add("ASSIGN_VARIABLE", [handle, value], [], options("AssignVariable"))


def read(part: Part, handle: int, name: str, dtype: str = "f32", **kind: Any) -> int:
    out = part.tensor(name, dtype, kind.pop("shape", (1, 2)), **kind)
    return part.add("READ_VARIABLE", [handle], [out], options("ReadVariable"))[0]


def call_once(part: Part, index: int) -> None:
    part.add("CALL_ONCE", [], [], options("CallOnce", initSubgraphIndex=index))


def compare(model: bytes, runs: int = RNG_RUNS) -> Graph:
    """Run TFLM and the reference over several inputs; every run must agree."""
    graph = read_tflite(model)
    ours, theirs, rng = Session(graph), Tflm(model), np.random.default_rng(0)
    for _ in range(runs):
        inputs = []
        for node in graph.inputs:
            kind = node.type
            drawn = rng.integers(-5, 6, kind.shape).astype(kind.dtype.numpy)
            inputs.append(drawn > 0 if kind.dtype.numpy == np.bool_ else drawn)
        wanted = theirs.run(inputs)
        got = ours.run(inputs)[0]
        assert got.dtype == wanted.dtype
        assert (got == wanted).all(), (got, wanted)
    return graph


def refused(model: bytes, kind: type[MilliwattError], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_tflite(model)


def sums(first: float | None) -> File:
    """y = the sum of all inputs so far, and of a first value that an init subgraph stores."""
    file = File("main", "init")
    main, init = file.parts
    if first is not None:
        call_once(main, 1)
    handle = main.handle("sum")
    x = main.tensor("x", "f32", (1, 2))
    y = add(main, read(main, handle, "before"), x, "y")
    assign(main, handle, y)
    main.ends([x], [y])
    value = init.tensor("start", "f32", (1, 2), value=np.full((1, 2), first or 0, np.float32))
    assign(init, init.handle("sum"), value)
    return file


@pytest.mark.parametrize("first", [None, 2.5])
def test_a_variable_is_a_state(first: float | None) -> None:
    graph = compare(sums(first).write())
    ((state, new),) = graph.updates
    assert state.name == "sum"
    assert new is graph.outputs[0]
    assert (state.attrs.value == (first or 0)).all()


def test_a_quantized_variable_starts_at_its_zero_point() -> None:
    file = File("main")
    (main,) = file.parts
    handle, quant = main.handle("v"), (0.5, -7)
    x = main.tensor("x", "s8", (1, 2), quant=quant)
    y = read(main, handle, "y", "s8", quant=quant)
    assign(main, handle, x)
    main.ends([x], [y])
    graph = compare(file.write())
    assert (graph.updates[0][0].attrs.value == -7).all()


def test_reads_and_assignments_in_the_order_of_the_file() -> None:
    """v is read, assigned, read, assigned: the last value stays, the reads see the one before."""
    file = File("main")
    (main,) = file.parts
    handle = main.handle("v")
    x = main.tensor("x", "f32", (1, 2))
    first = read(main, handle, "first")
    once = add(main, first, x, "once")
    assign(main, handle, once)
    second = read(main, handle, "second")
    twice = add(main, second, first, "twice")
    assign(main, handle, twice)
    y = add(main, second, first, "y")
    main.ends([x], [y])
    assert len(compare(file.write()).updates) == 1


def test_a_variable_that_no_run_changes_is_a_constant() -> None:
    file = File("main", "init")
    main, init = file.parts
    call_once(main, 1)
    x = main.tensor("x", "f32", (1, 2))
    weight = read(main, main.handle("w"), "w")
    y = add(main, x, weight, "y")
    main.ends([x], [y])
    stored = init.tensor("stored", "f32", (1, 2), value=np.float32([[3, 4]]))
    assign(init, init.handle("w"), stored)
    graph = compare(file.write())
    assert not graph.updates
    assert [node.op for node in graph.nodes()] == [Op.INPUT, Op.CONSTANT, Op.ADD]


def test_first_values_are_computed() -> None:
    file = sums(1.0)
    init = file.parts[1]
    one = init.tensor("one", "f32", (1, 2), value=np.float32([[1, 2]]))
    handle = init.handle("sum")
    assign(init, handle, add(init, read(init, handle, "so far"), one, "more"))
    assert (compare(file.write()).updates[0][0].attrs.value == [[2, 3]]).all()


def test_variables_may_be_read_in_another_shape() -> None:
    file = File("main")
    (main,) = file.parts
    handle = main.handle("v")
    x = main.tensor("x", "f32", (1, 2))
    flat = read(main, handle, "flat", shape=(2,))
    y = add(main, flat, x, "y")
    assign(main, handle, y)
    main.ends([x], [y])
    compare(file.write())


def variable_tensor(**kind: Any) -> bytes:
    """y = x + v, v a variable tensor that nothing writes."""
    file = File("main")
    (main,) = file.parts
    x = main.tensor("x", "f32", (1, 2))
    v = main.tensor("v", "f32", (1, 2), variable=True, **kind)
    main.ends([x], [add(main, x, v, "y")])
    return file.write()


def test_a_variable_tensor_that_nothing_writes_is_zero() -> None:
    graph = compare(variable_tensor())
    assert not graph.updates
    assert (graph.outputs[0].src[1].value == 0).all()


def test_a_variable_tensor_with_data_is_refused() -> None:
    refused(variable_tensor(value=np.float32([[1, 2]])), ImportFailed, "'v', .* variable and has")


# --- IF and WHILE -------------------------------------------------------------------------------


def branches(file: File) -> tuple[Part, int, int]:
    """(first subgraph, its inputs: bool, f32 [1,2]) of a file whose subgraphs are branches."""
    main = file.parts[0]
    return main, main.tensor("c", "bool", (1,)), main.tensor("x", "f32", (1, 2))


def doubling(part: Part) -> None:
    x = part.tensor("x", "f32", (1, 2))
    part.ends([x], [add(part, x, x, "doubled")])


def adding(part: Part, number: float) -> None:
    x = part.tensor("x", "f32", (1, 2))
    one = part.tensor("one", "f32", (1, 2), value=np.full((1, 2), number, np.float32))
    part.ends([x], [add(part, x, one, "added")])


def test_if() -> None:
    file = File("main", "then", "else")
    main, condition, x = branches(file)
    doubling(file.parts[1])
    adding(file.parts[2], 5)
    chosen = options("If", thenSubgraphIndex=1, elseSubgraphIndex=2)
    (y,) = main.add("IF", [condition, x], [main.tensor("y", "f32", (1, 2))], chosen)
    main.ends([condition, x], [add(main, y, x, "z")])
    graph = compare(file.write())
    assert [n.op for n in graph.nodes() if not n.is_constant][2:] == [Op.IF, Op.PART, Op.ADD]
    assert next(n for n in graph.nodes() if n.op is Op.PART).name == "y"


def test_if_on_a_constant_condition() -> None:
    file = File("main", "then", "else")
    main, _, x = branches(file)
    doubling(file.parts[1])
    adding(file.parts[2], 5)
    chosen = options("If", thenSubgraphIndex=1, elseSubgraphIndex=2)
    no = main.tensor("no", "bool", (1,), value=np.array([False]))
    (y,) = main.add("IF", [no, x], [main.tensor("y", "f32", (1, 2))], chosen)
    main.ends([x], [y])
    compare(file.write())


def test_variables_inside_branches() -> None:
    """One branch counts, the other reads another variable; both are seen outside."""
    file = File("main", "then", "else")
    main, condition, x = branches(file)
    for name, part in zip(("count", "other"), file.parts[1:], strict=True):
        given = part.tensor("x", "f32", (1, 2))
        handle = part.handle(name)
        more = add(part, read(part, handle, "before"), given, "more")
        if name == "count":
            assign(part, handle, more)
        part.ends([given], [more])
    count, other = main.handle("count"), main.handle("other")
    chosen = options("If", thenSubgraphIndex=1, elseSubgraphIndex=2)
    (y,) = main.add("IF", [condition, x], [main.tensor("y", "f32", (1, 2))], chosen)
    after = read(main, count, "after")
    assign(main, other, x)
    main.ends([condition, x], [add(main, y, after, "z")])
    graph = compare(file.write(), 12)
    assert sorted(state.name for state, _ in graph.updates) == ["count", "other"]


def loop(limit: float) -> File:
    """while x[0] < limit: x = x + x + 1, counting the runs of the body in a variable."""
    file = File("main", "condition", "body")
    main, condition, body = file.parts
    x = main.tensor("x", "f32", (1, 1))
    bodies = options("While", condSubgraphIndex=1, bodySubgraphIndex=2)
    (y,) = main.add("WHILE", [x], [main.tensor("y", "f32", (1, 1))], bodies)
    main.ends([x], [y])
    value = condition.tensor("x", "f32", (1, 1))
    most = condition.tensor("limit", "f32", (1, 1), value=np.float32([[limit]]))
    less = condition.tensor("less", "bool", (1, 1))
    condition.ends([value], condition.add("LESS", [value, most], [less], options("Less")))
    value = body.tensor("x", "f32", (1, 1))
    one = body.tensor("seven", "f32", (1, 1), value=np.float32([[7]]))
    body.ends([value], [add(body, value, one, "next", (1, 1))])
    return file


def test_while() -> None:
    graph = compare(loop(40).write())
    assert Op.WHILE in [n.op for n in graph.nodes()]


def test_a_loop_changes_a_variable() -> None:
    file = loop(40)
    main, _, body = file.parts
    handle = body.handle("steps")
    one = body.tensor("one", "f32", (1, 1), value=np.float32([[1]]))
    assign(body, handle, add(body, read(body, handle, "b", shape=(1, 1)), one, "s", (1, 1)))
    steps = read(main, main.handle("steps"), "all", shape=(1, 1))
    main.ends(main.tree.inputs, [steps])
    assert len(compare(file.write()).updates) == 1


def test_a_handle_may_be_passed_to_a_subgraph() -> None:
    file = loop(40)
    main, condition, body = file.parts
    outer = main.handle("steps")
    # VAR_HANDLE must come first: it makes an operand of the loop.
    main.tree.operators.reverse()
    operator = main.tree.operators[1]
    operator.inputs = [*operator.inputs, outer]
    operator.outputs = [*operator.outputs, main.tensor("handle out", "resource", ())]
    condition.tree.inputs = [*condition.tree.inputs, condition.tensor("h", "resource", ())]
    handle = body.tensor("h", "resource", ())
    body.ends([*body.tree.inputs, handle], [*body.tree.outputs, handle])
    one = body.tensor("one", "f32", (1, 1), value=np.float32([[1]]))
    assign(body, handle, add(body, read(body, handle, "b", shape=(1, 1)), one, "s", (1, 1)))
    steps = read(main, operator.outputs[1], "all", shape=(1, 1))
    main.ends(main.tree.inputs, [steps])
    graph = read_tflite(file.write())
    session = Session(graph)
    assert [float(session.run([np.float32([[x]])])[0][0, 0]) for x in (39, 33, 50, 5)] == [
        1,
        2,
        2,
        7,
    ]


# --- what is refused ----------------------------------------------------------------------------


def test_subgraphs_that_call_themselves() -> None:
    file = File("main", "then", "else")
    main, condition, x = branches(file)
    chosen = options("If", thenSubgraphIndex=0, elseSubgraphIndex=2)
    (y,) = main.add("IF", [condition, x], [main.tensor("y", "f32", (1, 2))], chosen)
    main.ends([condition, x], [y])
    refused(file.write(), ImportFailed, "subgraph 0 calls itself")


def test_subgraphs_that_are_not_there() -> None:
    file = sums(1.0)
    file.parts[0].tree.operators[0].builtinOptions.initSubgraphIndex = 9
    refused(file.write(), ImportFailed, "subgraph 9 is called, the file has 2")


def test_first_values_after_the_first_use() -> None:
    file = sums(1.0)
    operators = file.parts[0].tree.operators
    operators.append(operators.pop(0))
    refused(file.write(), UnsupportedOp, "variable 'sum' is used before subgraph 1")


def test_one_variable_of_two_quantizations() -> None:
    file = File("main")
    (main,) = file.parts
    handle = main.handle("v")
    x = main.tensor("x", "s8", (1, 2), quant=(0.5, 3))
    y = read(main, handle, "y", "s8", quant=(0.25, 3))
    assign(main, handle, x)
    main.ends([x], [y])
    refused(file.write(), UnsupportedOp, "variable v is .* assigned x, .* one type wanted")


def test_a_first_value_of_another_size() -> None:
    file = sums(1.0)
    stored = file.parts[1].tree.tensors[0]
    stored.shape, stored.buffer = [1, 3], file.buffer(bytes(12))
    refused(file.write(), ImportFailed, r"variable is f32\[1,2\], its first value")


def test_operands_that_are_no_variables() -> None:
    file = sums(None)
    file.parts[0].tree.operators[1].inputs = [1]
    refused(file.write(), ImportFailed, "READ_VARIABLE.*operand 0 is no variable")


def test_first_values_that_take_too_long() -> None:
    """65,536 numbers by doubling a 4-byte constant 24 times would be 64 MB."""
    file = File("main", "init")
    main, init = file.parts
    call_once(main, 1)
    x = main.tensor("x", "f32", (1 << 24,))
    y = add(main, x, read(main, main.handle("v"), "w", shape=(1 << 24,)), "y", (1 << 24,))
    main.ends([x], [y])
    value = init.tensor("one", "f32", (1,), value=np.ones(1, np.float32))
    for power in range(1, 25):
        joined = init.tensor(f"c{power}", "f32", (1 << power,))
        (value,) = init.add(
            "CONCATENATION", [value, value], [joined], options("Concatenation", axis=0)
        )
    assign(init, init.handle("v"), value)
    refused(file.write(), UnsupportedOp, "computes too much for a first value")


@pytest.mark.parametrize("variable", [True, False])
def test_states_that_fill_the_memory(variable: bool) -> None:
    """A file of a few hundred bytes that says to remember 64 MB."""
    file = File("main")
    (main,) = file.parts
    shape = (1 << 24,)
    x = main.tensor("x", "f32", shape)
    if variable:
        held = main.tensor("v", "f32", shape, variable=True)
    else:
        held = read(main, main.handle("v"), "w", shape=shape)
        assign(main, 1, x)
    main.ends([x], [add(main, x, held, "y", shape)])
    refused(file.write(), UnsupportedOp, "take more than 16 times the file")


def test_branches_that_double_at_every_level() -> None:
    """Each of 60 subgraphs calls the next one twice."""
    file = File(*(f"g{number}" for number in range(61)))
    for number, part in enumerate(file.parts):
        condition, x = part.tensor("c", "bool", (1,)), part.tensor("x", "f32", (1, 2))
        ins = [condition, x]
        for step in range(2 if number < 60 else 0):
            chosen = options("If", thenSubgraphIndex=number + 1, elseSubgraphIndex=number + 1)
            out = part.tensor(f"y{step}", "f32", (1, 2))
            (x,) = part.add("IF", [condition, condition, x], [out], chosen)
        part.ends(ins, [add(part, x, x, "z")])
    refused(file.write(), UnsupportedOp, "more than 8 deep")


# --- real models --------------------------------------------------------------------------------

WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


@pytest.mark.parametrize("name", WAKE_WORDS)
def test_wake_word_models_run_as_in_tflm(name: str) -> None:
    found = importlib.util.find_spec("pymicro_wakeword")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pip install pymicro-wakeword for its streaming models")
    path = Path(found.submodule_search_locations[0]) / "models" / f"{name}.tflite"
    graph = compare_frames(path.read_bytes(), 60)
    assert len(graph.updates) == 6


def compare_frames(model: bytes, frames: int) -> Graph:
    """Like `compare`, on frames that change slowly, as a recording's do."""
    graph = read_tflite(model)
    ours, theirs, rng = Session(graph), Tflm(model), np.random.default_rng(0)
    frame = rng.integers(-128, 128, graph.inputs[0].type.shape)
    for _ in range(frames):
        frame = np.clip(frame + rng.integers(-30, 31, frame.shape), -128, 127)
        inputs = [frame.astype(np.int8)]
        assert (ours.run(inputs)[0] == theirs.run(inputs)).all()
    return graph


@pytest.mark.parametrize("make", [lambda: loop(40), lambda: sums(1.0)], ids=["loop", "sums"])
def test_spoiled_files_are_read_or_refused(
    make: Callable[[], File], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert survive(make().write(), 300, 3, monkeypatch) > 0.2
