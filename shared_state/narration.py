"""How the record tells of what has been done: which event an operation is, and what is said of it.

Qubits are told by the number that they have at their node: the how many-eth it was given. Their ids depend on how many
nodes the lab has (``shared_state.ledger``), and what happens to a node must not look different when another one joins.
Of many pulses or pairs a digest is told (``record.digest``): equal digests, equal arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from shared_state.errors import PartnerLost, QubitExpired, SharedStateError
from shared_state.record import Details, Event, digest
from shared_state.session import ANY_RUN
from shared_state.world.ends import (
    Arrived,
    Delivered,
    DeliveredPairs,
    Detected,
    DetectedTrain,
    MeasuredPairs,
)

Told = Delivered | DeliveredPairs | MeasuredPairs | Arrived | Detected | DetectedTrain
Values = Mapping[str, Any]
Number = Callable[[int], int]
"""From the id of a qubit, or of a batch, to its number at its node."""


def _qubit(values: Values, number: Number) -> Details:
    return {"qubit": number(values["qubit"])}


def _gate(values: Values, number: Number) -> Details:
    qubits = [number(qubit) for qubit in values["qubits"]]
    return {"gate": values["name"], "qubits": qubits, "angles": [float(angle) for angle in values["angles"]]}


def _unitary(values: Values, number: Number) -> Details:
    return {"qubits": [number(qubit) for qubit in values["qubits"]], "digest": digest(values["matrix"])}


def _handed_over(values: Values, number: Number) -> Details:
    return {"qubits": [number(qubit) for qubit in values["qubits"]]}


def _transmitted(values: Values, number: Number) -> Details:
    return {"link": values["link"], "qubit": number(values["qubit"])}


def _emitted(values: Values, number: Number) -> Details:
    intensities = values["intensities"]
    settings = [values["bits"], values["bases"], *([] if intensities is None else [intensities])]
    return {"link": values["link"], "pulses": len(values["bits"]), "digest": digest(*settings)}


def _train(values: Values, number: Number) -> Details:
    return {"link": values["link"], "pulses": values["count"]}


def _recalled(values: Values, number: Number) -> Details:
    return {"pulses": len(values["indices"]), "digest": digest(values["indices"])}


def _batch(values: Values, number: Number) -> Details:
    return {"batch": number(values["batch"])}


def _corrected(values: Values, number: Number) -> Details:
    return {"batch": number(values["batch"]), "digest": digest(values["x"], values["z"])}


def _tap(values: Values, number: Number) -> Details:
    return {"tap": values["name"], "enabled": values["enabled"]}


def _intervention(values: Values, number: Number) -> Details:
    return {"what": values["what"], "arguments": values["arguments"]}


_DONE: Final[Mapping[str, tuple[str, Callable[[Values, Number], Details]]]] = {
    "gate": ("gate.applied", _gate),
    "unitary": ("unitary.applied", _unitary),
    "discard": ("qubit.discarded", _qubit),
    "store": ("qubit.stored", _qubit),
    "retrieve": ("qubit.retrieved", _qubit),
    "hand_over": ("qubit.handed_over", _handed_over),
    "transmit": ("qubit.transmitted", _transmitted),
    "emit_pulses": ("pulses.emitted", _emitted),
    "emit_train": ("train.emitted", _train),
    "recall": ("train.recalled", _recalled),
    "correct_pairs": ("pairs.corrected", _corrected),
    "discard_pairs": ("pairs.discarded", _batch),
    "set_tap": ("tap.set", _tap),
    "intervene": ("lab.intervened", _intervention),
}
"""What is told of an operation when it is done, whatever came of it."""

_LOST: Final = {QubitExpired: "qubit.expired", PartnerLost: "partner.lost"}
RECORDED: Final = frozenset(
    [*_DONE, "qubit", "measure", "bell_measure", "swap_pairs", "measure_pairs", "pair", "pairs", "receive",
     "measure_pulses", "measure_train", "measure_directly", "set_link", "change_link",
     "attach_tap", "detach_tap"]
)  # fmt: skip
"""The operations whose refusals are told, too."""


def of_operation(word: str, values: Values, session: str, number: Number) -> Event | None:
    """Return what is told of an operation that was done; None where nothing is, or its outcome matters."""
    if word == "note":
        return Event(session, values["event"], values["details"])
    done = _DONE.get(word)
    return None if done is None else Event(session, done[0], done[1](values, number))


def of_refusal(word: str, error: SharedStateError, session: str) -> Event:
    """Return what is told of an operation that was refused."""
    return Event(
        session, _LOST.get(type(error), "operation.refused"), {"operation": word, "code": error.code}
    )


def of_outcome(values: Values, session: str, number: Number) -> tuple[Event, Callable[[Any], Details]]:
    """Return what is told of a measurement, and how its outcome completes the details."""
    if "first" in values:
        qubits = [number(values["first"]), number(values["second"])]
        return Event(session, "bell.measured", {"qubits": qubits}), lambda bits: {"x": bits[0], "z": bits[1]}
    details = {"qubit": number(values["qubit"]), "basis": values["basis"]}
    return Event(session, "qubit.measured", details), lambda outcome: {"outcome": outcome}


def of_link(name: str, up: bool) -> Event:
    """Return what is told of a link that is cut or mended."""
    return Event(ANY_RUN, "link.set", {"link": name, "up": up})


def of_swap(values: Values, session: str, number: Number, x: Any, z: Any) -> Event:
    """Return what is told of pairs that were swapped."""
    batches = [number(values["batch"]), number(values["other_batch"])]
    return Event(session, "pairs.swapped", {"batches": batches, "count": len(x), "digest": digest(x, z)})


def of_pair_outcomes(values: Values, session: str, number: Number, outcomes: Any) -> Event:
    """Return what is told of halves of pairs that were measured."""
    bits = np.asarray(outcomes)
    details = {"batch": number(values["batch"]), "count": len(bits), "ones": int(bits.sum())}
    return Event(session, "pairs.measured", {**details, "digest": digest(values["bases"], bits)})


def of_delivery(told: Told, session: str, link: str, number: Number) -> Event:
    """Return what is told of what a link has brought to one of its ends."""
    event = partial(Event, session)
    match told:
        case Delivered():
            return event("pair.heralded", {"pair": told.pair, "qubit": number(told.qubit)})
        case DeliveredPairs():
            first = {"link": link, "first": told.first, "count": len(told.times)}
            return event(
                "pairs.heralded", {**first, "batch": number(told.batch), "digest": digest(told.times)}
            )
        case MeasuredPairs():
            count = {"link": link, "count": len(told.bits)}
            digest_of_all = digest(told.bases, told.bits, told.times)
            return event("pairs.measured_directly", {**count, "digest": digest_of_all})
        case Arrived():
            if told.qubit is None:
                return event("qubit.lost", {"link": link})
            return event("qubit.arrived", {"link": link, "qubit": number(told.qubit)})
        case Detected():
            count = {"link": link, "pulses": len(told.clicked), "clicks": int(np.sum(told.clicked))}
            return event("pulses.detected", {**count, "digest": digest(told.clicked, told.bits)})
        case DetectedTrain():
            count = {"link": link, "pulses": told.pulses, "clicks": len(told.indices)}
            return event("train.detected", {**count, "digest": digest(told.indices, told.bases, told.bits)})
