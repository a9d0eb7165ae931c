"""The program ``qkd``: Alice and Bob distil secret keys over the fibre between them, one a round.

The link's agreement says by which protocol and how errors are corrected; parameters can say otherwise. The keys go
into the stores of both ends, under the name of the round. See ``nodes.qkd.pipeline`` for the steps.
"""

from __future__ import annotations

from nodes.apps.agreed_key import stored
from nodes.errors import TooFewOutcomes
from nodes.estimation.correlations import error_rate
from nodes.ports import Clock, Coin, Peer, QuantumLink, Referee, SharedSecret
from nodes.qkd import pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.report import QkdReport
from nodes.shared_keys import SharedKeys


async def alice(
    bob: Peer,
    bob_link: QuantumLink,
    bob_secret: SharedSecret,
    bob_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
    pulses: int = 0,
    protocol: str = "",
    reconciliation: str = "",
    block: int = 0,
) -> QkdReport:
    """Send photons to Bob, or take halves of pairs with him, and distil a key; return the report.

    ``pulses`` (or pairs) are sent for it, 0 as many as fill a block of ``block`` sifted bits, 0 the link's. Empty
    ``protocol`` and ``reconciliation`` are the link's.
    """
    agreement = pipeline.agreed(bob_link.agreement, protocol, reconciliation, block)
    peer = AuthenticatedPeer(bob, bob_secret, role="alice", peer_role="bob")
    made = await pipeline.make_key_as_alice(peer, bob_link, coin, clock, agreement, pulses)
    return await stored(made, bob_keys, bob_secret.session)


async def bob(
    alice: Peer,
    alice_link: QuantumLink,
    alice_secret: SharedSecret,
    alice_keys: SharedKeys,
    coin: Coin,
    clock: Clock,
    pulses: int = 0,
    protocol: str = "",
    reconciliation: str = "",
    block: int = 0,
) -> QkdReport:
    """Measure Alice's photons and distil a key with her; return the report. Parameters as Alice's."""
    agreement = pipeline.agreed(alice_link.agreement, protocol, reconciliation, block)
    peer = AuthenticatedPeer(alice, alice_secret, role="bob", peer_role="alice")
    made = await pipeline.make_key_as_bob(peer, alice_link, coin, clock, agreement, pulses)
    return await stored(made, alice_keys, alice_secret.session)


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
