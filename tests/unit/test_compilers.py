"""Figures of another compiler are skipped, of the pinned one never."""

from __future__ import annotations

import pytest

from support.compilers import pinned, want_compiler, want_version


def test_figures_of_the_pinned_compiler_are_never_skipped() -> None:
    """A new pin without new figures fails, so that no gate goes silently."""
    here = f"zig cc {pinned('ziglang')}"
    want_version(here, f"{here} and another", "make it")
    with pytest.raises(pytest.fail.Exception, match=r"figures are of zig cc 0\.0; .*: make it"):
        want_version(here, "zig cc 0.0", "make it")
    with pytest.raises(pytest.skip.Exception, match="to make them anew: make it"):
        want_version("zig cc 0.0", here, "make it")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    want_compiler("zig")
    with pytest.raises(pytest.skip.Exception, match="apt-get install gcc-arm-none-eabi"):
        want_compiler("gcc")
