"""Sifted keys of entangled pairs in a whole lab: over a link, over repeaters, and with Eve on the fibre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.ports import Bits
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    SourceConfig,
    TapConfig,
    WernerSource,
    WorldConfig,
)

Chain = Callable[..., WorldConfig]
TWO = {"alice": "alice", "bob": "bob"}
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6

HEAD = """
from __future__ import annotations
import numpy as np
from nodes.ports import *
from nodes.requests import Network, Terms
from nodes.qkd import bbm92, e91
from nodes.qkd.security import Security

def _told(block):
    evidence = block.evidence
    return [block.key, evidence.checked, evidence.qber, block.chsh or 0.0, getattr(evidence, "checks", 0),
            getattr(evidence, "check_errors", 0), evidence.worth(0, [0]).length]
"""
BBM92 = """
async def alice(bob: Peer, bob_link: QuantumLink, pairs: int = 20000):
    return _told(await bbm92.alice(await bob_link.measure_directly(pairs), bob, Security()))

async def bob(alice: Peer, alice_link: QuantumLink, pairs: int = 20000):
    return _told(await bbm92.bob(await alice_link.measure_directly(pairs), alice, Security()))
"""
E91 = """
async def alice(bob: Peer, bob_link: QuantumLink, pairs: int = 40000):
    found = await bob_link.measure_directly(pairs, angles=e91.ALICE)
    return _told(await e91.alice(found, bob, Security()))

async def bob(alice: Peer, alice_link: QuantumLink, pairs: int = 40000):
    found = await alice_link.measure_directly(pairs, angles=e91.BOB)
    return _told(await e91.bob(found, alice, Security()))
"""
BBM92_OVER_REPEATERS = """
async def alice(bob: Peer, network: Network, pairs: int = 300):
    async with network.request_outcomes("bob", pairs, "ZX", terms=Terms(window=8)) as units:
        found = await bbm92.collect(units)
    return _told(await bbm92.alice(found, bob, Security()))

async def bob(alice: Peer, network: Network):
    async with network.accept_outcomes("alice", "ZX") as units:
        found = await bbm92.collect(units)
    return _told(await bbm92.bob(found, alice, Security()))
"""
E91_OVER_REPEATERS = """
async def alice(bob: Peer, network: Network, coin: Coin, pairs: int = 600):
    async with network.request("bob", pairs) as halves:
        found = await e91.collect(halves, e91.ALICE, coin)
    return _told(await e91.alice(found, bob, Security()))

async def bob(alice: Peer, network: Network, coin: Coin):
    async with network.accept("alice") as halves:
        found = await e91.collect(halves, e91.BOB, coin)
    return _told(await e91.bob(found, alice, Security()))
"""


class Told:
    """What both ends have told of their blocks."""

    def __init__(self, returned: dict[str, Any]) -> None:
        (self.hers, *mine), (self.his, *theirs) = (returned[name] for name in TWO)
        assert mine == theirs
        self.checked, self.qber, self.chsh, self.checks, self.check_errors, self.worth = mine

    @property
    def wrong(self) -> Bits:
        different: Bits = np.not_equal(self.hers, self.his).astype(np.uint8)
        return different

    def errors_are(self, expected: float) -> bool:
        """Tell whether the key's error rate may be this."""
        deviation = sqrt(expected * (1 - expected) / len(self.hers))
        return bool(abs(float(self.wrong.mean()) - expected) <= SIGMAS * deviation)

    def check_errors_are(self, expected: float) -> bool:
        """Tell whether the error rate of the check basis may be this."""
        deviation = sqrt(expected * (1 - expected) / self.checks)
        return bool(abs(self.check_errors / self.checks - expected) <= SIGMAS * deviation)

    def s_is(self, expected: float, pairs: int) -> bool:
        """Tell whether S may be this, four correlations of a ninth of the pairs each."""
        spread = sqrt(4 * (1 - min(1.0, expected / 4) ** 2) / (pairs / 9))
        return bool(abs(self.chsh - expected) <= SIGMAS * spread)


async def told(world: WorldConfig, program: str, folder: Path) -> Told:
    (folder / "mine.py").write_text(HEAD + program)
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest(str(folder / "mine.py"), TWO))
    return Told(result.returned[0])


def one_link(
    fidelity: float = 1.0, z_probability: float = 0.5, eve: TapConfig | None = None, **source: Any
) -> WorldConfig:
    """A pair source midway between alice and bob, and nobody with a memory for its photons."""
    photons: SourceConfig = PhotonPairSource(fidelity=fidelity, emission=(0.5, 0.5), memories=False, **source)
    link = LinkDevices(
        ("alice", "bob"), FibreConfig(10e3), photons, PulseConfig(basis_probability=z_probability)
    )
    nodes = {name: NodeDevices() for name in TWO}
    return WorldConfig(nodes, {"line": link}, {} if eve is None else {"eve": eve}, seed=5)


