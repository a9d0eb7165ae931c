"""Large clusters: what is done block by block, by numpy or compiled, is what one large matrix product gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates, kernels
from shared_state.engine.aging import relaxation
from shared_state.engine.bases import BELL_EFFECTS, EFFECTS, TRACE
from shared_state.engine.blocks import product
from shared_state.engine.slices import finish

Matrix = NDArray[np.complex128]
N = 9
POSITIONS = [(0, 1), (1, 0), (0, 8), (8, 7), (6, 8), (3, 5), (7, 2)]


@pytest.fixture(params=["numpy", "compiled"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "compiled", lambda: None)
    else:
        assert kernels.compiled() is not None
    return str(request.param)


@cache
def state() -> Matrix:
    """Return a random mixed state of N qubits."""
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(2**N, 3)) + 1j * rng.normal(size=(2**N, 3))
    rho = vectors @ vectors.conj().T
    normalised: Matrix = rho / rho.trace()
    return normalised


def random_unitary(qubits: int) -> Matrix:
    rng = np.random.default_rng(qubits)
    size = 2**qubits
    unitary, _ = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return unitary.astype(np.complex128)


def from_left(operator: Matrix, at: tuple[int, ...], rho: Matrix) -> Matrix:
    """Return (operator (x) I) rho."""
    k = len(at)
    tensor = operator.reshape((2,) * (2 * k))
    product = np.tensordot(tensor, rho.reshape(*(2,) * N, -1), axes=(range(k, 2 * k), at))
    return np.moveaxis(product, range(k), at).reshape(2**N, 2**N)


def from_both_sides(operator: Matrix, at: tuple[int, ...]) -> Matrix:
    """Return K rho K^+ for K = operator (x) I."""
    half = from_left(operator, at, state())
    return from_left(operator, at, half.conj().T).conj().T


def traced_out(rho: Matrix, at: tuple[int, ...]) -> Matrix:
    """Return the state of the other qubits, in their order."""
    others = [i for i in range(N) if i not in at]
    order = [*at, *others]
    moved = rho.reshape((2,) * (2 * N)).transpose([*order, *(N + i for i in order)])
    size = 2 ** len(others)
    rest: Matrix = moved.reshape(2 ** len(at), size, 2 ** len(at), size).trace(axis1=0, axis2=2)
    return rest


GATES: dict[str, Matrix] = {
    "cnot": gates.CNOT,
    "cz": gates.CZ,
    "swap": gates.SWAP,
    "turned cnot": np.kron(gates.rz(0.7), gates.Y) @ gates.CNOT,
    "general": random_unitary(2),
}


@pytest.mark.parametrize("at", POSITIONS)
@pytest.mark.parametrize("name", GATES)
def test_a_two_qubit_gate_acts_on_its_qubits_wherever_they_lie(name: str, at: tuple[int, ...]) -> None:
    expected = from_both_sides(GATES[name], at)
    np.testing.assert_allclose(finish(kernels.sandwich(state(), N, at, GATES[name])), expected, atol=1e-12)


@pytest.mark.parametrize("at", [0, 4, 7, 8])
@pytest.mark.parametrize("gate", [gates.X, gates.Y, gates.S, gates.rz(0.3), gates.H, random_unitary(1)])
def test_a_one_qubit_gate_acts_on_its_qubit_wherever_it_lies(gate: Matrix, at: int) -> None:
    expected = from_both_sides(gate, (at,))
    np.testing.assert_allclose(finish(kernels.sandwich(state(), N, (at,), gate)), expected, atol=1e-12)


@pytest.mark.parametrize("at", [(8, 0, 4), (2, 3, 1, 8), (7, 1, 5, 0, 3), tuple(range(8, -1, -1))])
def test_a_unitary_on_many_qubits_acts_from_both_sides(at: tuple[int, ...]) -> None:
    unitary = random_unitary(len(at))
    expected = from_both_sides(unitary, at)
    np.testing.assert_allclose(finish(kernels.sandwich(state(), N, at, unitary)), expected, atol=1e-12)


def test_a_permutation_of_three_qubits_is_one_too() -> None:
    toffoli = np.eye(8, dtype=np.complex128)[[0, 1, 2, 3, 4, 5, 7, 6]]
    expected = from_both_sides(toffoli, (8, 2, 5))
    np.testing.assert_allclose(finish(kernels.sandwich(state(), N, (8, 2, 5), toffoli)), expected, atol=1e-12)


@pytest.mark.parametrize("at", [(0,), (4,), (7,), (8,), *POSITIONS])
def test_noise_acts_on_its_qubits_wherever_they_lie(at: tuple[int, ...]) -> None:
    size = 2 ** len(at)
    isometry = random_unitary(len(at) + 1)[:, :size]
    operators = [isometry[:size], isometry[size:]]
    expected = sum(from_both_sides(k, at) for k in operators)
    noisy = finish(kernels.transform(state(), N, at, channels.from_kraus(operators)))
    np.testing.assert_allclose(noisy, expected, atol=1e-12)


@pytest.mark.parametrize("at", [(8,), (3, 0), (1, 8, 4), tuple(range(9))])
def test_depolarising_replaces_exactly_its_qubits(at: tuple[int, ...]) -> None:
    order = [*at, *(i for i in range(N) if i not in at)]
    inverse = np.argsort(order)
    mixed = np.kron(np.eye(2 ** len(at)) / 2 ** len(at), traced_out(state(), at)).reshape((2,) * (2 * N))
    expected = 0.7 * state() + 0.3 * mixed.transpose([*inverse, *(N + inverse)]).reshape(2**N, 2**N)
    np.testing.assert_allclose(finish(kernels.depolarised(state(), N, at, 0.3)), expected, atol=1e-12)


@pytest.mark.parametrize("at", [(0,), (5,), (8,)])
@pytest.mark.parametrize("basis", ["X", "Y", "Z"])
def test_a_measurement_leaves_the_projected_others(basis: str, at: tuple[int, ...]) -> None:
    check_projection(EFFECTS[basis], at)


@pytest.mark.parametrize("at", POSITIONS)
def test_a_bell_measurement_leaves_the_projected_others(at: tuple[int, ...]) -> None:
    check_projection(BELL_EFFECTS, at)


def check_projection(effects: Matrix, at: tuple[int, ...]) -> None:
    size = 2 ** len(at)
    for chosen, effect in enumerate(effects):
        projector = effect.reshape(size, size).T  # <b| rho |b> = tr(|b><b| rho)
        left = traced_out(from_left(projector, at, state()), at)
        weights: list[float] = []

        def choose(given: list[float], chosen: int = chosen, weights: list[float] = weights) -> int:
            weights[:] = given
            return chosen

        outcome, rest = finish(kernels.project(state(), N, at, effects, choose))
        assert outcome == chosen
        assert weights[chosen] == pytest.approx(left.trace().real, abs=1e-12)
        assert sum(weights) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(rest, left / left.trace(), atol=1e-12)


def test_looking_away_is_the_partial_trace() -> None:
    for at in ((0,), (4,), (8,)):
        np.testing.assert_allclose(
            finish(kernels.contract(state(), N, at, TRACE[0])), traced_out(state(), at), atol=1e-12
        )


@pytest.mark.parametrize(
    "keep", [(), (8,), (3, 0), (8, 1, 4, 2, 6, 5, 7), tuple(range(9)), (8, 0, 7, 1, 6, 2, 5, 3, 4)]
)
def test_a_reduced_state_has_its_qubits_in_the_order_asked(keep: tuple[int, ...]) -> None:
    rho = traced_out(state(), tuple(i for i in range(N) if i not in keep))
    ranks = [sorted(keep).index(i) for i in keep]
    k = len(keep)
    moved = rho.reshape((2,) * (2 * k)).transpose([*ranks, *(k + i for i in ranks)])
    np.testing.assert_allclose(
        finish(kernels.partial_trace(state(), N, keep)), moved.reshape(2**k, 2**k), atol=1e-12
    )


@pytest.mark.parametrize("sizes", [(1, 8), (8, 1), (4, 5), (2, 2)])
def test_joining_two_clusters_is_their_tensor_product(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(2**k, 2**k)) + 1j * rng.normal(size=(2**k, 2**k)) for k in sizes)
    np.testing.assert_allclose(finish(kernels.tensor(left, right)), np.kron(left, right), rtol=1e-15)


def test_nothing_is_written_to_the_state_an_operation_starts_from() -> None:
    before = state().copy()
    channel = relaxation(1.0, 0.5, 0.3)
    assert channel is not None
    for result in (
        finish(kernels.sandwich(state(), N, (3,), gates.Z)),
        finish(kernels.transform(state(), N, (3,), channel)),
        finish(kernels.partial_trace(state(), N, tuple(range(N)))),
    ):
        assert not np.shares_memory(result, state())
    np.testing.assert_array_equal(state(), before)


@pytest.mark.parametrize("rows", [1, 2, 4, 16, 32, 64])
@pytest.mark.parametrize("count", [1, 64, 4096])
def test_a_product_in_pieces_is_the_product(rows: int, count: int) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(rows, 16)) + 1j * rng.normal(size=(rows, 16))
    columns = rng.normal(size=(16, count)) + 1j * rng.normal(size=(16, count))
    np.testing.assert_allclose(product(matrix, columns), np.einsum("ij,jk->ik", matrix, columns), atol=1e-12)


def test_small_clusters_do_without_the_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("numba takes a second to import")

    monkeypatch.setattr(kernels, "compiled", refuse)
    for n in range(2, kernels.COMPILED_FROM):
        rho = np.eye(2**n, dtype=np.complex128) / 2**n
        finish(kernels.sandwich(rho, n, (0, n - 1), random_unitary(2)))
        finish(kernels.sandwich(rho, n, (0, n - 1), gates.CNOT))
        finish(kernels.transform(rho, n, (0,), channels.depolarising(0.1)))


def test_the_compiled_kernels_do_the_work_where_they_are(
    implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str, original: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object) -> None:
            calls.append(name)
            original(*given)

        return call

    compiled = kernels.compiled()
    for name in ("permute", "sandwich", "transform") if compiled is not None else ():
        monkeypatch.setattr(compiled, name, counted(name, getattr(compiled, name)))
    for unitary, at in ((gates.CNOT, (0, 1)), (random_unitary(2), (0, 1)), (gates.H, (0,))):
        finish(kernels.sandwich(state(), N, at, unitary))
    assert set(calls) == ({"permute", "sandwich", "transform"} if implementation == "compiled" else set())
