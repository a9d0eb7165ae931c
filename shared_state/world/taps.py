"""Eavesdroppers on a fibre: intercept and resend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shared_state.config import FibreConfig
from shared_state.engine import batch
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.joint_state import JointState
from shared_state.world.pulses import PulseTrain


def split(fibre: FibreConfig, position: float) -> tuple[FibreConfig, FibreConfig]:
    """Cut a fibre ``position`` metres from its start into the stretches before and after the tap.

    The insertion loss stands for the connectors at both ends, so each stretch gets half of it; one after the
    other they lose and delay what the whole fibre does. Raises ValueError for a position off the fibre.
    """
    if not 0 <= position <= fibre.length:
        raise ValueError(f"a tap at {position} m is not on a fibre of {fibre.length} m.")
    half = replace(fibre, insertion_loss_db=fibre.insertion_loss_db / 2)
    return replace(half, length=position), replace(half, length=fibre.length - position)


def intercept_resend(train: PulseTrain, fraction: float, rng: np.random.Generator) -> PulseTrain:
    """Measure each photon with probability ``fraction`` in Z or X at random and send on what was found.

    The sifted key's error rate becomes fraction / 4. Pulses that lost their photon stay empty.
    """
    count = len(train)
    intercepted = train.present & (rng.random(count) < fraction)
    bases = rng.integers(0, 2, count, dtype=np.uint8)
    bits = batch.measure(train.bloch, bases, rng.random(count))
    bloch = np.where(intercepted[:, None], batch.collapse(bits, bases), train.bloch)
    return replace(train, bloch=bloch)


def intercept_qubit(
    state: JointState, qubit: int, fraction: float, rng: np.random.Generator
) -> tuple[Basis, int] | None:
    """Do the same to a single qubit in flight; return the eavesdropper's basis and outcome, None if let pass.

    The eigenstate that is sent on takes the qubit's place under the same name, no longer entangled.
    """
    if not rng.random() < fraction:
        return None
    basis: Basis = "X" if rng.integers(2) else "Z"
    bit = state.measure(qubit, basis, rng.random())
    psi = eigenstate(basis, bit)
    state.add(np.outer(psi, psi.conj()), [qubit])
    return basis, bit
