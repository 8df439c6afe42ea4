"""Handwritten digits: scikit-learn's 1,797 real 8x8 images and a small convolutional net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from milliwatt.compress.progress import track
from milliwatt.errors import ToolMissing
from milliwatt.formats.torch import import_torch

if TYPE_CHECKING:
    import torch

SEED = 0
EPOCHS = 20
HELD_OUT = 0.3
_BATCH = 32
_RATE = 0.01


@dataclass(frozen=True)
class Digits:
    """Images f32 [N,8,8,1] from 0 to 1 and labels [N], in a training and a held-out part."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load_digits() -> Digits:
    """The images with 30 % of each class held out, the same ones every time.

    Raises: ToolMissing without scikit-learn, whose package holds the images.
    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (test part).
    """
    try:
        from sklearn.datasets import load_digits as read
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise ToolMissing(
            'scikit-learn is not installed; run: pip install "milliwatt[demo]"'
        ) from None
    found = read()
    images = (found.images / 16).astype(np.float32)[..., None]
    parts = train_test_split(
        images, found.target, test_size=HELD_OUT, stratify=found.target, random_state=SEED
    )
    return Digits(parts[0], parts[2], parts[1], parts[3])


def make_net() -> torch.nn.Module:
    """Three 3x3 convolutions with batch norm and ReLU, two max pools, one linear layer."""
    nn = import_torch().nn
    net = nn.Sequential()

    def convolve(name: str, channels_in: int, channels_out: int) -> None:
        net.add_module(name, nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False))
        net.add_module(f"{name}_norm", nn.BatchNorm2d(channels_out))
        net.add_module(f"{name}_relu", nn.ReLU())

    convolve("conv1", 1, 16)
    convolve("conv2", 16, 24)
    net.add_module("pool2", nn.MaxPool2d(2))
    convolve("conv3", 24, 32)
    net.add_module("pool3", nn.MaxPool2d(2))
    net.add_module("flatten", nn.Flatten())
    net.add_module("dropout", nn.Dropout(0.2))
    net.add_module("classes", nn.Linear(2 * 2 * 32, 10))
    return net


def train(digits: Digits, *, epochs: int = EPOCHS, seed: int = SEED) -> torch.nn.Module:
    """Train the net on shifted copies of the training images (one cycle of AdamW, fixed seed).

    Returns the module in inference mode. A few seconds on one core; more threads only wait for each
    other on images this small.
    """
    torch = import_torch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _fit(make_net(), digits, epochs, np.random.default_rng(seed))
    finally:
        torch.set_num_threads(threads)


def _fit(
    net: torch.nn.Module, digits: Digits, epochs: int, chance: np.random.Generator
) -> torch.nn.Module:
    torch = import_torch()
    steps = epochs * -(-len(digits.train_x) // _BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    labels = torch.from_numpy(digits.train_y)
    for _ in track(range(epochs), "training", epochs):
        shifted = torch.from_numpy(_shift(digits.train_x, chance)).permute(0, 3, 1, 2)
        for rows in torch.randperm(len(labels)).split(_BATCH):
            loss = torch.nn.functional.cross_entropy(
                net(shifted[rows]), labels[rows], label_smoothing=0.05
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def accuracy(net: torch.nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images [N,8,8,1] that the torch module classifies as labelled."""
    torch = import_torch()
    with torch.no_grad():
        scores = net(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    return float(np.mean(scores.argmax(axis=1) == labels))


def _shift(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Each image moved by -1, 0 or 1 pixels along both axes, zeros moving in."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    size = images.shape[1]
    moves = chance.integers(0, 3, (len(images), 2))
    return np.stack(
        [p[y : y + size, x : x + size] for p, (y, x) in zip(padded, moves, strict=True)]
    )
