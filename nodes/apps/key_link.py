"""The program ``keys``: a link that makes key after key, into the stores of both ends, until it is called off.

::

    Alice                                                         Bob
      |=== 1 an epoch: identities, a fresh secret (nodes.qkd.epochs) ===|
      |=== 2 sifting: photons, clicks, bases, block after block ========|
      |=== 3 distilling: a block's key, while the next photons fly =====|
      |=== 4 of the key first what authentication has used up ==========|  (nodes.qkd.refill)
      the rest goes into the stores, under the name of the epoch and the number of the block

Sifting and distilling are conversations of their own, side by side, and each has its own pads.

Every failure of a party ends the epoch: a message that is not authentic, a peer that has gone, a reserve that has run
dry. Whoever keeps the link (``deploy.key_links``) begins another. That a block holds no secret key, since somebody
measures the photons, say, ends nothing: its report says so, and the next block is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from nodes.errors import KeyRefused
from nodes.identity import Identity
from nodes.ports import Clock, Coin, Correspondent, QuantumLink, Rounds
from nodes.qkd import distillation, epochs, refill
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.block import SiftedBlock
from nodes.qkd.distillation import Account
from nodes.qkd.epochs import EpochTerms
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport
from nodes.qkd.reserve import AuthenticationReserve
from nodes.qkd.sifting import Sifter, sifter_of_alice, sifter_of_bob
from nodes.shared_keys import SharedKeys

BLOCKS_AHEAD = 2
"""So many sifted blocks may wait for the one that is being distilled; then the photons wait."""
AHEAD = 0.25
"""Emulated seconds of light that may be on its way while what has come is sifted."""
PADS = 509
"""Of each lane of a conversation: a few blocks without a key may pass before a new epoch must begin."""
LEAST_PADS = 16
"""What distilling a block takes at most; with fewer it is not begun."""


async def alice(
    bob: Correspondent,
    bob_link: QuantumLink,
    bob_keys: SharedKeys,
    identity: Identity,
    coin: Coin,
    clock: Clock,
    rounds: Rounds,
) -> AsyncIterator[QkdReport]:
    """Send photons to Bob, or take halves of pairs with him, and make keys; yield the report of each block.

    ``rounds`` 0: until called off.
    """
    epoch = await epochs.begin_as_alice(bob, identity, _terms(identity.node, bob.name), coin)
    ends = _Conversations.of(epoch, bob, "alice", "bob")
    sifter = sifter_of_alice(bob_link.agreement, bob_link, ends.sifting, coin, ahead=AHEAD)

    async def distil(block: SiftedBlock, account: Account) -> Key:
        key = await distillation.distil_as_alice(block, ends.distilling, coin, account)
        return await refill.refill_as_alice(key, ends.reserves, ends.distilling)

    async for report in _keys(epoch.name, ends, sifter, distil, bob_link, bob_keys, clock, rounds):
        yield report


async def bob(
    alice: Correspondent,
    alice_link: QuantumLink,
    alice_keys: SharedKeys,
    identity: Identity,
    coin: Coin,
    clock: Clock,
    rounds: Rounds,
) -> AsyncIterator[QkdReport]:
    """Measure Alice's photons, or halves of pairs with her, and make keys; yield the report of each block."""
    epoch = await epochs.begin_as_bob(alice, identity, _terms(alice.name, identity.node), coin)
    ends = _Conversations.of(epoch, alice, "bob", "alice")
    sifter = sifter_of_bob(alice_link.agreement, alice_link, ends.sifting, coin, ahead=AHEAD)

    async def distil(block: SiftedBlock, account: Account) -> Key:
        key = await distillation.distil_as_bob(block, ends.distilling, coin, account)
        return await refill.refill_as_bob(key, ends.reserves, ends.distilling)

    async for report in _keys(epoch.name, ends, sifter, distil, alice_link, alice_keys, clock, rounds):
        yield report


@dataclass(frozen=True, slots=True)
class _Conversations:
    """What is said about photons and about keys, side by side; ``reserves`` are the pads of the two."""

    sifting: AuthenticatedPeer
    distilling: AuthenticatedPeer
    reserves: tuple[AuthenticationReserve, AuthenticationReserve]

    @staticmethod
    def of(epoch: epochs.Epoch, peer: Correspondent, role: str, peer_role: str) -> _Conversations:
        sifting, distilling = epoch.reserve("sifting"), epoch.reserve("distilling")
        return _Conversations(
            AuthenticatedPeer(peer.conversation("sifting"), sifting, role, peer_role),
            AuthenticatedPeer(peer.conversation("distilling"), distilling, role, peer_role),
            (sifting, distilling),
        )


Distil = Callable[[SiftedBlock, Account], Awaitable[Key]]


async def _keys(
    epoch: str,
    ends: _Conversations,
    sifter: Sifter,
    distil: Distil,
    link: QuantumLink,
    keys: SharedKeys,
    clock: Clock,
    rounds: int,
) -> AsyncIterator[QkdReport]:
    """Distil block after block while the next ones are sifted; store the keys and yield the reports."""
    blocks: asyncio.Queue[SiftedBlock | Exception] = asyncio.Queue(BLOCKS_AHEAD)
    sifting = asyncio.create_task(_sift(sifter, blocks))
    try:
        for number in range(rounds) if rounds else count():
            account = Account(link.agreement, clock)
            ends.reserves[1].require(LEAST_PADS)
            try:
                key = await distil(await _next(blocks), account)
            except KeyRefused as refusal:  # of both ends alike: they are in step
                yield account.aborted(refusal)
                continue
            if len(key):
                await keys.put(f"{epoch}-{number}", key)
            yield account.concluded(len(key))
    except Exception as failure:
        await ends.sifting.give_up(failure)
        await ends.distilling.give_up(failure)
        raise
    finally:
        sifting.cancel()
        await asyncio.wait([sifting])


async def _sift(sifter: Sifter, blocks: asyncio.Queue[SiftedBlock | Exception]) -> None:
    """Sift blocks until cancelled, or until something fails; that is handed over, too."""
    while True:
        try:
            await blocks.put(await sifter.block())
        except KeyRefused as refusal:
            await blocks.put(refusal)
        except Exception as failure:  # noqa: BLE001 - it is raised by who takes it
            await blocks.put(failure)
            return


async def _next(blocks: asyncio.Queue[SiftedBlock | Exception]) -> SiftedBlock:
    block = await blocks.get()
    if isinstance(block, Exception):
        raise block
    return block


def _terms(alice: str, bob: str) -> EpochTerms:
    """Name the link; the lab need not be named, since identities are made for one lab each."""
    return EpochTerms("bellwire", f"keys from {alice} to {bob}", PADS)
