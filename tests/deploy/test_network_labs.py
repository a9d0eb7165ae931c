"""The labs that are real networks have the lengths, losses and key rates that are published of these."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import log10

import pytest

from deploy.figures import fibre_figures
from deploy.lab import Lab, Link
from deploy.plan import plan
from deploy.routes import shortest_paths
from deploy.topology import find, load
from nodes.qkd.asymptotic_rates import plob_bound
from nodes.qkd.key_rates import expected_block, repeaterless_limit, secret_key_rate
from nodes.qkd.security import Security
from nodes.validation.counted_links import expected_pairs, pair_rate, parameters_of, settings_of
from shared_state.config import PhotonPairSource

NETWORKS = ("tokyo", "uk", "swissquantum", "secoqc", "beijing-shanghai")

FIBRES: dict[tuple[str, str], tuple[float, float | None]] = {
    ("tokyo", "nec-nict"): (45, 14.5),
    ("tokyo", "toshiba"): (45, 14.5),
    ("tokyo", "ntt-nict"): (90, 27),
    ("tokyo", "mitsubishi"): (24, 13),
    ("tokyo", "id-quantique"): (13, 11),
    ("tokyo", "all-vienna"): (1, None),
    ("swissquantum", "unige-cern"): (14.4, None),
    ("swissquantum", "cern-hepia"): (22, None),
    ("swissquantum", "hepia-unige"): (3.7, None),
    ("secoqc", "toshiba"): (33, 7.5),
    ("secoqc", "entangled"): (16, None),
    ("secoqc", "continuous-variables"): (6.2, 2.8),
    ("secoqc", "free-space"): (0.08, None),
    ("secoqc", "coherent-one-way"): (83, None),
    ("secoqc", "id-quantique-1"): (25, 5.75),
    ("field-systems", "toshiba-2018"): (10, 2),
    ("field-systems", "toshiba-2015"): (45, 14.5),
    ("field-systems", "nec-nict"): (45, 14.5),
    ("field-systems", "mitsubishi"): (24, 13),
    ("field-systems", "secoqc"): (33, 7.5),
    ("field-systems", "li-2023"): (10, None),
    ("field-systems", "ipognac-5db"): (25, 5),
    ("field-systems", "ipognac-38db"): (192.5, 38.5),
    ("field-systems", "secoqc-pairs"): (16, None),
    ("field-systems", "thuringia"): (69, 21),
    ("field-systems", "micius"): (2000, None),
}
"""Kilometres, and the decibels where these are published."""

RATES: dict[tuple[str, str], float] = {
    ("tokyo", "nec-nict"): 81.7e3,
    ("tokyo", "toshiba"): 304e3,
    ("tokyo", "ntt-nict"): 2.1e3,
    ("tokyo", "mitsubishi"): 2e3,
    ("tokyo", "id-quantique"): 410,
    ("secoqc", "toshiba"): 3.1e3,
    ("secoqc", "entangled"): 2.5e3,
    ("secoqc", "continuous-variables"): 8e3,
    ("secoqc", "free-space"): 17e3,
    ("secoqc", "id-quantique-1"): 1e3,
    ("beijing-shanghai", "downlink-xinglong"): 47.8e3,
    ("beijing-shanghai", "downlink-nanshan"): 47.8e3,
}
"""Secret bits per second as published: blocks in the labs are shorter, so theirs may be half of it."""


@cache
def shipped_lab(name: str) -> Lab:
    """Read a lab once."""
    return load(find(name))


def expected_rate(link: Link) -> tuple[float, float]:
    """Return the secret bits per second of blocks as long as the lab's, and the bound of the fibre."""
    devices, block = link.devices, link.qkd.block
    security = Security(link.qkd.secrecy, link.qkd.correctness)
    parameters = parameters_of(devices)
    if isinstance(devices.source, PhotonPairSource):
        rate = pair_rate(devices) * expected_pairs(devices).secret_bits(block, security)
        return rate, plob_bound(parameters.transmission) * devices.source.attempt_rate
    expected = expected_block(parameters, settings_of(devices), block, security)
    return secret_key_rate(parameters, expected), repeaterless_limit(parameters)


def way(lab: Lab, first: str, last: str) -> tuple[float, tuple[str, ...]]:
    """Return the kilometres of the shortest way, and the nodes on it."""
    nodes = shortest_paths(first, lab.links.values())[last].nodes
    lengths = {frozenset(link.endpoints): link.length for link in lab.links.values()}
    return sum(lengths[frozenset(hop)] for hop in pairwise(nodes)) / 1e3, nodes


