"""The program ``network-qkd``: Alice and Bob distil a key from pairs of the entanglement network, over repeaters.

::

    Alice                                                    Bob
      |=== an epoch: identities, a fresh secret ===============|  nodes.qkd.epochs
      |=== pairs from end to end, each measured as it comes ===|  nodes.requests; the repeaters learn nothing
      |=== BBM92 or E91, and distillation =====================|  nodes.qkd
"""

from __future__ import annotations

from nodes.agreement import LinkAgreement
from nodes.apps.agreed_key import stored
from nodes.apps.key_distribution import referee, summarise
from nodes.errors import ProgramInvalid
from nodes.identity import Identity
from nodes.ports import Clock, Coin, Peer
from nodes.qkd import bbm92, distillation, e91, epochs, pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.distillation import Account, concluded
from nodes.qkd.epochs import EpochTerms
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport
from nodes.qkd.security import Security
from nodes.requests import Network, Terms
from nodes.shared_keys import SharedKeys

__all__ = ["alice", "bob", "referee", "summarise"]

_PADS = 64
_WINDOW = 32
"""Pairs under way at a time: their order is all that the two ends have to agree on."""


async def alice(
    bob: Peer,
    bob_keys: SharedKeys,
    network: Network,
    identity: Identity,
    coin: Coin,
    clock: Clock,
    pairs: int = 4000,
    protocol: str = "bbm92",
    reconciliation: str = "",
    min_fidelity: float = 0.0,
) -> QkdReport:
    """Ask the network for pairs with Bob, measure them and distil a key; return the report."""
    agreement = _agreed(protocol, reconciliation)
    terms = Terms(min_fidelity=min_fidelity, window=_WINDOW)
    epoch = await epochs.begin_as_alice(bob, identity, _terms(identity.node, bob.name), coin)
    peer = AuthenticatedPeer(bob, epoch.reserve("key"), "alice", "bob")
    account, security = Account(agreement, clock, pairs), Security.of(agreement)

    async def steps() -> Key:
        if agreement.protocol == "e91":
            async with network.request("bob", pairs, terms) as shared:
                block = await e91.alice(await e91.collect(shared, e91.ALICE, coin), peer, security)
        else:
            async with network.request_outcomes("bob", pairs, "ZX", terms=terms) as outcomes:
                block = await bbm92.alice(await bbm92.collect(outcomes), peer, security)
        return await distillation.distil_as_alice(block, peer, coin, account)

    return await stored(await concluded(account, peer, steps()), bob_keys, epoch.name)


async def bob(
    alice: Peer,
    alice_keys: SharedKeys,
    network: Network,
    identity: Identity,
    coin: Coin,
    clock: Clock,
    pairs: int = 4000,
    protocol: str = "bbm92",
    reconciliation: str = "",
    min_fidelity: float = 0.0,
) -> QkdReport:
    """Accept the pairs that Alice asks for, measure them and distil a key with her; return the report."""
    agreement = _agreed(protocol, reconciliation)
    epoch = await epochs.begin_as_bob(alice, identity, _terms(alice.name, identity.node), coin)
    peer = AuthenticatedPeer(alice, epoch.reserve("key"), "bob", "alice")
    account, security = Account(agreement, clock, pairs), Security.of(agreement)

    async def steps() -> Key:
        if agreement.protocol == "e91":
            async with network.accept("alice") as shared:
                block = await e91.bob(await e91.collect(shared, e91.BOB, coin), peer, security)
        else:
            async with network.accept_outcomes("alice", "ZX") as outcomes:
                block = await bbm92.bob(await bbm92.collect(outcomes), peer, security)
        return await distillation.distil_as_bob(block, peer, coin, account)

    return await stored(await concluded(account, peer, steps()), alice_keys, epoch.name)


def _agreed(protocol: str, reconciliation: str) -> LinkAgreement:
    if protocol not in ("bbm92", "e91"):
        raise ProgramInvalid(f"{protocol} needs a link of its own; over the network choose bbm92 or e91")
    return pipeline.agreed(LinkAgreement(), protocol, reconciliation)


def _terms(alice: str, bob: str) -> EpochTerms:
    return EpochTerms("bellwire", f"one key over the network from {alice} to {bob}", _PADS)
