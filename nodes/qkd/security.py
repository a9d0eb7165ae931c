"""How sure a key is: composable security in two numbers.

A key of which Eve knows nothing and that both parties have alike is an ideal that a real protocol misses with a small
probability. By M. Ben-Or et al., TCC 2005, and R. Renner and R. Koenig, TCC 2005, the two ways to miss it add up,
also over all keys and over whatever is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.agreement import LinkAgreement


@dataclass(frozen=True, slots=True)
class Security:
    """The failure probabilities of one key; the key is (``secrecy`` + ``correctness``)-secure.

    ``secrecy``: eps_sec, the trace distance (halved, times the probability that there is a key) between the key with
    all that Eve has and a uniform key that she knows nothing of. ``correctness``: eps_cor, the probability that the
    parties' keys differ and neither notices. Raises ValueError outside of (0, 1).
    """

    secrecy: float = 1e-10
    correctness: float = 1e-15

    def __post_init__(self) -> None:
        for name, value in (("secrecy", self.secrecy), ("correctness", self.correctness)):
            if not 0 < value < 1:
                raise ValueError(f"the {name} {value} is no failure probability; it lies between 0 and 1")

    @staticmethod
    def of(agreement: LinkAgreement) -> Security:
        """Return what the ends of a link have agreed on."""
        return Security(agreement.secrecy, agreement.correctness)