@pytest.mark.parametrize(("place", "published"), FIBRES.items())
def test_a_fibre_is_as_long_and_loses_as_much_as_in_the_ground(
    place: tuple[str, str], published: tuple[float, float | None]
) -> None:
    lab, name = place
    link = shipped_lab(lab).links[name]
    length, loss = published
    assert link.length == pytest.approx(length * 1e3)
    if loss is not None:
        assert fibre_figures(link).loss_db == pytest.approx(loss, abs=0.01)


@pytest.mark.parametrize("name", [*NETWORKS, "field-systems"])
def test_every_link_makes_keys_and_none_exceeds_the_bound_of_its_fibre(name: str) -> None:
    lab = shipped_lab(name)
    for link in lab.links.values():
        rate, limit = expected_rate(link)
        assert 0 < rate < limit, link.name


@pytest.mark.parametrize(("place", "published"), RATES.items())
def test_a_link_makes_about_as_much_key_as_is_published(place: tuple[str, str], published: float) -> None:
    lab, name = place
    rate, _ = expected_rate(shipped_lab(lab).links[name])
    assert 0.5 * published < rate < 1.1 * published


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_makes_keys_on_all_links_as_long_as_it_is_up(name: str) -> None:
    lab = shipped_lab(name)
    planned = plan(lab, default_mode="real-time")
    assert {link.name for link in planned.key_links} == set(lab.links)


@pytest.mark.parametrize("name", NETWORKS)
def test_keys_between_any_two_applications_pass_trusted_nodes_only(name: str) -> None:
    lab = shipped_lab(name)
    served = [node.name for node in lab.nodes.values() if node.key_service]
    assert len(served) >= 3
    for first in served:
        for last in served:
            _, nodes = way(lab, first, last) if first != last else (0, ())
            assert all(lab.nodes[node].kind == "trusted-node" for node in nodes[1:-1])


def test_tokyo_has_four_sites_and_six_systems() -> None:
    lab = shipped_lab("tokyo")
    assert {name.rstrip("23") for name in lab.nodes} == {"koganei", "otemachi", "hongo", "hakusan"}
    assert len(lab.links) == 6
    assert {link.qkd.protocol for link in lab.links.values()} == {"decoy-bb84", "bbm92"}


def test_vienna_has_six_nodes_and_eight_links_up_to_83_km() -> None:
    lab = shipped_lab("secoqc")
    assert (len(lab.nodes), len(lab.links)) == (6, 8)
    assert max(link.length for link in lab.links.values()) == 83e3


def test_geneva_is_a_triangle() -> None:
    lab = shipped_lab("swissquantum")
    assert {frozenset(link.endpoints) for link in lab.links.values()} == {
        frozenset(pair) for pair in (("unige", "cern"), ("cern", "hepia"), ("hepia", "unige"))
    }


def test_beijing_and_shanghai_are_31_hops_and_2032_km_apart() -> None:
    lab = shipped_lab("beijing-shanghai")
    length, nodes = way(lab, "beijing", "shanghai")
    assert length == pytest.approx(2032, abs=0.01)
    assert len(nodes) == 32
    assert [node for node in nodes if not node.startswith("r")] == ["beijing", "jinan", "hefei", "shanghai"]


def test_nanshan_is_reached_by_the_satellite_alone() -> None:
    lab = shipped_lab("beijing-shanghai")
    _, nodes = way(lab, "nanshan", "beijing")
    assert nodes == ("nanshan", "micius", "xinglong", "beijing")
    for name in ("downlink-xinglong", "downlink-nanshan"):
        link = lab.links[name]
        assert link.endpoints[0] == "micius"  # which sends
        assert link.devices.fibre.attenuation_db_per_km == 0
        assert link.classical_delay == pytest.approx(link.length / 299_792e3)


def test_bristol_and_cambridge_are_410_km_apart_and_adastral_park_is_125_km_from_there() -> None:
    lab = shipped_lab("uk")
    assert way(lab, "bristol", "cambridge")[0] == pytest.approx(410)
    assert way(lab, "cambridge", "adastral")[0] == pytest.approx(125)


def test_losses_of_the_two_ipognac_links_are_all_that_their_receivers_differ_by() -> None:
    links = shipped_lab("field-systems").links
    near, far = (links[name].devices for name in ("ipognac-5db", "ipognac-38db"))
    assert near.pulses.detectors == far.pulses.detectors
    assert near.pulses.misalignment == far.pulses.misalignment == pytest.approx(0.004)
    assert links["toshiba-2018"].devices.pulses.detectors == links["toshiba-2015"].devices.pulses.detectors
    ratio = parameters_of(near).transmission / parameters_of(far).transmission
    assert 10 * log10(ratio) == pytest.approx(33.5)
