"""Quantum key distribution from the first photon to the secret key, for each party.

::

    bb84  ->  estimation  ->  cascade  ->  verification  ->  amplification  ->  Key
     sifted     error rate     equal keys    certainly equal    secret

Nothing is sent that is not authenticated: the peer is an ``AuthenticatedPeer``. Whether there is a key both
parties decide alike from what both know, so neither needs to be told; who fails alone (a forged message, a
deadline) withdraws and so tells the other why. Only the loss of the very last message leaves a key at one end;
it is Bob's, and Alice knows that it may be.

The failure probability of a run is shared equally: the keys may differ, the estimate may be wrong, and the
hashed key may not be uniform. A wrong estimate of probability P costs 2 sqrt(P) of secrecy (M. Tomamichel and
A. Leverrier, Quantum 1 (2017) 14), hence its share is halved and squared.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple

from nodes.errors import AuthenticationFailed, KeyRefused, ProgramInvalid
from nodes.ports import Clock, Coin, QuantumLink
from nodes.qkd import amplification, bb84, cascade, estimation, verification
from nodes.qkd.authentication import AuthenticatedPeer, PeerWithdrew
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.key import Key
from nodes.qkd.report import QkdReport

FEWEST_KEY_BITS = 256
"""A shorter key is refused: it could not fill an AES-256 key."""

MOST_PULSES = 4_000_000
"""With more, the seed of ``amplification`` could exceed a message's mebibyte: 2 bits a pulse if all are sifted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What both parties agree on beforehand.

    ``sample_fraction`` of the sifted bits are revealed; ``failure`` bounds the probability that the key is
    not secret or not the same at both ends.
    """

    pulses: int = 100_000
    sample_fraction: float = 0.2
    failure: float = 1e-10

    def __post_init__(self) -> None:
        if not 1 <= self.pulses <= MOST_PULSES:
            raise ProgramInvalid(
                f"a block of {self.pulses} pulses cannot be distilled; choose 1 to {MOST_PULSES}"
            )
        if not 0.0 < self.sample_fraction < 1.0:
            raise ProgramInvalid(f"a sample of {self.sample_fraction} of the bits is not between 0 and 1")
        if not 0.0 < self.failure < 1.0:
            raise ProgramInvalid(f"a failure probability of {self.failure} is not between 0 and 1")

    @property
    def share(self) -> float:
        """The failure probability of each of verification, estimation and amplification."""
        return self.failure / 3


DEFAULT_SETTINGS = Settings()


class Distilled(NamedTuple):
    """The report of a run, and the key unless it was aborted."""

    report: QkdReport
    key: Key | None


async def distil_as_alice(
    bob: AuthenticatedPeer, link: QuantumLink, coin: Coin, clock: Clock, settings: Settings = DEFAULT_SETTINGS
) -> Distilled:
    """Send photons to Bob and distil a key with him.

    A refused key and a tampered channel are results: the report is ``aborted`` and says why. Raises
    ``PeerGone``, ``DeadlinePassed`` and ``ProtocolViolation`` when the peer or its program failed.
    """
    run = _Run(settings, clock)
    return await _concluded(run, bob, _alice(run, bob, link, coin))


async def distil_as_bob(
    alice: AuthenticatedPeer,
    link: QuantumLink,
    coin: Coin,
    clock: Clock,
    settings: Settings = DEFAULT_SETTINGS,
) -> Distilled:
    """Measure Alice's photons and distil a key with her; results and errors as in ``distil_as_alice``."""
    run = _Run(settings, clock)
    return await _concluded(run, alice, _bob(run, alice, link, coin))


async def _alice(run: _Run, bob: AuthenticatedPeer, link: QuantumLink, coin: Coin) -> Key:
    settings = run.settings
    sifted = await bb84.transmit(settings.pulses, link, bob, coin)
    run.note_sifted(sifted.size)
    estimate = await estimation.sample_as_alice(
        sifted, settings.sample_fraction, (settings.share / 2) ** 2, bob, coin
    )
    run.judge(estimate)
    key, parities = await cascade.answer(estimate.key, bob)
    length = run.charge(estimate, parities)
    await verification.verify_as_alice(key, settings.share, bob, coin)
    return Key(await amplification.amplify_as_alice(key, length, bob, coin))


