"""The program ``bb84``: Alice and Bob distil one secret key from photons on the fibre between them.

See ``nodes.qkd.pipeline`` for the steps. The program reports what happened and drops the key.
"""

from __future__ import annotations

from nodes.errors import TooFewOutcomes
from nodes.estimation.correlations import error_rate
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
    return {
        "sifted_bits": bob.sifted_bits,
        "sampled_bits": bob.sampled_bits,
        "sampled_errors": round((bob.qber or 0.0) * bob.sampled_bits),
        "secret_bits": bob.secret_bits,
        "refused": float(bob.aborted),
    }


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the QBER of all sampled bits with its standard error, None where there are none, and the sums."""
    counted = ("sifted_bits", "sampled_bits", "sampled_errors", "secret_bits", "refused")
    sums: dict[str, float | None] = {name: sum(block[name] for block in rounds) for name in counted}
    try:
        qber = error_rate(sum(b["sampled_errors"] for b in rounds), sum(b["sampled_bits"] for b in rounds))
    except TooFewOutcomes:
        return {"qber": None, "qber_stderr": None, **sums}
    return {"qber": qber.value, "qber_stderr": qber.stderr, **sums}
