"""Compilers that tests ask for, and figures that belong to one version of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

_CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"


def want_compiler(toolchain: str) -> None:
    """Skip, with what to install, where the cross compiler of `toolchain` is missing.

    zig comes with the package's own extras; without it tests fail.
    """
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi")


def want_version(here: str, recorded: str, again: str) -> None:
    """Skip where `here` is not the compiler that figures were `recorded` with; `again` makes them.

    The version that constraints.txt pins is no reason to skip: then the figures are stale.
    """
    if here in recorded:
        return
    message = f"{here} here, the figures are of {recorded}; to make them anew: {again}"
    if here == f"zig cc {pinned('ziglang')}":
        pytest.fail(message)
    pytest.skip(message)


def pinned(package: str) -> str:
    """The version of a package that constraints.txt names."""
    found = re.search(rf"^{package}==(\S+)$", _CONSTRAINTS.read_text(encoding="utf-8"), re.M)
    assert found, f"constraints.txt does not pin {package}"
    return found[1]
