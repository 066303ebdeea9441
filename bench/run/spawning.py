"""New processes that don't run the script again that started them.

Python imports a script anew in each process that it spawns, which for a script without `if __name__ == "__main__":`
would start the run again in every worker. Nothing that is sent to workers needs it: a study's functions travel by
content.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_starting = threading.Lock()


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # multiprocessing's name
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class BareSpawnContext(SpawnContext):
    """As multiprocessing's context `spawn`, whose processes leave the parent's main module alone."""

    Process = _Process


@contextmanager
def _without_main() -> Iterator[None]:
    """Within it, what this thread tells a new process leaves the main module out."""
    with _starting:
        original, thread = spawn.get_preparation_data, threading.get_ident()

        def without_main(name: str) -> dict[str, Any]:
            said = original(name)
            if threading.get_ident() != thread:
                return said
            return {key: value for key, value in said.items() if not key.startswith("init_main")}

        spawn.get_preparation_data = without_main
        try:
            yield
        finally:
            spawn.get_preparation_data = original
