"""What a link's devices cannot make a secret key of is refused before the first photon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nodes.agreement import LinkAgreement
from nodes.errors import ProgramInvalid
from nodes.ports import Coin, Peer, QuantumLink
from nodes.qkd.sifting import Sifter, sifter_of_alice, sifter_of_bob

Sift = Callable[[LinkAgreement], Sifter]
WEAK = LinkAgreement("decoy-bb84", intensities=(0.5, 0.15), intensity_probabilities=(0.7, 0.3))


@pytest.fixture(params=["alice", "bob"])
def sift(
    request: pytest.FixtureRequest,
    connect: Callable[..., tuple[Peer, Peer]],
    lay_fibre: Callable[..., tuple[QuantumLink, QuantumLink]],
    make_coin: Callable[..., Coin],
) -> Sift:
    """Return what makes one end of a link sift."""
    sifter_of = {"alice": sifter_of_alice, "bob": sifter_of_bob}[request.param]
    return lambda agreement: sifter_of(agreement, lay_fibre(1)[0], connect()[0], make_coin(1))


@pytest.mark.parametrize("intensities", [(0.1,), (0.5, 0.15), (0.5, 0.1, 0.0002)])
def test_weak_pulses_are_not_taken_for_single_photons(sift: Sift, intensities: tuple[float, ...]) -> None:
    """Who keeps one photon of several and blocks the single ones knows every bit of such a key, without an error."""
    weak = replace(WEAK, protocol="bb84", intensities=intensities)
    with pytest.raises(ProgramInvalid, match="Choose decoy-bb84"):
        sift(weak)
    sift(replace(weak, intensities=()))


@pytest.mark.parametrize(
    ("intensities", "why"),
    [
        ((0.5,), "two or three intensities"),
        ((0.5, 0.0), "must shine"),
        ((0.15, 0.5), "must descend"),
        ((0.5, 0.3, 0.25), "not above the sum of the decoys"),
        ((0.9, 0.5, 0.2, 0.1), "two or three intensities"),
    ],
)
def test_intensities_that_no_bound_is_known_for_are_refused(
    sift: Sift, intensities: tuple[float, ...], why: str
) -> None:
    shares = (1 / len(intensities),) * len(intensities)
    with pytest.raises(ProgramInvalid, match=why):
        sift(replace(WEAK, intensities=intensities, intensity_probabilities=shares))
    sift(WEAK)
