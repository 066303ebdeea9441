"""Kernels are compiled ahead of the first step, as it will call them, and anew where their sources have changed."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from numba import typeof

from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.run.compiling import compile_ahead
from bench.train.fast import chain
from bench.train.fast.ahead import KERNELS, arguments_of
from bench.train.fast.fuse import fuse
from bench.train.fast.kernels import sources_digest
from bench.train.fast.tiles import KNOWN
from bench.train.network import plain_network


@pytest.mark.skipif(not KNOWN, reason="such kernels need wider vectors")
@pytest.mark.parametrize("pairs", [False, True])
def test_a_step_calls_kernels_with_the_arguments_that_they_are_compiled_for(
    pairs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def seen(name: str) -> Callable[..., None]:
        def kernel(*arguments: object) -> None:
            called.append(name)
            assert tuple(map(typeof, arguments)) == arguments_of(name, pairs=pairs)

        return kernel

    def nothing(*_: object) -> None:
        pass

    # None of them is compiled: that takes half a minute.
    monkeypatch.setattr(chain, "direct", SimpleNamespace(**{name: seen(name) for name in KERNELS}))
    moved = dict.fromkeys(("lay", "lay_maps", "picked_up"), nothing)
    monkeypatch.setattr(chain, "laying", SimpleNamespace(**moved))
    monkeypatch.setattr(chain, "KNOWN_PAIRS", True)
    network = fuse(plain_network(preset_cell("model3"), (1, 28, 28), 10)).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=pairs):
        network(torch.zeros(32, 1, 28, 28)).sum().backward()
    assert set(called) == set(KERNELS)


def test_kernels_are_compiled_where_they_are_needed_and_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled: list[str] = []

    class Process:
        exitcode = 0

        def __init__(self, **asked: object) -> None:
            self._asked = asked

        def start(self) -> None:
            compiled.append(f"{self._asked['args']}")

        def join(self) -> None:
            pass

    class Context:
        def __init__(self) -> None:
            self.Process = Process

    class Kernel:
        class stats:  # noqa: N801  # numba's name
            cache_path = str(tmp_path)

    monkeypatch.setattr("bench.run.compiling.BareSpawnContext", Context)
    monkeypatch.setattr("bench.run.compiling.KERNELS", {"backward": Kernel})
    monkeypatch.setattr("bench.run.compiling.KNOWN", True)
    monkeypatch.setattr("bench.run.compiling.compile_kernel", lambda name, pairs: compiled.append(f"{name}, {pairs}"))
    for _ in range(2):
        compile_ahead(Protocol("digits", precision="fp32"))
        compile_ahead(Protocol("digits", precision="fp32", device="cuda"))
    assert compiled == ["('backward', False)", "forward, False"]
    assert capsys.readouterr().err.count("Compiling the kernels") == 1


def test_an_edit_of_any_source_leads_to_another_place_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("from part import part")
    (tmp_path / "part.py").write_text("part = 1")
    before = sources_digest(tmp_path)
    assert sources_digest(tmp_path) == before
    (tmp_path / "part.py").write_text("part = 2")
    assert sources_digest(tmp_path) != before
    for kernel in KERNELS.values():
        assert f"kernels-{sources_digest(Path(kernel.py_func.__code__.co_filename).parent)}" in kernel.stats.cache_path


def test_where_nothing_can_be_kept_nothing_is_compiled_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    stats = SimpleNamespace(cache_path=str(tmp_path / "file" / "folder"))
    monkeypatch.setattr("bench.run.compiling.KERNELS", {"backward": SimpleNamespace(stats=stats)})
    monkeypatch.setattr("bench.run.compiling.KNOWN", True)
    monkeypatch.setattr("bench.run.compiling.compile_kernel", lambda *_, **__: pytest.fail("it compiled"))
    compile_ahead(Protocol("digits", precision="fp32"))
