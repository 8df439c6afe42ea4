"""The sanitized workers, started once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernels.harness import COMPILERS, Worker, build_library, unfinished


@pytest.fixture(scope="session")
def workers(request: pytest.FixtureRequest) -> Iterator[list[Worker]]:
    """One worker a compiler; both libraries are built at once and kept in pytest's cache."""
    folder = request.config.cache.mkdir("kernels")
    present = [c for c in COMPILERS if c.preload]
    if not present:
        pytest.skip("no host compiler with an address sanitizer; apt-get install gcc clang")
    builds = [(c, *build_library(c, folder)) for c in present]
    started = []
    for compiler, library, process in builds:
        if process is not None:
            report = process.communicate()[1].decode()
            assert process.returncode == 0, f"{compiler.name}:\n{report}"
            unfinished(library).replace(library)
        started.append(Worker(compiler, library))
    missing = sorted({c.name for c in COMPILERS} - {c.name for c in present})
    if missing:
        print(f"kernels are not tested with {', '.join(missing)}: not installed")
    yield started
    for worker in started:
        worker.close()
