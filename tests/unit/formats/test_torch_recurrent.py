"""torch's recurrent layers and cells as scans: the same numbers, from the model to C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from milliwatt.errors import UnsupportedOp
from milliwatt.formats.torch import read_torch
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from support.ladder import started

torch = pytest.importorskip("torch", reason="PyTorch makes these models")
nn = torch.nn
INPUTS, UNITS, STEPS = 5, 6, 7


class Classifier(nn.Module):
    """The last step's result through a linear layer."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(INPUTS, UNITS, **options)
        self.head = nn.Linear(UNITS, 3)
        self.batch_first = options.get("batch_first", False)

    def forward(self, x: Any) -> Any:
        y, _ = self.rnn(x)
        return self.head(y[:, -1] if self.batch_first else y[-1])


class Whole(nn.Module):
    """All results of a layer, with states given."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(INPUTS, UNITS, batch_first=True, **options)

    def forward(self, x: Any, *states: Any) -> Any:
        y, ends = self.rnn(x, states if len(states) > 1 else states[0] if states else None)
        return y, *(ends if isinstance(ends, tuple) else (ends,))


class Cell(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(INPUTS, UNITS)

    def forward(self, x: Any, *states: Any) -> Any:
        return self.cell(x, states if len(states) > 1 else states[0])


def values(*shape: int) -> Any:
    rng = np.random.default_rng(list(shape))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def compared(module: Any, *inputs: Any, board: str = "") -> Graph:
    """The model as a Graph whose reference, or firmware, gives torch's results."""
    torch.manual_seed(3)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    graph = read_torch(module, tuple(inputs))
    with torch.no_grad():
        wanted = module(*inputs)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    given = [value.numpy() for value in inputs]
    found = started(graph, board).run(given).outputs if board else run(graph, given)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
    return graph


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GRU", {"batch_first": True}),
        ("GRU", {}),
        ("GRU", {"batch_first": True, "num_layers": 2, "dropout": 0.5}),
        ("GRU", {"batch_first": True, "bias": False}),
        ("LSTM", {"batch_first": True, "bias": False}),
        ("LSTM", {"num_layers": 2}),
        ("RNN", {"batch_first": True, "num_layers": 2}),
    ],
)
def test_layers(kind: str, options: dict[str, Any]) -> None:
    shape = (1, STEPS, INPUTS) if options.get("batch_first") else (STEPS, 1, INPUTS)
    graph = compared(Classifier(kind, **options).eval(), values(*shape))
    scans = [node for node in graph.nodes() if node.op is Op.SCAN]
    assert len(scans) == options.get("num_layers", 1)
    assert all(node.name.startswith("rnn") for node in scans)
    assert all(isinstance(node.attrs, Scan) and node.attrs.steps == STEPS for node in scans)


def test_relu() -> None:
    compared(Classifier("RNN", batch_first=True, nonlinearity="relu"), values(1, STEPS, INPUTS))


@pytest.mark.parametrize(("kind", "count", "batch"), [("GRU", 1, 1), ("RNN", 1, 3), ("LSTM", 2, 3)])
def test_states_given_and_returned(kind: str, count: int, batch: int) -> None:
    states = [values(2, batch, UNITS) for _ in range(count)]
    compared(Whole(kind, num_layers=2), values(batch, STEPS, INPUTS), *states)


@pytest.mark.parametrize(("kind", "count"), [("GRUCell", 1), ("RNNCell", 1), ("LSTMCell", 2)])
def test_cells(kind: str, count: int) -> None:
    states = [values(1, UNITS) for _ in range(count)]
    graph = compared(Cell(kind), values(1, INPUTS), *states)
    assert Op.SCAN not in [node.op for node in graph.nodes()]


@pytest.mark.parametrize(
    ("kind", "board"), [("GRU", "cortex-m4"), ("LSTM", "host"), ("RNN", "host")]
)
def test_c_equals_torch(kind: str, board: str) -> None:
    module = Classifier(kind, batch_first=True, num_layers=2)
    compared(module, values(1, STEPS, INPUTS), board=board)


class Cuts(nn.Module):
    def forward(self, x: Any) -> Any:
        a, b = torch.split(x[:, 1:6:2], [2, 3], dim=2)
        return torch.cat([b, a], dim=2) * x[:, -3:, :], x[:, :, 2]


def test_cuts() -> None:
    compared(Cuts(), values(2, STEPS, INPUTS))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Whole("GRU", bidirectional=True),
            r"rnn \(torch.nn.GRU\): it is bidirectional .*bidirectional=False wanted",
        ),
        (Whole("LSTM", proj_size=3), r"rnn \(torch.nn.LSTM\): its output is projected"),
    ],
)
def test_what_is_left_out_is_named(module: Any, message: str) -> None:
    with pytest.raises(UnsupportedOp, match=message):
        read_torch(module, values(1, STEPS, INPUTS))
