"""A run across machines that share a network and nothing else: namespaces of this machine's kernel.

Takes root, and minutes: python -m pytest tests/test_cluster_network.py -m slow
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from bench.record.store import Store
from tests.test_cluster import PATIENCE, command, needs_ray
from tests.test_crash import ROOT, recorded, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster"), needs_ray]

# Ray looks for a lost peer after 5 minutes, and gives it 2.
CUT_OFF_SECONDS = 900.0

HEAD, NODES, DRIVER = "head", ("node1", "node2"), "driver"


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout


class Network:
    """Machines on one bridge, each with its own address and its own folder for Ray."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = f"bench{os.getpid()}"
        self._addresses = {name: f"10.77.0.{number}" for number, name in enumerate((HEAD, *NODES, DRIVER), start=1)}
        self._environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
        self._environment.pop("RAY_ADDRESS", None)

    def build(self) -> None:
        bridge = self._name("bridge")
        run("ip", "netns", "add", bridge)
        run("ip", "-n", bridge, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", bridge, "link", "set", "bridge", "up")
        for name, address in self._addresses.items():
            own = self._name(name)
            run("ip", "netns", "add", own)
            run("ip", "-n", bridge, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", own)
            run("ip", "-n", bridge, "link", "set", name, "master", "bridge", "up")
            run("ip", "-n", own, "address", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", own, "link", "set", "lo", "up")
            run("ip", "-n", own, "link", "set", "eth0", "up")
            run("ip", "-n", own, "route", "add", "default", "via", "10.77.0.254")

    def remove(self) -> None:
        for name in (*self._addresses, "bridge"):
            with suppress(subprocess.CalledProcessError):
                self.kill(name)
                run("ip", "netns", "delete", self._name(name))

    def start_head(self) -> None:
        """A head that trains nothing."""
        options = f"--head --port 6379 --ray-client-server-port 10001 --num-cpus 0 --temp-dir {self._folder}"
        self._start_ray(HEAD, options)

    def start_node(self, name: str) -> None:
        self._start_ray(name, f"--address {self._addresses[HEAD]}:6379 --num-cpus 1")

    def start_run(self, results: Path, seeds: int, errors: Path) -> "subprocess.Popen[bytes]":
        words = [*command(results, seeds, epochs=10), "--cluster", f"ray://{self._addresses[HEAD]}:10001"]
        with errors.open("wb") as file:
            return subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self._name(DRIVER)}", sys.executable, "-m", "bench", *words],
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

    def cut(self, name: str) -> None:
        """Takes a machine off the network; its processes live on."""
        run("ip", "-n", self._name("bridge"), "link", "set", name, "down")

    def kill(self, name: str) -> None:
        """Kills all of a machine's processes at once."""
        for number in run("ip", "netns", "pids", self._name(name)).split():
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)

    def _start_ray(self, name: str, options: str) -> None:
        ray = Path(sys.executable).with_name("ray")
        options += f" --node-ip-address {self._addresses[name]} --object-store-memory {100 * 2**20}"
        # Two nodes that found each other's files in one folder would delete them.
        private = f'mount -t tmpfs tmpfs {self._folder} && exec "$@"'
        command_line = ["nsenter", f"--net=/run/netns/{self._name(name)}", "unshare", "--mount", "sh", "-c", private]
        subprocess.run(
            [*command_line, "sh", str(ray), "start", *options.split()],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def _name(self, name: str) -> str:
        return f"{self._prefix}{name}"


@pytest.fixture
def network() -> Iterator[Network]:
    """A head and two nodes of one CPU each."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "nsenter", "unshare"))):
        pytest.skip("needs root and iproute2")
    # Ray's sockets lie there, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        built = Network(Path(folder))
        try:
            try:
                built.build()
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this machine allows no network namespaces: {error.stderr}")
            built.start_head()
            for name in NODES:
                built.start_node(name)
            yield built
        finally:
            built.remove()


def finished(results: Path) -> pd.DataFrame:
    frame = Store(results / "digits").trials()
    assert frame["trial"].is_unique
    assert frame["status"].eq("done").all()
    return frame


@pytest.mark.parametrize("lose", [Network.kill, Network.cut], ids=["killed", "cut off"])
def test_a_lost_head_ends_the_run_with_one_line(
    network: Network, tmp_path: Path, lose: Callable[[Network, str], None]
) -> None:
    errors = tmp_path / "errors"
    process = network.start_run(tmp_path, 200, errors)
    assert wait_for(lambda: recorded(tmp_path) >= 3, PATIENCE), errors.read_text()
    lose(network, HEAD)
    assert process.wait(2 * PATIENCE) == 1
    said = errors.read_text()
    print(said)
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("bench: the cluster at ray://10.77.0.1:10001 is lost (")
    kept = finished(tmp_path)
    assert 3 <= len(kept) < 200


def test_a_node_that_is_cut_off_loses_and_doubles_nothing(network: Network, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    process = network.start_run(tmp_path, 24, errors)
    assert wait_for(lambda: recorded(tmp_path) >= 3, PATIENCE), errors.read_text()
    network.cut(NODES[0])
    assert process.wait(CUT_OFF_SECONDS) == 0, errors.read_text()
    assert sorted(finished(tmp_path)["seed"]) == list(range(24))
    assert "a worker was lost with its node" in errors.read_text()
