"""The README's transcript: real commands and what they printed, into bench/results."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import milliwatt as mw
from bench.common import RESULTS, arguments, inputs, path

COLUMNS = "100"


def printed(command: str, folder: Path) -> str:
    """What a command prints on stdout, in `folder`."""
    words = [sys.executable, "-m", "milliwatt", *command.split()[1:]]
    environment = {**os.environ, "COLUMNS": COLUMNS, "NO_COLOR": "1"}
    done = subprocess.run(
        words, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def main() -> None:
    """Run the demo and the keyword model; keep the demo's last table and all of the profile."""
    given = arguments("Transcript for the README")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(path(given.models, "kws"), folder / "kws.tflite")
        graph = mw.load(folder / "kws.tflite")
        np.save(folder / "speech.npy", inputs("kws", graph, given.models, 1)[0][0])
        demo = printed("mw demo", folder)
        table = re.search(r"^All \d+ held-out.*?(?=\n\n)", demo, re.M | re.S)
        assert table is not None, "the demo's last table has another heading"
        profile = printed("mw profile kws.tflite --input speech.npy", folder)
    text = (
        f"$ make demo\n...\n{table[0]}\n\n$ mw profile kws.tflite --input speech.npy\n{profile}\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "transcript.txt").write_text(text, encoding="utf-8")
    print("wrote bench/results/transcript.txt")


if __name__ == "__main__":
    main()
