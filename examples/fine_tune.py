"""Fine-tune an imported network for a changed sensor, and put it back on a microcontroller.

    python examples/fine_tune.py

The "imported" network is trained here on scikit-learn's digits, so that the file runs by itself;
`mw.load("your_float.tflite")` gives a graph just as well. The new sensor sees everything inverted.
"""

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits

import milliwatt as mw


def fit(module: torch.nn.Module, x: np.ndarray, y: np.ndarray, *, epochs: int, rate: float) -> None:
    """Plain SGD with momentum on cross-entropy."""
    sgd = torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            loss = torch.nn.functional.cross_entropy(
                module(torch.from_numpy(x)[rows]), torch.from_numpy(y)[rows]
            )
            sgd.zero_grad()
            loss.backward()
            sgd.step()


def accuracy(module: torch.nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Share of `x` that the module puts into its class."""
    with torch.no_grad():
        return float(np.mean(module(torch.from_numpy(x)).numpy().argmax(1) == y))


def pretrained(x: np.ndarray, y: np.ndarray) -> mw.Graph:
    """A float graph of a small convolutional net, trained on `x` [N,8,8,1]."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 16, 10),
    )
    fit(net, np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y, epochs=5, rate=0.05)
    return mw.load(net.eval(), example=torch.zeros(1, 1, 8, 8), name="digits")


def main() -> None:
    if len(sys.argv) != 1:
        raise SystemExit("usage: fine_tune.py")
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more only wait for each other on images this small
    digits = load_digits()
    images, labels = (digits.images / 16).astype(np.float32)[..., None], digits.target
    inverted = 1 - images
    known, held_out = slice(0, 1200), slice(1200, None)

    graph = pretrained(images[known], labels[known])

    module = mw.to_torch(graph)  # channels last, any batch; its parameters are the graph's weights
    print(f"as imported: {accuracy(module, inverted[held_out], labels[held_out]):6.1%} inverted")
    fit(module, inverted[known], labels[known], epochs=20, rate=0.01)
    print(f"fine-tuned:  {accuracy(module, inverted[held_out], labels[held_out]):6.1%} inverted")
    graph = mw.from_torch(module, graph)

    small = mw.quantize(graph, inverted[known][:256])
    firmware = mw.build(small, board="nucleo-l4r5zi")
    said = [int(trace.outputs[0].argmax()) for trace in firmware.run_many(inverted[held_out][:100])]
    print(f"on the board: {np.mean(said == labels[held_out][:100]):5.1%} of 100, int8")
    print(firmware.profile(inverted[1200]))


if __name__ == "__main__":
    try:
        main()
    except mw.MilliwattError as error:
        raise SystemExit(f"fine_tune.py: {error}") from None
