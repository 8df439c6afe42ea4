"""A torch model on a microcontroller: quantize it, build it, check it, and write the C sources.

    python examples/torch_to_firmware.py [FOLDER]

The net here has random weights and data; put your own in their place.
"""

import sys

import numpy as np
import torch

import milliwatt as mw


def main() -> None:
    if len(sys.argv) > 2:
        raise SystemExit("usage: torch_to_firmware.py [FOLDER]")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 4),
    ).eval()
    # Images as numpy, channels last, scaled as the network was trained.
    images = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3)).astype(np.float32)

    graph = mw.load(net, example=torch.zeros(1, 3, 16, 16), name="example")
    small = mw.quantize(graph, images)
    for row in mw.layer_report(graph, small, images):
        print(f"{row.name:12} {row.sqnr_db:5.1f} dB")

    firmware = mw.build(small, board="nucleo-l4r5zi")
    print(firmware.profile(images[0]))

    folder = sys.argv[1] if len(sys.argv) > 1 else "example-firmware"
    firmware.save(folder)
    print(f"C sources and firmware.elf are in {folder}")


if __name__ == "__main__":
    try:
        main()
    except mw.MilliwattError as error:
        raise SystemExit(f"torch_to_firmware.py: {error}") from None
