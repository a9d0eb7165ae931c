"""``bellwire bench`` measures everything. No speed is demanded: figures belong to the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.processes
def test_every_figure_is_measured_beside_the_floors(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "bench", "--rounds", "50", "--json"],
        env=os.environ | {"BELLWIRE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document.pop("schema"), document.pop("broker")) == ("bellwire.bench/1", "embedded")
    floors, runs = ("echo_hz", "mqtt_hz"), ("pairs_hz", "teleportations_hz", "swaps_hz", "sifted_bits_hz")
    turns = ("timer_turns_hz", "message_turns_hz")
    state, lags, network = (document.pop(name) for name in ("state_server", "lag", "network"))
    chains = [f"chain_{nodes}_{kind}_hz" for nodes in (3, 9) for kind in ("single", "batched")]
    assert list(network) == chains
    assert all(rate > 0 for rate in network.values())
    assert lags.keys() == {"alice", "bob"}
    assert all(lag["count"] > 0 and 0 <= lag["p99_s"] <= lag["worst_s"] for lag in lags.values())
    assert document.keys() == {*floors, *runs, *turns}
    assert state.keys() == {
        *("echo_hz", "requests_hz", "journalled_requests_hz"),
        *("pipelined_echo_hz", "gates_hz", "journalled_gates_hz"),
    }
    assert all(rate > 0 for rate in state.values())
    assert all(rate > 0 for rate in document.values())
    assert list(tmp_path.glob("*/*")) == []
