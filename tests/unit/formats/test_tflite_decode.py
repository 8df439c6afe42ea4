"""TFLM's compressed constants against TFLM's own decoder."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, MilliwattError, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.reference import run
from support.oracle import Tflm
from support.tflite_build import File, options
from support.tflite_mutate import survive

SHAPE = (4, 6)


def model(codes: bytes, tables: bytes, dtype: str = "f32") -> bytes:
    """x + decode(codes, tables) in f32; in s8 the decoded constant itself, reshaped."""
    file = File("main")
    (main,) = file.parts
    held = [
        main.tensor(name, "s8", (len(data),), value=np.frombuffer(data, np.int8))
        for name, data in (("codes", codes), ("tables", tables))
    ]
    quant = (0.5, 3) if dtype == "s8" else None
    (made,) = main.add("TFLM_DECODE", held, [main.tensor("w", dtype, SHAPE, quant=quant)])
    x = main.tensor("x", dtype, SHAPE, quant=quant)
    y = main.tensor("y", dtype, SHAPE, quant=(1.0, 3) if dtype == "s8" else None)
    main.ends([x], main.add("ADD", [x, made], [y], options("Add")))
    return file.write()


def header(kind: int, *rest: int) -> bytes:
    return bytes([kind, 1, 0, 0, 1, *rest]).ljust(16, b"\0")


def equal_to_tflm(data: bytes) -> None:
    graph = read_tflite(data)
    kind = graph.inputs[0].type
    x = np.arange(24).reshape(SHAPE).astype(kind.dtype.numpy)
    assert (run(graph, [x])[0] == Tflm(data).run([x])).all()
    assert {node.op.value for node in graph.nodes()} == {"input", "constant", "add"}


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("dtype", ["f32", "s8"])
def test_tables_of_values(width: int, dtype: str) -> None:
    rng = np.random.default_rng(width)
    values = rng.integers(-100, 100, 1 << width).astype({"f32": "<f4", "s8": "i1"}[dtype])
    indices = rng.integers(0, 1 << width, 24)
    bits = (indices[:, None] >> np.arange(width)[::-1] & 1).astype(np.uint8)
    codes = np.packbits(bits.reshape(-1)).tobytes() + bytes(8)
    data = model(codes, header(0, width, min(1 << width, 255)) + values.tobytes(), dtype)
    equal_to_tflm(data)


@pytest.mark.parametrize("dtype", ["f32", "s8"])
def test_pruned_values(dtype: str) -> None:
    kept = np.random.default_rng(0).random(24) < 0.4
    values = np.arange(1, kept.sum() + 1).astype({"f32": "<f4", "s8": "i1"}[dtype])
    equal_to_tflm(model(np.packbits(kept).tobytes(), header(2) + values.tobytes(), dtype))


def test_huffman_codes() -> None:
    """Symbols 5 (code 0), -6 (10), 7 (110) and 9 (111); a first table of 2 bits."""
    found = 0x8000
    tables = [
        found | 1 << 11 | 5,
        found | 1 << 11 | 5,
        found | 2 << 11 | (-6 & 0xFF),
        # One bit more, in the table that begins behind this entry.
        0 << 11 | 1,
        found | 1 << 11 | 7,
        found | 1 << 11 | 9,
    ]
    code = {5: "0", -6: "10", 7: "110", 9: "111"}
    wanted = np.random.default_rng(0).choice([5, -6, 7, 9], 24)
    text = "".join(code[int(symbol)] for symbol in wanted)
    bits = np.array([int(bit) for bit in text.ljust(96, "0")], np.uint8)
    raw = np.array(tables, "<u2").tobytes()
    data = model(np.packbits(bits).tobytes(), header(1, 1 << 4) + raw, "s8")
    node = next(n for n in read_tflite(data).nodes() if n.name == "w")
    assert node.value.reshape(-1).tolist() == wanted.tolist()
    equal_to_tflm(data)


REFUSED: list[tuple[bytes, bytes, type[MilliwattError], str]] = [
    (b"abc", b"\0\1", ImportFailed, "tables of 2 bytes"),
    (b"abc", b"\0\2".ljust(40, b"\1"), ImportFailed, "version 1"),
    (b"abc", header(127), UnsupportedOp, "compression of kind 127"),
    (b"abc", header(0, 0, 4), ImportFailed, "indices of 0 bits"),
    (b"abc", header(0, 7, 4), ImportFailed, "3 bytes of codes; 21 wanted"),
    (b"\xff" * 40, header(0, 4, 4) + bytes(8), ImportFailed, "element 15 of a table of 2"),
    (b"\xff" * 3, header(2) + bytes(8), ImportFailed, "element 23 of a table of 2"),
    (b"\xff" * 3, header(1, 16) + bytes(8), UnsupportedOp, "f32, Huffman-coded"),
]


@pytest.mark.parametrize(("codes", "tables", "kind", "message"), REFUSED)
def test_what_is_damaged_is_refused(
    codes: bytes, tables: bytes, kind: type[MilliwattError], message: str
) -> None:
    with pytest.raises(kind, match=rf"w \(TFLM_DECODE\): .*{message}"):
        read_tflite(model(codes, tables))


def test_huffman_codes_that_lead_nowhere() -> None:
    with pytest.raises(ImportFailed, match="lead out of their tables"):
        read_tflite(model(bytes(24), header(1, 16) + bytes([0, 0, 0, 0]), "s8"))


def test_spoiled_files_are_read_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = model(bytes(range(40)), header(0, 4, 16) + bytes(64))
    assert survive(data, 300, 3, monkeypatch) > 0.2
