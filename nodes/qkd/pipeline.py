"""Quantum key distribution from the first photon to the secret key, for each party: one block by itself.

::

    sifting  ->  reconciliation  ->  verification  ->  amplification  ->  Key
    bb84, decoy_bb84, bbm92, e91     cascade, ldpc

Nothing is sent that is not authenticated: the peer is an ``AuthenticatedPeer``. A link that makes one block after the
other is ``nodes.apps.key_link``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nodes.agreement import LinkAgreement
from nodes.ports import Clock, Coin, QuantumLink
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.distillation import Account, Distilled, concluded, distil_as_alice, distil_as_bob
from nodes.qkd.key import Key
from nodes.qkd.sifting import sifter_of_alice, sifter_of_bob


def agreed(
    agreement: LinkAgreement, protocol: str = "", reconciliation: str = "", block: int = 0
) -> LinkAgreement:
    """Return the link's agreement, with what is stated in its place. Raises ``ProgramInvalid``."""
    stated: dict[str, Any] = {"protocol": protocol, "reconciliation": reconciliation, "block": block}
    return replace(agreement, **{name: value for name, value in stated.items() if value})


async def make_key_as_alice(
    bob: AuthenticatedPeer,
    link: QuantumLink,
    coin: Coin,
    clock: Clock,
    agreement: LinkAgreement,
    pulses: int = 0,
) -> Distilled:
    """Sift a block of ``pulses``, 0 as many as fill it, with Bob and distil a key.

    A refused key and a tampered channel are results: the report is ``aborted`` and says why. Raises ``PeerGone``,
    ``DeadlinePassed`` and ``ProtocolViolation`` when the peer or its program failed.
    """
    account = Account(agreement, clock, pulses)

    async def steps() -> Key:
        sifter = sifter_of_alice(agreement, link, bob, coin, pulses)
        return await distil_as_alice(await sifter.block(), bob, coin, account)

    return await concluded(account, bob, steps())


async def make_key_as_bob(
    alice: AuthenticatedPeer,
    link: QuantumLink,
    coin: Coin,
    clock: Clock,
    agreement: LinkAgreement,
    pulses: int = 0,
) -> Distilled:
    """Sift a block with Alice and distil a key; results and errors as in ``make_key_as_alice``."""
    account = Account(agreement, clock, pulses)

    async def steps() -> Key:
        sifter = sifter_of_bob(agreement, link, alice, coin, pulses)
        return await distil_as_bob(await sifter.block(), alice, coin, account)

    return await concluded(account, alice, steps())
