"""Pauli frames beside vectors of all qubits: what a frame says is what a measurement would show."""

from __future__ import annotations

from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from nodes.network.frames import Frame, after_purification, flips, success, twirl, twirled
from nodes.network.purify import diagonal_turns
from nodes.ports import Basis

Vector: TypeAlias = npt.NDArray[Any]

FRAMES: list[Frame] = [(0, 0), (0, 1), (1, 0), (1, 1)]
ID = np.eye(2, dtype=np.complex128)
X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
Z = np.diag([1, -1]).astype(np.complex128)
PHI_PLUS = np.array([1, 0, 0, 1], dtype=np.complex128) / np.sqrt(2)
KEPT_LEFT, KEPT_RIGHT, SPENT_LEFT, SPENT_RIGHT = range(4)


def pauli(frame: Frame) -> Vector:
    return (X if frame[0] else ID) @ (Z if frame[1] else ID)


def pair(frame: Frame, half: int = 1) -> Vector:
    """Return a pair in that frame, applied to one of its halves."""
    return on(PHI_PLUS, pauli(frame), half)


def rx(angle: float) -> Vector:
    turned: Vector = np.cos(angle / 2) * ID - 1j * np.sin(angle / 2) * X
    return turned


def on(state: Vector, gate: Vector, qubit: int) -> Vector:
    """Apply a gate to one qubit of a state."""
    qubits = state.size.bit_length() - 1
    tensor = np.moveaxis(state.reshape([2] * qubits), qubit, 0)
    return np.moveaxis(np.tensordot(gate, tensor, 1), 0, qubit).reshape(-1)


def cnot(state: Vector, source: int, target: int) -> Vector:
    """Apply a CNOT between two qubits of a state."""
    off, flipped = on(state, np.diag([1, 0]), source), on(on(state, np.diag([0, 1]), source), X, target)
    return off + flipped


def purify(protocol: str, kept: Vector, spent: Vector) -> Vector:
    """Do a purification up to the measurement, as both ends' programs do."""
    state = np.kron(kept, spent)
    for left, right in ((KEPT_LEFT, KEPT_RIGHT), (SPENT_LEFT, SPENT_RIGHT)):
        if protocol == "dejmps":
            state = on(on(state, rx(np.pi / 2), left), rx(-np.pi / 2), right)
        elif protocol == "epl":
            state = on(state, X, right)
    return cnot(cnot(state, KEPT_LEFT, SPENT_LEFT), KEPT_RIGHT, SPENT_RIGHT)


def measured(state: Vector, left: int, right: int) -> Vector:
    """Return the kept pair after these outcomes at the spent one; its norm squared is their probability."""
    return state.reshape(4, 2, 2)[:, left, right]


def overlap(one: Vector, other: Vector) -> float:
    return float(abs(np.vdot(one, other)))


@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps", "epl"])
@pytest.mark.parametrize("kept", FRAMES)
@pytest.mark.parametrize("spent", FRAMES)
def test_a_purification_of_perfect_pairs_leaves_one_in_the_frame_that_is_said(
    protocol: str, kept: Frame, spent: Frame
) -> None:
    frame, flipped = after_purification(protocol, kept, spent)
    state = purify(protocol, pair(kept), pair(spent))
    kept_with = 0.0
    for left, right in product((0, 1), repeat=2):
        after = measured(state, left, right)
        probability = float(np.vdot(after, after).real)
        if left == right ^ flipped:
            assert overlap(after, pair(frame)) == pytest.approx(np.sqrt(0.5))
        else:
            assert probability == pytest.approx(0)
        if success(protocol, right ^ flipped, left):
            kept_with += probability
    assert kept_with == pytest.approx(0.5 if protocol == "epl" else 1)


@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps"])
@pytest.mark.parametrize("error", FRAMES[1:])
@pytest.mark.parametrize("kept", FRAMES)
@pytest.mark.parametrize("spent", FRAMES)
def test_an_error_is_found_out_whatever_the_frames_are(
    protocol: str, error: Frame, kept: Frame, spent: Frame
) -> None:
    wrong = kept[0] ^ error[0], kept[1] ^ error[1]
    _, flipped = after_purification(protocol, kept, spent)
    state = purify(protocol, pair(wrong), pair(spent))
    kept_with = sum(
        np.linalg.norm(measured(state, left, right)) ** 2
        for left, right in product((0, 1), repeat=2)
        if success(protocol, right ^ flipped, left)
    )
    passes = error == ((0, 1) if protocol == "bbpssw" else (1, 1))  # Z has no parity, and dejmps turns Y to Z
    assert kept_with == pytest.approx(1 if passes else 0)


