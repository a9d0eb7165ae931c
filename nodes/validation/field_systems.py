"""Systems that ran in the field: what links with their published figures make, beside the keys that were published.

What a link is expected to count, and what it does count in the quantum world, is taken for a block of the size that
the publication tells of, in these proportions: a quantum world of some minutes has no block of 1e8 bits. The figures
of the links are those of the lab ``field-systems``, which says which are published and which chosen. Most links have
one that is chosen for the rate, so their rates agree by choice; what is put to the test is that
plausible devices are enough, that error rates come out, that one receiver does at 5 dB and at 38.5 dB (the two
``ipognac`` links), and one within a factor of 2 at 2 dB and at 14.5 dB (Toshiba's), and that nobody exceeds the
bound of the fibre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log10
from typing import Final, NamedTuple

from nodes.qkd.asymptotic_rates import plob_bound
from nodes.qkd.decoy import secret_length
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.key_rates import EFFICIENCY, error_rate, expected_block, repeaterless_limit, secret_key_rate
from nodes.qkd.security import Security
from nodes.qkd.tallies import Tallies
from nodes.validation.counted_links import (
    clicks_per_pulse,
    count_pairs,
    count_pulses,
    expected_pairs,
    pair_rate,
    parameters_of,
    settings_of,
)
from shared_state.config import LinkDevices, PhotonPairSource, SourceConfig
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot

CLICKS: Final = 1_000_000
"""How many of them are waited for on a link with pulses, on average."""
PAIRS: Final = 2**17
ENDLESS: Final = 1e10
"""Sifted bits of a key that is published for blocks without end."""
ENDLESS_PAIRS: Final = 1e7
"""The same where pairs are counted: statistics hardly take anything from it."""
COUNTED: Final = 0.25
"""How much further off a rate may be that was counted for, and not reckoned.

