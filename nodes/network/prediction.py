"""What a chain of links will give: rate and fidelity of its pairs, before any is made.

All links of a chain ask at once, link i waits for its pair an exponential time of rate r_i, and every repeater swaps
as soon as it holds both halves. Pairs are taken for Werner states, w = (4F - 1)/3 (R. F. Werner, PRA 40, 4277, 1989);
a link's fidelity is that of its pair when both ends know of it. The figures are plain numbers in SI units, so nothing
here depends on who measured or computed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, fsum, inf, log, prod
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Protocol: TypeAlias = Literal["bbpssw", "dejmps"]
Numbers: TypeAlias = NDArray[np.float64]

EXACT_LINKS: Final = 12
"""Up to so many links every set of links that have their pair is gone through: 2^12 of them."""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """A link that stores pairs.

    ``rate``: pairs per second while both ends always ask, 0 where none can be made. ``fidelity``: with Phi+ when both
    ends know. ``delay``: seconds that a classical message takes over the link. ``length`` in metres.

    Raises ``ValueError`` for figures that no link has.
    """

    name: str
    endpoints: tuple[str, str]
    rate: float
    fidelity: float
    delay: float
    length: float

    def __post_init__(self) -> None:
        for what in ("rate", "delay", "length"):
            if not 0 <= getattr(self, what) < inf:
                raise ValueError(f"the {what} of link {self.name} is {getattr(self, what)}, not 0 or more")
        if not 0 <= self.fidelity <= 1:
            raise ValueError(f"the fidelity of link {self.name} is {self.fidelity}, not in 0 .. 1")
        if self.endpoints[0] == self.endpoints[1]:
            raise ValueError(f"link {self.name} begins and ends at {self.endpoints[0]}")

    @property
    def werner(self) -> float:
        """Return the Werner parameter w = (4F - 1)/3 of its pairs."""
        return (4 * self.fidelity - 1) / 3


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """A node: how many qubits it holds, and what a swap and a second of storage cost there.

    ``swap_quality`` multiplies the Werner parameter at each swap, see the function of that name. ``t1`` and ``t2`` in
    seconds, ``t2 <= 2 t1``; the coherence is taken to fall as e^(-t/T2). For purifications: ``gate``, the share of the
    correlations that a two-qubit gate leaves, and ``readout``, the probability that a bit is reported as it is.

    Raises ``ValueError`` for figures that no node has.
    """

    name: str
    memories: int
    swap_quality: float = 1.0
    t1: float = inf
    t2: float = inf
    gate: float = 1.0
    readout: float = 1.0

    def __post_init__(self) -> None:
        if self.memories < 0:
            raise ValueError(f"node {self.name} cannot have {self.memories} memories")
        if not -1 / 3 <= self.swap_quality <= 1:
            raise ValueError(f"a swap_quality of {self.swap_quality} at node {self.name} is not in -1/3 .. 1")
        if not (self.t1 > 0 and 0 < self.t2 <= 2 * self.t1):
            raise ValueError(
                f"T1 = {self.t1} s and T2 = {self.t2} s of node {self.name} break 0 < T2 <= 2 T1"
            )


def swap_quality(
    two_fidelity: float = 1.0,
    two_qubit_noise: Literal["joint", "each"] = "joint",
    readout_error_0: float = 0.0,
    readout_error_1: float = 0.0,
) -> float:
    """Return the factor by which an imperfect swap multiplies the Werner parameter: g (4 eta^2 - 1)/3.

    H.-J. Briegel et al., PRL 81, 5932 (1998). g is the share of the correlations that the two-qubit gate leaves:
    ``two_fidelity`` itself where the noise is ``joint``, rho -> g U rho U^+ + (1-g) I/4; with ``each`` both qubits
    are depolarised by p and two_fidelity = (1 - 3p/4)^2, so g = (1 - p)^2. eta = 1 - (e_0 + e_1)/2, for the outcomes
    0 and 1 are equally likely. The mean over the outcomes is exact for one swap. Misread outcomes leave no Werner
    state, though: after m swaps the product is too low, to leading order by m (m-1) (1-eta)^2 / 3 in F. The
    correction at the end is taken to be perfect.
    """
    g = two_fidelity if two_qubit_noise == "joint" else (1 - 4 * (1 - two_fidelity**0.5) / 3) ** 2
    eta = 1 - (readout_error_0 + readout_error_1) / 2
    return g * (4 * eta**2 - 1) / 3


def chain_rate(links: Sequence[LinkFigures]) -> float:
    """Return the pairs per second from end to end, one at a time over every link, with swaps that always succeed.

    1/E[max_i t_i] of independent exponential times, by inclusion and exclusion over the sets S of links,
    E = sum_S (-1)^(|S|+1) / sum_(i in S) r_i, which for equal rates is (1 + 1/2 + ... + 1/n)/r; see N. K. Bernardes
    et al., PRA 83, 012323 (2011), whose sum for attempts of probability p this is for p -> 0. Beyond ``EXACT_LINKS``
    the integral E = int_0^inf (1 - prod_i (1 - e^(-r_i t))) dt takes its place, to 13 digits. 0 where a link never
    makes a pair. The time that messages take is not counted: the next pair need not wait for it.
    """
    rates = np.sort([link.rate for link in _some(links)])
    if rates[0] == 0:
        return 0.0
    return 1 / (_waiting_by_sets(rates) if len(rates) <= EXACT_LINKS else _waiting_by_integral(rates))


def chain_fidelity(links: Sequence[LinkFigures], nodes: Sequence[NodeFigures]) -> float:
    """Return the mean fidelity with Phi+ of the pairs of a chain, ``nodes`` from end to end, each when both ends know.

    F = [1 + w (2 C + Z)]/4 with w = prod_i w_i prod_k q_k over links and swaps, C = E[prod e^(-t/T2)] and
    Z = E[prod e^(-t/T1)] over all halves and the times t for which they are stored. A repeater's half waits for the
    other link of the repeater; a half at an end waits for the last link, and then for the outcome of the farthest
    repeater.

    Exact for Werner pairs, ideal memories and perfect readout. Otherwise: a link with attempts waits a geometric
    time, here an exponential one. C and Z are exact for that up to ``EXACT_LINKS`` links; beyond, e^(-E[t/T]) stands
    for E[e^(-t/T)], which is too low, to leading order by half the variance of the sum. That |1> decays to |0> and
    not to I/2 is left out: too low by (1 - e^(-t/T1))^2/4 at most. Where a link never makes a pair the waiting is
    endless, and F is 1/4 unless the memories are ideal.

    Raises ``ValueError`` where the nodes are not those of the links.
    """
    _check_chain(links, nodes)
    kept = prod(link.werner for link in links) * prod(node.swap_quality for node in nodes[1:-1])
    coherence = _kept_waiting(links, [1 / node.t2 for node in nodes])
    population = _kept_waiting(links, [1 / node.t1 for node in nodes])
    return (1 + kept * (2 * coherence + population)) / 4


def purified(
    fidelity: float, protocol: Protocol, rounds: int, gate: float = 1.0, readout: float = 1.0
) -> tuple[float, float]:
    """Return fidelity and success probability after ``rounds`` of purification of Werner pairs, two alike each time.

    ``bbpssw`` (Bennett et al., PRL 76, 722, 1996) makes Werner states of its pairs after each round, for which
    F' = (F^2 + q^2)/p and p = F^2 + 2Fq + 5q^2 with q = (1-F)/3; ``dejmps`` (Deutsch et al., PRL 77, 2818, 1996)
    goes on with the weights of all four Bell states. ``gate`` g: each end's CNOT leaves its two qubits in I/4 with
    probability 1 - g. ``readout`` m: each bit is reported as it is with probability m.

    The probability is the product over the rounds, so that a pair costs 2^rounds / probability pairs on average
    where every round is tried until it succeeds. It may lower the fidelity. Raises ``ValueError``.
    """
    if protocol not in ("bbpssw", "dejmps"):
        raise ValueError(f"the protocol is bbpssw or dejmps, not {protocol}")
    if not (0 <= fidelity <= 1 and 0 <= gate <= 1 and 0.5 <= readout <= 1 and rounds >= 0):
        raise ValueError(
            f"F = {fidelity}, g = {gate}, m = {readout}, {rounds} rounds: one of these cannot be"
        )
    bell, success = _werner_weights(fidelity), 1.0
    for _ in range(rounds):
        if protocol == "bbpssw":
            bell = _werner_weights(float(bell[0, 0]))
        else:
            bell[0, 1], bell[1, 1] = bell[1, 1], bell[0, 1]  # the quarter turns exchange Phi- and Psi-
        bell, probability = _distilled(bell, gate, readout)
        success *= probability
    return float(bell[0, 0]), success


def purified_link(
    link: LinkFigures, protocol: Protocol, rounds: int, gate: float = 1.0, readout: float = 1.0
) -> LinkFigures:
    """Return the link's figures after purification, for chains that purify before they swap.

    Its rate falls to that of the pairs that remain, probability / 2^rounds of it. What the pairs lose while they
    wait for each other is left out.
    """
    fidelity, success = purified(link.fidelity, protocol, rounds, gate, readout)
    return replace(link, fidelity=fidelity, rate=link.rate * success / 2**rounds)


def _some(links: Sequence[LinkFigures]) -> Sequence[LinkFigures]:
    if not links:
        raise ValueError("a chain has at least one link")
    return links


def _check_chain(links: Sequence[LinkFigures], nodes: Sequence[NodeFigures]) -> None:
    names = [node.name for node in nodes]
    if len(_some(links)) != len(nodes) - 1 or any(
        set(link.endpoints) != set(ends) for link, ends in zip(links, pairwise(names), strict=True)
    ):
        raise ValueError(f"the links {', '.join(link.name for link in links)} are no chain of {names}")


def _sums(values: Numbers) -> Numbers:
    """Return the sum of ``values`` over each set of them, shape (2^n,); bit i of an index says that i is in it."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _waiting_by_sets(rates: Numbers) -> float:
    """Return E[max_i t_i] by inclusion and exclusion."""
    signs = np.array([-1.0])
    for _ in rates:
        signs = np.concatenate([signs, -signs])
    return fsum(signs[1:] / _sums(rates)[1:])


