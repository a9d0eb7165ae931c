"""From a sifted block to a secret key, for each party.

::

    Alice                                                     Bob
      |=== 1 reconciliation (cascade or ldpc) ================|  equal keys
      |<-- 2 Corrections: how many errors of each class ------|  so that both know what the block is worth
      |=== 3 verification ====================================|  certainly equal
      |=== 4 privacy amplification ===========================|  secret

Whether there is a key, and how long it is, both parties decide alike from what both know, so neither needs to be
told; who fails alone (a forged message, a deadline) withdraws and so tells the other why. Only the loss of the very
last message leaves a key at one end; it is Bob's, and Alice knows that it may be.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from math import ceil
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from nodes.agreement import LinkAgreement
from nodes.errors import AuthenticationFailed, KeyRefused, NodeError, ProtocolViolation, TooManyErrors
from nodes.ports import Clock, Coin
from nodes.qkd import amplification, cascade, ldpc, verification
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew
from nodes.qkd.block import SiftedBlock
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.key import Key
from nodes.qkd.reconciliation import Reconciled
from nodes.qkd.report import QkdReport

FEWEST_KEY_BITS: Final = 256
"""A shorter key is refused: it could not fill an AES-256 key."""

ALARMING_QBER: Final = 0.05
"""From this error rate on the errors are to blame for a block without a key, and not that it is short."""

ENGINES: Final[dict[str, ModuleType]] = {"cascade": cascade, "ldpc": ldpc}


@dataclass(frozen=True, slots=True)
class Corrections:
    """How many bits of each class Bob has corrected. Sent when his key is final."""

    errors: tuple[int, ...]


class Distilled(NamedTuple):
    """The report of a block, and the key unless it was refused."""

    report: QkdReport
    key: Key | None


async def distil_as_alice(block: SiftedBlock, bob: AuthenticatedPeer, coin: Coin, account: Account) -> Key:
    """Distil a block with Bob. Raises ``KeyRefused`` when there is no key in it."""
    account.note_sifted(block)
    engine = ENGINES[account.agreement.reconciliation]
    async with bob.phase("reconciliation"):
        reconciled: Reconciled = await engine.answer(block.key, block.evidence.qber, bob, coin)
    errors = (await bob.receive(Corrections)).errors
    _check(errors, block)
    length = account.charge(block, reconciled, errors)
    await verification.verify_as_alice(reconciled.key, account.agreement.correctness, bob, coin)
    return Key(await amplification.amplify_as_alice(reconciled.key, length, bob, coin))


async def distil_as_bob(block: SiftedBlock, alice: AuthenticatedPeer, coin: Coin, account: Account) -> Key:
    """Distil a block with Alice. Raises ``KeyRefused`` when there is no key in it."""
    account.note_sifted(block)
    engine = ENGINES[account.agreement.reconciliation]
    async with alice.phase("reconciliation"):
        reconciled: Reconciled = await engine.correct(block.key, block.evidence.qber, alice, coin)
    wrong = block.classes[block.key != reconciled.key]
    errors = tuple(np.bincount(wrong, minlength=block.class_count).tolist())
    await alice.send(Corrections(errors))
    length = account.charge(block, reconciled, errors)
    await verification.verify_as_bob(reconciled.key, account.agreement.correctness, alice)
    return Key(await amplification.amplify_as_bob(reconciled.key, length, alice))


async def concluded(account: Account, peer: AuthenticatedPeer, steps: Coroutine[Any, Any, Key]) -> Distilled:
    """Take the steps to a key; that there is none is a result, and the report says why.

    Raises what made a party or its program fail, after telling the peer.
    """
    try:
        key = await steps
    except (KeyRefused, PeerWithdrew) as refusal:
        return Distilled(account.aborted(refusal), None)
    except Exception as failure:
        await peer.give_up(failure)
        if isinstance(failure, AuthenticationFailed):
            return Distilled(account.aborted(failure), None)
        raise
    return Distilled(account.concluded(len(key)), key)


class Account:
    """The figures of a block as they come in, and the decisions that both parties take alike from them."""

    def __init__(self, agreement: LinkAgreement, clock: Clock, pulses: int = 0) -> None:
        self.agreement = agreement
        self._clock = clock
        self._started = clock.now()
        self._report = QkdReport(
            pulses=pulses,
            protocol=agreement.protocol,
            reconciliation=agreement.reconciliation,
            secrecy=agreement.secrecy,
            correctness=agreement.correctness,
        )

    def note_sifted(self, block: SiftedBlock) -> None:
        """Note what has come through. Raise ``KeyRefused`` when it leaves no key, with the best of corrections."""
        evidence = block.evidence
        self._report = replace(
            self._report,
            pulses=block.pulses,
            sifted_bits=block.sifted,
            sampled_bits=evidence.checked,
            qber=evidence.qber,
            chsh=block.chsh,
        )
        evidence.refuse()
        size = int(block.key.size)
        expected = [round(evidence.qber * count) for count in _counts(block)]
        self._value(block, ceil(size * binary_entropy(min(evidence.qber, 0.5))), expected)

    def charge(self, block: SiftedBlock, reconciled: Reconciled, errors: tuple[int, ...]) -> int:
        """Return the length of the secret key. Raise ``KeyRefused`` when it is too short."""
        size, wrong = int(block.key.size), sum(errors)
        limit = size * binary_entropy(wrong / size)
        self._report = replace(
            self._report,
            key_errors=wrong,
            efficiency=reconciled.leaked / limit if limit else None,
            leaked_bits=reconciled.leaked + verification.tag_length(self.agreement.correctness),
        )
        return self._value(block, reconciled.leaked, list(errors))

    def concluded(self, secret_bits: int) -> QkdReport:
        """Return the report of a block that gave a key."""
        return replace(self._report, secret_bits=secret_bits, duration_s=self._clock.now() - self._started)

    def aborted(self, refusal: NodeError) -> QkdReport:
        """Return the report of a block that gave none, because of ``refusal``."""
        duration, alarm = self._clock.now() - self._started, isinstance(refusal, TooManyErrors)
        return replace(self._report, aborted=True, reason=str(refusal), alarm=alarm, duration_s=duration)

    def _value(self, block: SiftedBlock, leaked: int, errors: list[int]) -> int:
        worth = block.evidence.worth(leaked, errors)
        single = None if worth.single_photons is None else round(worth.single_photons)
        self._report = replace(self._report, qber_upper=worth.phase_error, single_photon_bits=single)
        if worth.length < FEWEST_KEY_BITS:
            refusal = TooManyErrors if block.evidence.qber >= ALARMING_QBER else KeyRefused
            photons = "" if single is None else f", of which {single} are known to come from single photons,"
            raise refusal(
                f"{block.key.size} bits{photons} with {block.evidence.qber:.2%} of the sample wrong, and perhaps "
                f"{worth.phase_error:.2%} of their secret part in the other basis, hold no {FEWEST_KEY_BITS} secret "
                "ones; send more pulses in a block, or look for the cause of the errors"
            )
        return worth.length


def _counts(block: SiftedBlock) -> list[int]:
    counts: list[int] = np.bincount(block.classes, minlength=block.class_count).tolist()
    return counts


def _check(errors: tuple[int, ...], block: SiftedBlock) -> None:
    if len(errors) != block.class_count or any(
        not 0 <= wrong <= count for wrong, count in zip(errors, _counts(block), strict=False)
    ):
        raise ProtocolViolation(
            f"the peer has corrected {errors} errors, which the block's classes do not have"
        )