@pytest.mark.parametrize(("kept_is_dark", "spent_is_dark"), [(True, False), (False, True), (True, True)])
def test_epl_keeps_no_pair_that_one_click_heralded_wrongly(kept_is_dark: bool, spent_is_dark: bool) -> None:
    dark = np.array([0, 0, 1, 0], dtype=np.complex128)
    pairs = [dark if is_dark else PHI_PLUS for is_dark in (kept_is_dark, spent_is_dark)]
    _, flipped = after_purification("epl", (0, 0), (0, 0))
    state = purify("epl", *pairs)
    for left, right in product((0, 1), repeat=2):
        if success("epl", right ^ flipped, left):
            assert np.linalg.norm(measured(state, left, right)) == pytest.approx(0)


@pytest.mark.parametrize(("one", "other"), FRAMES)
def test_success_is_two_equal_outcomes_and_for_epl_two_ones(one: int, other: int) -> None:
    assert success("bbpssw", one, other) is success("dejmps", one, other) is (one == other)
    assert success("epl", one, other) is (one == other == 1)


@pytest.mark.parametrize("basis", ["X", "Y", "Z"])
@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_flips_the_outcome_of_a_measurement_as_it_says(basis: Basis, frame: Frame) -> None:
    observable = {"X": X, "Y": 1j * X @ Z, "Z": Z}[basis]
    _, vectors = np.linalg.eigh(observable)  # outcome 1, then outcome 0
    before = vectors[:, 1]
    after = pauli(frame) @ before
    assert np.vdot(after, observable @ after).real == pytest.approx((-1) ** flips(basis, *frame))


@pytest.mark.parametrize("frame", FRAMES)
def test_it_does_not_matter_to_which_half_a_frame_is_applied(frame: Frame) -> None:
    assert overlap(pair(frame, 0), pair(frame, 1)) == pytest.approx(1)


@pytest.mark.parametrize("left", FRAMES)
@pytest.mark.parametrize("right", FRAMES)
@pytest.mark.parametrize("outcome", FRAMES)
def test_the_frame_of_a_swapped_pair_is_the_sum_of_its_pairs_and_the_outcome(
    left: Frame, right: Frame, outcome: Frame
) -> None:
    state = np.kron(pair(left), pair(right)).reshape(2, 4, 2)
    after = np.tensordot(pair(outcome).conj(), state, (0, 1)).reshape(-1)
    total = left[0] ^ right[0] ^ outcome[0], left[1] ^ right[1] ^ outcome[1]
    assert overlap(after, pair(total)) == pytest.approx(0.5)


def test_frames_of_a_batch_are_summed_pair_by_pair() -> None:
    one, other = (0b1010, 0b1100), (0b0110, 0b0011)
    (x, z), flipped = after_purification("dejmps", one, other)
    for bit in range(4):
        alone, flip = after_purification("dejmps", *[(a >> bit & 1, b >> bit & 1) for a, b in (one, other)])
        assert (x >> bit & 1, z >> bit & 1, flipped >> bit & 1) == (*alone, flip)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("turns", range(5))
def test_turns_at_both_ends_take_a_pair_to_the_one_of_the_twirled_frame(frame: Frame, turns: int) -> None:
    turned = on(pair(frame), diagonal_turns(turns, left=True), 0)
    turned = on(turned, diagonal_turns(turns, left=False), 1)
    assert overlap(turned, pair(twirled(frame, turns))) == pytest.approx(1)


def test_over_all_turns_each_wrong_frame_comes_as_often_as_the_others() -> None:
    wrong = FRAMES[1:]
    for frame in wrong:
        assert sorted(twirled(frame, turns) for turns in range(3)) == wrong
    assert [twirled((0, 0), turns) for turns in range(3)] == [(0, 0)] * 3


def test_pairs_are_turned_as_often_as_their_left_ends_id_says_each_way_a_third_of_the_time() -> None:
    drawn = [twirl(f"alice-r1/{number}", rounds) for number in range(3000) for rounds in range(2)]
    assert drawn == [twirl(f"alice-r1/{number}", rounds) for number in range(3000) for rounds in range(2)]
    counts = np.bincount(drawn, minlength=3)
    assert abs(counts - 2000).max() < 5 * np.sqrt(6000 * 2 / 9)
