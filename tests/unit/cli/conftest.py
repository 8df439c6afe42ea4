"""What the tests of the command line share: a way to call it and small models on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt import cli
from milliwatt.debug.files import write_graph
from support.command import Done, Files, Run
from support.quantize_nets import samples, small_cnn


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in this process."""

    def call(*arguments: str | Path) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        found = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, found.out, found.err)

    return call


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files, made once."""
    folder = tmp_path_factory.mktemp("models")
    graph = small_cnn()
    data = samples(graph, 16)
    made = Files(*(folder / n for n in ("small_f32.mwg", "small.mwg", "one.npy", "three.npy")))
    write_graph(graph, made.float_model)
    write_graph(mw.quantize(graph, data), made.model)
    np.save(made.one, data[0])
    np.save(made.three, data[:3])
    return made