def _waiting_by_integral(rates: Numbers) -> float:
    """Return E[max_i t_i]: with t = e^y the trapezoidal rule converges exponentially in its step."""
    step = 0.1
    times = np.exp(np.arange(log(1e-17 / rates[-1]), log(60 / rates[0]) + step, step))
    all_there = np.log(-np.expm1(-np.outer(rates, times))).sum(axis=0)
    return float(step * (times * -np.expm1(all_there)).sum())


def _kept_waiting(links: Sequence[LinkFigures], decay: Sequence[float]) -> float:
    """Return E[e^(-sum_k decay[k] t_k)], t_k the seconds for which node k stores halves, both added up."""
    if not any(decay):
        return 1.0
    rates = np.array([link.rate for link in links])
    if not rates.all():
        return 1.0 if len(rates) == 1 else 0.0
    delays = [link.delay for link in links]
    told = exp(-decay[0] * sum(delays[:-1]) - decay[-1] * sum(delays[1:]))
    if len(rates) <= EXACT_LINKS:
        return told * _kept_by_sets(rates, decay)
    last = 1 / chain_rate(links)
    stored = [1 / a + 1 / b - 2 / (a + b) for a, b in pairwise(rates)]
    stored = [last - 1 / rates[0], *stored, last - 1 / rates[-1]]
    return told * exp(-sum(rate * time for rate, time in zip(decay, stored, strict=True)))


