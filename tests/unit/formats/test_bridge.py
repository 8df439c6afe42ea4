"""Graph -> torch -> Graph: the same numbers, gradients everywhere, the trained weights back."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.formats.bridge import from_torch, to_torch
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.torch import read_torch
from milliwatt.ir.attrs import Conv2d, ConvAdd, Elementwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from support.conformance import without_clamp
from support.shared import FLOAT_MODELS, mlperf
from support.single_ops import random_inputs, single_op
from support.torch_nets import NETS, examples, net_graph, nn, torch

FLOAT_OPS = [
    "conv2d", "grouped_conv2d", "depthwise_conv2d", "fully_connected", "max_pool2d", "mean", "add",
    "average_pool2d", "sub", "mul", "clamp", "logistic", "tanh", "softmax", "pad", "reshape",
    "transpose", "concat",
]  # fmt: skip


def agree(
    graph: Graph, inputs: list[np.ndarray], tolerance: float = 1e-5, sums: Graph | None = None
) -> None:
    """Assert that module and reference agree within `tolerance` of the largest output of `sums`.

    That is by default the graph itself.
    """
    with torch.no_grad():
        got = to_torch(graph)(*(torch.from_numpy(x) for x in inputs))
    got = got if isinstance(got, tuple) else (got,)
    reached = run(sums or graph, inputs)
    for ours, wanted, reach in zip(got, run(graph, inputs), reached, strict=True):
        assert tuple(ours.shape) == wanted.shape
        scale = max(1.0, float(np.abs(reach).max()))
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=0, atol=tolerance * scale)


def same_weights(first: Graph, second: Graph) -> bool:
    pairs = zip(first.nodes(), second.nodes(), strict=True)
    return all(np.array_equal(a.value, b.value) for a, b in pairs if a.is_constant)


@pytest.mark.parametrize("name", FLOAT_OPS)
def test_single_operators(name: str) -> None:
    for seed in range(12):
        graph = single_op(name, DType.F32, seed)
        # Sums round in proportion to what they hold before an activation cuts them.
        agree(graph, random_inputs(graph, seed), sums=without_clamp(graph))


def test_conv2d_add() -> None:
    rng = np.random.default_rng(0)
    x = graph_input((1, 5, 4, 3), DType.F32, "x")
    skip = graph_input((1, 3, 2, 6), DType.F32, "skip")
    weight = constant(rng.normal(size=(6, 3, 3, 3)).astype(np.float32), "w")
    bias = constant(rng.normal(size=6).astype(np.float32), "b")
    attrs = ConvAdd(Conv2d((2, 2), (1, 1, 1, 0), clamp=(0.0, 1.0)), Elementwise((0.0, 1.5)))
    out = Node(Op.CONV2D_ADD, (x, weight, bias, skip), attrs, "block")
    graph = Graph((x, skip), (out,))
    agree(graph, random_inputs(graph, 0))


@pytest.mark.parametrize("model", FLOAT_MODELS.values())
def test_tflite_models_go_through_unchanged(model: str) -> None:
    graph = read_tflite(mlperf(model))
    agree(graph, random_inputs(graph, 3))
    back = from_torch(to_torch(graph), graph)
    assert str(back) == str(graph)
    assert same_weights(back, graph)


@pytest.mark.parametrize("name", ["lenet", "signal", "inception", "squeeze"])
def test_networks_train_a_step(name: str) -> None:
    graph = net_graph(name)
    inputs = [np.asarray(x.numpy()) for x in examples([n.type.shape for n in graph.inputs])]
    agree(graph, inputs)
    module = to_torch(graph)
    named = dict(module.named_parameters())
    assert set(named) == {n.name for n in graph.nodes() if n.is_constant and n.type.shape}
    batch = torch.randn(6, *graph.inputs[0].type.shape[1:], generator=torch.manual_seed(5))
    target = torch.randn(6, *graph.outputs[0].type.shape[1:])
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    before = torch.nn.functional.mse_loss(module(batch), target)
    before.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in named.values())
    optimizer.step()
    after = torch.nn.functional.mse_loss(module(batch), target)
    assert after < before
    trained = from_torch(module, graph)
    assert not same_weights(trained, graph)
    assert [n.name for n in trained.nodes()] == [n.name for n in graph.nodes()]
    with torch.no_grad():
        wanted = module(torch.from_numpy(inputs[0])).numpy()
    np.testing.assert_allclose(run(trained, inputs)[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_any_batch_is_the_samples_one_by_one(name: str) -> None:
    graph = net_graph(name)
    module = to_torch(graph)
    batch = torch.randn(3, *graph.inputs[0].type.shape[1:], generator=torch.manual_seed(6))
    with torch.no_grad():
        together = module(batch)
        single = torch.cat([module(x[None]) for x in batch])
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_state_is_saved_loaded_and_copied_under_node_names() -> None:
    graph = net_graph("lenet")
    module = to_torch(graph)
    assert "0.weight" in module.state_dict()
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.get_parameter("0.weight").zero_()
    assert same_weights(from_torch(module, graph), graph)
    module.load_state_dict(other.state_dict())
    assert same_weights(from_torch(module, graph), from_torch(other, graph))
    assert not same_weights(from_torch(module, graph), graph)


@pytest.mark.parametrize("names", [("a", "a.b"), ("forward", "forward.x"), ("a/b;c", "nodes")])
def test_any_names_of_constants(names: tuple[str, str]) -> None:
    x = graph_input((1, 3), DType.F32, "x")
    first, second = (
        constant(np.full(3, v, np.float32), n) for n, v in zip(names, (2, 3), strict=True)
    )
    product = Node(Op.MUL, (x, first), Elementwise(), "mul")
    graph = Graph((x,), (Node(Op.ADD, (product, second), Elementwise(), "add"),))
    module = to_torch(graph)
    assert set(dict(module.named_parameters())) == set(names)
    module.load_state_dict(module.state_dict())
    module.train()
    assert module(torch.ones(1, 3)).tolist() == [[5, 5, 5]]
    assert same_weights(from_torch(module, graph), graph)


def test_numbers_in_the_model_are_not_trained() -> None:
    graph = read_torch(nn.Sequential(nn.Linear(3, 2), nn.Hardswish()), examples([(1, 3)]))
    module = to_torch(graph)
    assert set(dict(module.named_parameters())) == {"0.weight", "0.bias"}
    assert len(list(module.buffers())) == 2
    assert same_weights(from_torch(module, graph), graph)


def test_a_quantized_graph_is_refused() -> None:
    graph = single_op("conv2d", DType.S8, 0)
    with pytest.raises(InvalidGraph, match=r"\(input\): result is s8.*before mw.quantize"):
        to_torch(graph)


def test_inputs_that_do_not_fit() -> None:
    module = to_torch(net_graph("mlp"))
    with pytest.raises(BadData, match=r"\[1, 21\] given; f32\[1,20\] wanted"):
        module(torch.zeros(1, 21))
    with pytest.raises(BadData, match="2 inputs given; 1 wanted"):
        module(torch.zeros(1, 20), torch.zeros(1, 20))


def test_weights_that_do_not_come_back() -> None:
    graph = net_graph("mlp")
    with pytest.raises(InvalidGraph, match=r"0.weight .*no parameter of this name.*to_torch"):
        from_torch(nn.Linear(2, 2), graph)
    module = to_torch(graph)
    module.get_parameter("0.weight").data[0, 0] = float("nan")
    with pytest.raises(BadData, match=r"0.weight .*: 1 weights are NaN"):
        from_torch(module, graph)
    module.get_parameter("0.weight").data = torch.zeros(3, 3)
    with pytest.raises(InvalidGraph, match=r"shape \[3, 3\]; \[16, 20\] wanted"):
        from_torch(module, graph)