async def _bob(run: _Run, alice: AuthenticatedPeer, link: QuantumLink, coin: Coin) -> Key:
    settings = run.settings
    sifted = await bb84.receive(settings.pulses, link, alice, coin)
    run.note_sifted(sifted.size)
    estimate = await estimation.sample_as_bob(
        sifted, settings.sample_fraction, (settings.share / 2) ** 2, alice
    )
    run.judge(estimate)
    key, parities = await cascade.correct(estimate.key, estimate.qber, alice, coin)
    run.note_corrected(int((key != estimate.key).sum()), key.size, parities)
    length = run.charge(estimate, parities)
    await verification.verify_as_bob(key, settings.share, alice)
    return Key(await amplification.amplify_as_bob(key, length, alice))


async def _concluded(run: _Run, peer: AuthenticatedPeer, steps: Coroutine[Any, Any, Key]) -> Distilled:
    try:
        key = await steps
    except (KeyRefused, PeerWithdrew) as refusal:
        return Distilled(run.aborted(refusal.reason), None)
    except Exception as failure:
        await peer.give_up(failure)
        if isinstance(failure, AuthenticationFailed):
            return Distilled(run.aborted(str(failure)), None)
        raise
    return Distilled(run.concluded(len(key)), key)


class _Run:
    """The figures of a run as they come in, and the decisions that both parties take alike from them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._started = clock.now()
        self._report = QkdReport(pulses=settings.pulses)

    def note_sifted(self, bits: int) -> None:
        self._report = replace(self._report, sifted_bits=bits)

    def judge(self, estimate: estimation.Estimate) -> None:
        """Raise ``KeyRefused`` when the error rate, with the best of corrections, leaves no key."""
        self._report = replace(
            self._report,
            sampled_bits=estimate.sampled,
            qber=estimate.qber,
            qber_upper=estimate.qber_upper,
        )
        estimation.refuse_hopeless(estimate)
        self._secret_length(estimate, ceil(estimate.key.size * binary_entropy(estimate.qber)))

    def note_corrected(self, errors: int, size: int, parities: int) -> None:
        """Note how much the correction of ``errors`` among ``size`` bits took; only who corrected knows."""
        limit = size * binary_entropy(errors / size)
        self._report = replace(self._report, efficiency=parities / limit if limit else None)

    def charge(self, estimate: estimation.Estimate, parities: int) -> int:
        """Return the length of the secret key. Raise ``KeyRefused`` when it is too short."""
        size = estimate.key.size
        leaked = cascade.leakage(parities, size) + verification.tag_length(self.settings.share)
        self._report = replace(self._report, leaked_bits=leaked)
        return self._secret_length(estimate, leaked)

    def concluded(self, secret_bits: int) -> QkdReport:
        """Return the report of a run that gave a key."""
        return replace(self._report, secret_bits=secret_bits, duration_s=self._clock.now() - self._started)

    def aborted(self, reason: str) -> QkdReport:
        """Return the report of a run that gave none."""
        duration = self._clock.now() - self._started
        return replace(self._report, aborted=True, reason=reason, duration_s=duration)

    def _secret_length(self, estimate: estimation.Estimate, leaked: int) -> int:
        size = estimate.key.size
        length = amplification.secret_length(size, estimate.qber_upper, leaked, self.settings.share)
        if length < FEWEST_KEY_BITS:
            raise KeyRefused(
                f"{size} bits, of which {estimate.qber:.2%} in the sample and perhaps "
                f"{estimate.qber_upper:.2%} in all are wrong, hold no {FEWEST_KEY_BITS} secret ones; "
                "send more pulses, or look for the cause of the errors"
            )
        return length
