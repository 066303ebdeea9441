"""Compiles a run's kernels before its first network needs them, two at once: nothing else that a run begins with takes
as long."""

import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from bench.plan.protocol import Protocol
from bench.run.interrupt import kept_from_new_processes
from bench.run.spawning import BareSpawnContext, follow_parent
from bench.train.fast.ahead import KERNELS, compile_kernel
from bench.train.fast.tiles import KNOWN, KNOWN_PAIRS, LANES

COMPILING = "Compiling the kernels, once for this version ..."


def compile_ahead(protocol: Protocol) -> None:
    """When it returns, the kernels of convolutions that trials of the protocol train with are on the disk, from where
    this process and the workers load them. It takes no time where they were there before, where this machine trains
    without them, and where there is no place on the disk for them. Of several processes one compiles, and the others
    wait for it."""
    pairs = protocol.precision == "bf16"
    folder = KERNELS["backward"].stats.cache_path
    if protocol.device != "cpu" or not (KNOWN_PAIRS if pairs else KNOWN) or folder is None:
        return
    done = Path(folder) / f"{'pairs' if pairs else 'floats'}-of-{LANES}.compiled"
    if done.exists():
        return
    try:
        done.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(done.with_suffix(".lock")).acquire()
    except (OSError, NotImplementedError):  # nothing can be kept there
        return
    with held:
        if not done.exists():
            print(COMPILING, file=sys.stderr, flush=True)
            if _compile(pairs):
                with suppress(OSError):
                    done.touch()


def _compile(pairs: bool) -> bool:
    """Whether all of them are compiled."""
    helper = BareSpawnContext().Process(target=_compile_beside, args=("backward", pairs), daemon=True)
    with kept_from_new_processes():
        helper.start()
    try:
        compile_kernel("forward", pairs=pairs)
        helper.join()
    except BaseException:
        helper.kill()
        raise
    return helper.exitcode == 0


def _compile_beside(name: str, pairs: bool) -> None:
    follow_parent()
    compile_kernel(name, pairs=pairs)
