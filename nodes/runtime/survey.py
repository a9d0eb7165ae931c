"""What the devices of a lab's links and nodes will give, by their own formulas: the figures that routing goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from nodes.network.prediction import LinkFigures, NodeFigures, swap_quality
from nodes.network.routing import Topology
from nodes.network.tuning import Tune, Tuned
from shared_state.config import LinkDevices, MemoryConfig, NodeDevices, SingleClickSource, WorldConfig
from shared_state.world.expectations import heralded_fidelity
from shared_state.world.fibre import delay
from shared_state.world.heralding import scheme_of
from shared_state.world.pair_batches import correlation_kept


def topology(world: WorldConfig, delays: Mapping[str, float] | None = None) -> Topology:
    """Return the network of the links that store pairs; ``delays`` of messages by link, where fibres do not tell."""
    links = [
        LinkFigures(
            name=name,
            endpoints=link.endpoints,
            rate=figures.rate,
            fidelity=figures.fidelity,
            delay=(delays or {}).get(name, delay(link.fibre)),
            length=link.fibre.length,
        )
        for name, link in world.links.items()
        if link.stores_pairs
        for figures in [_figures(link, world)]
    ]
    return Topology(tuple(_node(name, node) for name, node in world.nodes.items()), tuple(links))


def tunes(world: WorldConfig) -> dict[str, Tune]:
    """Return the links whose source's bright-state population can be chosen, and what each choice gives."""

    def tune(link: LinkDevices, alpha: float) -> Tuned:
        source = link.source
        assert isinstance(source, SingleClickSource)
        return _figures(replace(link, source=replace(source, alpha=(alpha, alpha))), world)

    return {
        name: lambda alpha, link=link: tune(link, alpha)  # type: ignore[misc]
        for name, link in world.links.items()
        if isinstance(link.source, SingleClickSource)
    }


def _figures(link: LinkDevices, world: WorldConfig) -> Tuned:
    assert link.source is not None
    try:
        scheme = scheme_of(link.source, link.fibre)
    except ValueError:
        return Tuned(0.0, 0.25)  # no pair is ever made
    first, second = (world.nodes[end].memories for end in link.endpoints)
    return Tuned(1 / scheme.process.mean, heralded_fidelity(scheme, (first, second)))


def _node(name: str, node: NodeDevices) -> NodeFigures:
    gates = node.gates
    quality = swap_quality(
        gates.two_fidelity, gates.two_qubit_noise, gates.readout_error_0, gates.readout_error_1
    )
    t1, t2 = _lifetimes(node.memories)
    readout = 1 - (gates.readout_error_0 + gates.readout_error_1) / 2
    return NodeFigures(name, node.memories.count, quality, t1, t2, correlation_kept(gates), readout)


def _lifetimes(memory: MemoryConfig) -> tuple[float, float]:
    """Return T1 and T2 as far as two figures can tell: depolarising with time tau loses populations and coherence."""
    rate = 1 / memory.depolarising_time
    t1 = 1 / (1 / memory.t1 + rate) if 1 / memory.t1 + rate else inf
    t2 = 1 / (1 / memory.t2 + rate) if 1 / memory.t2 + rate else inf
    return t1, t2