def _kept_by_sets(rates: Numbers, decay: Sequence[float]) -> float:
    """Return the expectation up to the last pair, by what happens next to each set of links that have their pair.

    Exponential times have no memory: E(S) = sum_(j not in S) r_j E(S + j) / (R + D), R the sum of the rates of the
    links that still wait and D that of the decays of all halves stored meanwhile.
    """
    count = len(rates)
    sets = np.arange(2**count)
    there = (sets[:, np.newaxis] >> np.arange(count)) & 1
    waiting = (1 - there) @ rates
    stored = np.diff(there, axis=1, prepend=0, append=0) != 0  # a repeater with both halves has swapped them
    leaving = waiting + stored @ np.array(decay)
    kept = np.ones(2**count)
    size = there.sum(axis=1)
    for links_there in range(count - 1, -1, -1):
        layer = sets[size == links_there]
        gained = sum(np.where(there[layer, j], 0.0, rates[j] * kept[layer | (1 << j)]) for j in range(count))
        kept[layer] = gained / leaving[layer]
    return float(kept[0])


def _werner_weights(fidelity: float) -> Numbers:
    """Return the weights [x, z] of the Bell states X^x Z^z |Phi+>."""
    weights = np.full((2, 2), (1 - fidelity) / 3)
    weights[0, 0] = fidelity
    return weights


def _distilled(bell: Numbers, gate: float, readout: float) -> tuple[Numbers, float]:
    """Return the Bell weights after CNOTs between two pairs alike and equal outcomes, and their probability."""
    even, odd = (
        np.array([[fsum(bell[x, v] * bell[x ^ flip, v ^ z] for v in (0, 1)) for z in (0, 1)] for x in (0, 1)])
        for flip in (0, 1)
    )
    right = readout**2 + (1 - readout) ** 2
    kept = gate**2 * (right * even + (1 - right) * odd) + (1 - gate**2) / 8
    return kept / kept.sum(), float(kept.sum())
