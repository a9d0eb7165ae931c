"""Decoy-state BB84: the secret key that tallies allow, with one decoy or with two.

The types are those of ``tallies``; the bounds are in ``one_decoy`` and ``two_decoy``, beside their papers.
"""

from __future__ import annotations

from nodes.qkd import one_decoy, two_decoy
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoyBound, DecoySource, Tallies

__all__ = ["DecoyBound", "DecoySource", "Security", "Tallies", "secret_length"]


def secret_length(
    tallies: Tallies, source: DecoySource, leaked_bits: float, security: Security
) -> DecoyBound:
    """Return the bound of Lim et al. 2014 for three intensities, of Rusca et al. 2018 for two.

    ``leaked_bits`` is all that was said of the key but for the verification tag, whose log2(2/eps_cor) bits are part
    of the bound. Raises ValueError for tallies or a source that no bound is known for.
    """
    if leaked_bits < 0:
        raise ValueError(f"{leaked_bits} leaked bits cannot be: error correction tells something or nothing")
    match len(source.intensities):
        case 2:
            return one_decoy.secret_length(tallies, source, leaked_bits, security)
        case 3:
            return two_decoy.secret_length(tallies, source, leaked_bits, security)
        case number:
            raise ValueError(f"no bound is known for {number} intensities; there are those for 2 and for 3")
