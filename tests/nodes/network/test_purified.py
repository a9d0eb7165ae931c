"""Purified pairs are as good and as rare as the recurrences of both protocols say, with perfect and noisy gates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.network.prediction import LinkFigures, Protocol, purified, purified_link


@pytest.mark.parametrize(
    ("fidelity", "probability", "better"),
    [
        (0.55, 0.580000, 0.560345),
        (0.60, 0.608889, 0.620438),
        (0.70, 0.680000, 0.735294),
        (0.80, 0.768889, 0.838150),
        (0.90, 0.875556, 0.926396),
        (0.95, 0.935556, 0.964964),
    ],
)
@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps"])
def test_a_round_of_purification(
    fidelity: float, probability: float, better: float, protocol: Protocol
) -> None:
    q = (1 - fidelity) / 3
    p = fidelity**2 + 2 * fidelity * q + 5 * q**2
    assert purified(fidelity, protocol, 1) == pytest.approx(((fidelity**2 + q**2) / p, p), abs=1e-12)
    assert purified(fidelity, protocol, 1) == pytest.approx((better, probability), abs=1e-6)


@pytest.mark.parametrize(
    ("fidelity", "protocol", "rounds"),
    [
        (0.6, "dejmps", (0.6204, 0.6886, 0.7719, 0.8413)),
        (0.7, "dejmps", (0.7353, 0.8459, 0.9344, 0.9720)),
        (0.8, "dejmps", (0.8382, 0.9436, 0.9880, 0.9969)),
        (0.9, "dejmps", (0.9264, 0.9888, 0.9991, 0.9999)),
        (0.6, "bbpssw", (0.6204, 0.6446, 0.6729, 0.7051)),
        (0.7, "bbpssw", (0.7353, 0.7732, 0.8119, 0.8495)),
        (0.8, "bbpssw", (0.8382, 0.8736, 0.9045, 0.9300)),
        (0.9, "bbpssw", (0.9264, 0.9472, 0.9629, 0.9743)),
    ],
)
def test_rounds_of_purification(fidelity: float, protocol: Protocol, rounds: tuple[float, ...]) -> None:
    found = [purified(fidelity, protocol, count)[0] for count in range(1, 5)]
    assert found == pytest.approx(rounds, abs=5e-5)


@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps"])
def test_noisy_purification_gains_less_or_nothing(protocol: Protocol) -> None:
    assert purified(0.8, protocol, 1, gate=0.97, readout=0.98) == pytest.approx(
        (0.807607, 0.733163), abs=1e-6
    )
    assert purified(0.86, protocol, 1, gate=0.937, readout=0.995)[0] < 0.86
    assert purified(0.8, protocol, 0) == (0.8, 1.0)


@given(
    st.floats(0, 1),
    st.sampled_from(["bbpssw", "dejmps"]),
    st.integers(0, 6),
    st.floats(0, 1),
    st.floats(0.5, 1),
)
def test_purified_pairs_are_states_and_the_odds_are_odds(
    fidelity: float, protocol: Protocol, rounds: int, gate: float, readout: float
) -> None:
    better, probability = purified(fidelity, protocol, rounds, gate, readout)
    assert -1e-12 <= better <= 1 + 1e-12
    assert 0 < probability <= 1 + 1e-12


def test_the_odds_of_rounds_multiply() -> None:
    first, second = purified(0.8, "bbpssw", 1), purified(0.838150289, "bbpssw", 1)
    assert purified(0.8, "bbpssw", 2) == pytest.approx((second[0], first[1] * second[1]), abs=1e-9)


def test_a_purified_link_is_better_and_slower() -> None:
    link = LinkFigures("link", ("a", "b"), rate=1000.0, fidelity=0.8, delay=0.0, length=0.0)
    for rounds in (0, 1, 2, 3):
        fidelity, probability = purified(0.8, "dejmps", rounds)
        found = purified_link(link, "dejmps", rounds)
        assert (found.fidelity, found.rate) == pytest.approx((fidelity, 1000 * probability * 0.5**rounds))


def test_protocols_and_figures_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="not epl"):
        purified(0.8, "epl", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1 rounds"):
        purified(0.8, "dejmps", -1)
    with pytest.raises(ValueError, match=r"F = 1\.2"):
        purified(1.2, "dejmps", 1)