@pytest.mark.parametrize("fidelity", [0.95, 1.0])
@pytest.mark.parametrize("z_probability", [0.5, 0.9])
async def test_bbm92_on_werner_pairs_has_two_thirds_of_the_infidelity_as_errors(
    tmp_path: Path, fidelity: float, z_probability: float
) -> None:
    found = await told(one_link(fidelity, z_probability), BBM92, tmp_path)
    qber = 2 * (1 - fidelity) / 3
    assert found.errors_are(qber)
    assert found.check_errors_are(qber)
    both_in_x = 20_000 * (1 - z_probability) ** 2
    assert abs(found.checks - both_in_x) <= SIGMAS * sqrt(both_in_x)
    assert found.worth > 0


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("at", [1e3, 8e3])
async def test_who_intercepts_half_of_each_pair_makes_a_quarter_of_the_bits_differ(
    tmp_path: Path, fraction: float, at: float
) -> None:
    eve = TapConfig("line", fraction=fraction, position=at, enabled=True)
    found = await told(one_link(eve=eve), BBM92, tmp_path)
    assert found.errors_are(fraction / 4)
    assert found.check_errors_are(fraction / 4)


async def test_who_measures_in_the_keys_basis_is_seen_in_the_other_only(tmp_path: Path) -> None:
    eve = TapConfig("line", fraction=0.6, basis="Z", enabled=True)
    found = await told(one_link(eve=eve), BBM92, tmp_path)
    assert not found.wrong.any()
    assert found.check_errors_are(0.3)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
async def test_e91_sees_eve_in_its_s(tmp_path: Path, fraction: float) -> None:
    """S = 2 sqrt 2 (1 - f/2), and of the key f/4 differs."""
    eve = TapConfig("line", fraction=fraction, position=7e3, enabled=True)
    found = await told(one_link(eve=eve), E91, tmp_path)
    assert found.errors_are(fraction / 4)
    assert found.s_is(2 * sqrt(2) * (1 - fraction / 2), 40_000)


@pytest.mark.parametrize("fidelity", [0.9, 1.0])
async def test_e91_on_werner_pairs_has_the_s_of_their_error_rate(tmp_path: Path, fidelity: float) -> None:
    found = await told(one_link(fidelity), E91, tmp_path)
    qber = 2 * (1 - fidelity) / 3
    assert found.errors_are(qber)
    assert found.s_is(2 * sqrt(2) * (1 - 2 * qber), 40_000)


def over_repeaters(chain: Chain, eve: TapConfig | None = None) -> WorldConfig:
    """alice - r1 - r2 - bob, with taps on the link of the two repeaters."""
    world = chain("alice", "r1", "r2", "bob")
    source = WernerSource(rate=1e5, fidelity=0.99)
    gates = GateConfig(two_fidelity=0.99)
    return replace(
        world,
        nodes={name: replace(node, gates=gates) for name, node in world.nodes.items()},
        links={name: replace(link, source=source) for name, link in world.links.items()},
        taps={} if eve is None else {"eve": eve},
    )


@pytest.mark.thorough
@pytest.mark.parametrize("fraction", [0.0, 1.0])
async def test_bbm92_runs_over_repeaters_and_sees_eve_between_them(
    chain: Chain, tmp_path: Path, fraction: float
) -> None:
    eve = TapConfig("r1-r2", fraction=fraction, position=2e3, enabled=True)
    found = await told(over_repeaters(chain, eve), BBM92_OVER_REPEATERS, tmp_path)
    # three Werner pairs and two swaps with the gate's weight each; Eve halves the correlations in X and Z
    correlation = ((4 * 0.99 - 1) / 3) ** 3 * 0.99**2 * (1 - fraction / 2)
    assert found.errors_are((1 - correlation) / 2)
    assert found.check_errors_are((1 - correlation) / 2)
    assert abs(found.checks - 75) <= SIGMAS * sqrt(75 * 0.75)


@pytest.mark.thorough
async def test_e91_runs_over_repeaters(chain: Chain, tmp_path: Path) -> None:
    found = await told(over_repeaters(chain), E91_OVER_REPEATERS, tmp_path)
    correlation = ((4 * 0.99 - 1) / 3) ** 3 * 0.99**2
    assert found.errors_are((1 - correlation) / 2)
    assert found.s_is(2 * sqrt(2) * correlation, 600)
