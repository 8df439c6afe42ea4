"""The equality ladder over the five int8 models: differing output bytes on every rung, as CSV.

Oracle: the `tflite-micro` wheel with its reference kernels. Every rung gets the same inputs; its
outputs are compared with the oracle's, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

import milliwatt as mw
from bench.common import arguments, inputs, path, write_csv
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import run

ON_HOST, ON_EMULATORS = 100, 5
EMULATED = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imc")
ARENA_BYTES = 4 << 20
Run = Callable[[np.ndarray], np.ndarray]


def oracle(model: bytes) -> Run:
    """The model in TensorFlow Lite Micro's own interpreter."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)

    def one(x: np.ndarray) -> np.ndarray:
        interpreter.set_input(x, 0)
        interpreter.invoke()
        output: np.ndarray = interpreter.get_output(0)
        return output

    return one


def rungs(graph: Graph, quick: bool) -> Iterator[tuple[str, int, Run]]:
    """(name, inputs, how to run) of every rung."""
    yield "reference", ON_HOST, lambda x: run(graph, [x])[0]
    boards = [("host", ON_HOST), *((b, ON_EMULATORS) for b in EMULATED)]
    for board, count in boards[:2] if quick else boards:
        firmware = mw.build(graph, board=board)
        yield board, count, lambda x, firmware=firmware: firmware.run(x).outputs[0]


def climb(models: Path, key: str, quick: bool) -> Iterator[dict[str, object]]:
    """One row a rung."""
    file = path(models, key)
    graph = mw.load(file)
    values, kind = inputs(key, graph, models, ON_HOST)
    truth = oracle(file.read_bytes())
    wanted = [truth(x) for x in values]
    for name, count, rung in rungs(graph, quick):
        yield {
            "model": key,
            "rung": name,
            "inputs": count,
            "input_kind": kind,
            "output_bytes": sum(w.nbytes for w in wanted[:count]),
            "differing_bytes": differing(rung, values[:count], wanted),
        }


def differing(rung: Run, values: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> int:
    """Bytes that differ over all inputs."""
    pairs = zip(values, wanted, strict=False)
    return sum(int((rung(x).view(np.uint8) != w.view(np.uint8)).sum()) for x, w in pairs)


def main() -> None:
    """Climb for every model."""
    given = arguments("Differing bytes on every rung of the equality ladder")
    rows = []
    for key in given.only:
        for row in climb(given.models, key, given.quick):
            print(
                f"{key:4} {row['rung']:14} {row['inputs']:>4} {row['input_kind']} inputs "
                f"{row['differing_bytes']} of {row['output_bytes']} bytes differ"
            )
            rows.append(row)
    write_csv("ladder", rows)


if __name__ == "__main__":
    main()
