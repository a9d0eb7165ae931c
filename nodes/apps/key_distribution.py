"""The program ``bb84``: Alice and Bob distil one secret key from photons on the fibre between them.

See ``nodes.qkd.pipeline`` for the steps. The program reports what happened and drops the key.
"""

from __future__ import annotations

from math import isnan, nan
from statistics import fmean

from nodes.ports import Clock, Coin, Peer, QuantumLink, Referee, SharedSecret
from nodes.qkd import pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.report import QkdReport


async def alice(
    bob: Peer,
    bob_link: QuantumLink,
    bob_secret: SharedSecret,
    coin: Coin,
    clock: Clock,
    pulses: int = 100_000,
) -> QkdReport:
    """Send ``pulses`` photons to Bob and distil a key with him; return the report."""
    settings = pipeline.Settings(pulses=pulses)
    authenticated = AuthenticatedPeer(bob, bob_secret, role="alice", peer_role="bob")
    return (await pipeline.distil_as_alice(authenticated, bob_link, coin, clock, settings)).report


async def bob(
    alice: Peer,
    alice_link: QuantumLink,
    alice_secret: SharedSecret,
    coin: Coin,
    clock: Clock,
    pulses: int = 100_000,
) -> QkdReport:
    """Measure Alice's photons and distil a key with her; return the report."""
    settings = pipeline.Settings(pulses=pulses)
    authenticated = AuthenticatedPeer(alice, alice_secret, role="bob", peer_role="alice")
    return (await pipeline.distil_as_bob(authenticated, alice_link, coin, clock, settings)).report


async def referee(oracle: Referee, bob: QkdReport) -> dict[str, float]:
    """Take the figures of one block as Bob reports them; the oracle is not asked."""
    refused = float(bob.aborted)
    qber = nan if bob.qber is None else bob.qber
    return {"qber": qber, "sifted_bits": bob.sifted_bits, "secret_bits": bob.secret_bits, "refused": refused}


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the mean QBER of the blocks that were sampled, and the sums over all blocks."""
    sampled = [block["qber"] for block in rounds if not isnan(block["qber"])]
    sums = {name: sum(block[name] for block in rounds) for name in ("sifted_bits", "secret_bits", "refused")}
    return {"qber": fmean(sampled) if sampled else None, **sums}