Over 25 seeds, counted rates had standard deviations of 2 % to 5 %, and the nearest tolerance was six of them away: for
this, chance fails a report with a probability below 1e-7.
"""


@dataclass(frozen=True, slots=True)
class Published:
    """The ``rate`` of a publication in secret bits per second, for blocks of ``block`` sifted bits, and its QBER.

    Ours may be off by the share ``within``.
    """

    source: str
    rate: float
    block: float
    qber: float | None = None
    within: float = 0.1


_TOKYO: Final = "Sasaki et al., Opt. Express 19, 10387, 2011"
_VIENNA: Final = "Peev et al., New J. Phys. 11, 075001, 2009"
_PADOVA: Final = "iPOGNAC, arXiv:2602.08908, 2026"

PUBLISHED: Final[Mapping[str, Published]] = {
    "toshiba-2018": Published("Yuan et al., J. Lightwave Technol. 36, 3427, 2018", 13.72e6, 1e8, within=0.5),
    "toshiba-2015": Published(
        "Dixon et al., Opt. Express 23, 7583, 2015", 878e9 / (34 * 86_400), 1e8, within=0.5
    ),
    "nec-nict": Published(_TOKYO, 81.7e3, ENDLESS, 0.027),
    "mitsubishi": Published(_TOKYO, 2e3, 1e6, 0.045),
    "secoqc": Published(_VIENNA, 3.1e3, 1e6, 0.026),
    "li-2023": Published("Li et al., Nat. Photon. 17, 416, 2023", 115.8e6, 1e8),
    "ipognac-5db": Published(_PADOVA, 10e6, 1e7),
    "ipognac-38db": Published(_PADOVA, 6.5e3, 1e7),
    "secoqc-pairs": Published(_VIENNA, 2.5e3, 1e6, 0.035),
    "thuringia": Published("arXiv:2608.18869, 2026", 22.2, ENDLESS_PAIRS, 0.061),
    "micius": Published("Yin et al., Nature 582, 501, 2020", 0.43, ENDLESS_PAIRS),
}
"""By the name of the link in the lab. Where no block is published, one of 1e6 or 1e7 bits is assumed."""

_QBER_WITHIN: Final = 0.006
"""Six standard deviations at the least, the published figures being rounded by up to 0.0005."""
_PLOB: Final = Formula(
    "field-systems",
    "secret bits per pulse at most -log2(1-eta)",
    "Pirandola, Laurenza, Ottaviani and Banchi 2017",
)


class Rates(NamedTuple):
    """Secret bits per second of one link, as expected and as counted; the ``limit`` of its fibre; the QBER counted.

    ``clock``: pulses per second, or attempts of a source of pairs.
    """

    expected: float
    counted: float
    limit: float
    qber: float
    clock: float
    loss_db: float


async def field_systems(links: Mapping[str, LinkDevices], seed: int) -> Findings:
    """Compare the ``links`` of the lab with what is published of them, all of which are there by their names."""
    found = {name: await rates(links[name], PUBLISHED[name].block, seed) for name in PUBLISHED}
    findings = Findings()
    for name, ours in found.items():
        findings.comparisons.extend(_compare(name, PUBLISHED[name], ours))
    findings.plots.append(_plot(found))
    return findings


async def rates(devices: LinkDevices, block: float, seed: int) -> Rates:
    """Return what a link makes of blocks of ``block`` sifted bits."""
    if devices.source is None:
        return await _of_pulses(devices, block, seed)
    return await _of_pairs(devices, devices.source, block, seed)


async def _of_pulses(devices: LinkDevices, block: float, seed: int) -> Rates:
    link, settings = parameters_of(devices), settings_of(devices)
    pulses = round(CLICKS / clicks_per_pulse(link, settings))
    _, tallies = await count_pulses(devices, pulses, seed)
    scale = block / sum(tallies.key_detections)
    full = scaled(tallies, scale)
    leaked = EFFICIENCY * block * binary_entropy(error_rate(full))
    counted = max(0.0, secret_length(full, settings.source, leaked, Security()).surplus) / (scale * pulses)
    return Rates(
        secret_key_rate(link, expected_block(link, settings, block)),
        counted * link.pulse_rate,
        repeaterless_limit(link),
        error_rate(tallies),
        link.pulse_rate,
        -10 * log10(link.transmission),
    )


async def _of_pairs(devices: LinkDevices, source: SourceConfig, block: float, seed: int) -> Rates:
    if not isinstance(source, PhotonPairSource):
        raise ValueError(f"of a source of the scheme {source.scheme} no key rate is published here")
    transmission = parameters_of(devices).transmission
    rate, seen = pair_rate(devices), await count_pairs(devices, PAIRS, seed)
    return Rates(
        rate * expected_pairs(devices).secret_bits(block, Security()),
        rate * seen.secret_bits(block, Security()),
        plob_bound(transmission) * source.attempt_rate,
        seen.qber,
        source.attempt_rate,
        -10 * log10(transmission),
    )


def scaled(tallies: Tallies, factor: float) -> Tallies:
    """Return the tallies of a block that is ``factor`` times as long, and counts in the same proportions."""

    def longer(counts: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(factor * count for count in counts)

    errors = None if tallies.key_errors is None else longer(tallies.key_errors)
    return Tallies(
        longer(tallies.key_detections), longer(tallies.check_detections), longer(tallies.check_errors), errors
    )


def _compare(name: str, published: Published, ours: Rates) -> list[Comparison]:
    def over(what: str, rate: float, within: float) -> Comparison:
        formula = Formula("field-systems", f"{name}: {what} key rate over the published", published.source)
        return formula.exact(
            1.0,
            rate / published.rate,
            tolerance=within,
            loss_db=ours.loss_db,
            published=published.rate,
            ours=rate,
        )

    found = [
        over("expected", ours.expected, published.within),
        over("counted", ours.counted, published.within + COUNTED),
        _PLOB.at_most(ours.limit / ours.clock, ours.counted / ours.clock, loss_db=ours.loss_db),
    ]
    if published.qber is not None:
        qber = Formula("field-systems", f"{name}: QBER", published.source)
        found.append(qber.exact(published.qber, ours.qber, tolerance=_QBER_WITHIN, loss_db=ours.loss_db))
    return found


def _plot(found: Mapping[str, Rates]) -> Plot:
    grid = tuple(0.5 + 0.5 * step for step in range(128))
    bound = tuple(plob_bound(10 ** (-loss / 10)) for loss in grid)
    losses = tuple(ours.loss_db for ours in found.values())
    printed = tuple(PUBLISHED[name].rate / ours.clock for name, ours in found.items())
    counted = tuple(ours.counted / ours.clock for ours in found.values())
    curves = (
        Curve("PLOB bound", "theory", grid, bound),
        Curve("published", "measured", losses, printed),
        Curve("counted in the quantum world", "measured", losses, counted),
    )
    title = "Systems in the field; orange: published, green: counted"
    return Plot(
        "field-systems", title, "loss (dB)", "secret bits per pulse or window", curves, logarithmic=True
    )
