"""T1/T2 aging against the closed forms of a Bell pair stored on two sides."""

from __future__ import annotations

from itertools import product
from math import exp, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_state.engine import channels
from shared_state.engine.aging import gaussian_dephasing, relaxation
from shared_state.engine.errors import InvalidOperator
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Side = tuple[float, float]
SIDES: list[Side] = [
    (inf, inf),
    (inf, 1.0),
    (10.0, 1.0),
    (1.0, 2.0),
    (0.3, 0.5),
    (2.68e-3, 1e-3),
    (3600.0, 1.46),
]
TIMES = [0.0, 1e-4, 0.01, 0.1, 0.5, 1.0, 7.0]


def aged_fidelity(x: int, z: int, sides: tuple[Side, Side], time: float) -> float:
    psi = bell_state(x, z)
    state = JointState()
    state.add(np.outer(psi, psi.conj()), [0, 1])
    for qubit, (t1, t2) in enumerate(sides):
        channel = relaxation(t1, t2, time)
        if channel is not None:
            state.apply_channel(channel, [qubit])
    return fidelity(state.reduced([0, 1]), psi)


@pytest.mark.parametrize("sides", list(product(SIDES, SIDES)))
@pytest.mark.parametrize("z", [0, 1])
def test_a_stored_bell_pair_has_the_closed_form_fidelity(sides: tuple[Side, Side], z: int) -> None:
    (t1_a, t2_a), (t1_b, t2_b) = sides
    for t in TIMES:
        a, b = 1 - exp(-t / t1_a), 1 - exp(-t / t1_b)
        coherence = exp(-t / t2_a - t / t2_b) / 2
        phi = (1 + a * b + (1 - a) * (1 - b)) / 4 + coherence
        psi = ((1 - a) + (1 - b)) / 4 + coherence
        assert aged_fidelity(0, z, sides, t) == pytest.approx(phi, abs=1e-12)
        assert aged_fidelity(1, z, sides, t) == pytest.approx(psi, abs=1e-12)


@pytest.mark.parametrize(
    ("sides", "time", "phi_plus"),
    [
        (((10, 1), (10, 1)), 0.01, 0.989600),
        (((10, 1), (10, 1)), 0.1, 0.904440),
        (((10, 1), (10, 1)), 0.5, 0.660744),
        (((10, 1), (10, 1)), 1.0, 0.524614),
        (((inf, 1), (inf, 1)), 0.1, 0.909365),
        (((inf, 1), (inf, 1)), 0.5, 0.683940),
        (((inf, 1), (inf, 1)), 1.0, 0.567668),
        (((3600, 1.46), (36000, 1)), 0.5, 0.715285),
        (((2.68e-3, 1e-3), (10, 3.5e-3)), 1e-3, 0.560360),
    ],
)
def test_platform_values_agree_to_six_digits(sides: tuple[Side, Side], time: float, phi_plus: float) -> None:
    assert aged_fidelity(0, 0, sides, time) == pytest.approx(phi_plus, abs=6e-7)


def test_psi_ages_differently_from_phi() -> None:
    assert aged_fidelity(1, 0, ((2.68e-3, 1e-3), (10, 3.5e-3)), 1e-3) == pytest.approx(0.560345, abs=6e-7)


TIME = st.floats(1e-6, 1e3)


@settings(deadline=None)
@given(t1=TIME, share=st.floats(0.01, 1), t=st.floats(0, 1e3), s=st.floats(0, 1e3))
def test_aging_in_two_steps_is_aging_at_once(t1: float, share: float, t: float, s: float) -> None:
    def aging(duration: float) -> channels.Channel:
        channel = relaxation(t1, 2 * t1 * share, duration)
        return np.eye(4, dtype=np.complex128) if channel is None else channel

    np.testing.assert_allclose(aging(t) @ aging(s), aging(t + s), atol=1e-12)


@settings(deadline=None)
@given(t1=TIME, share=st.floats(0.01, 1), lifetimes=st.floats(1e-9, 10))
def test_aging_is_amplitude_damping_and_then_dephasing(t1: float, share: float, lifetimes: float) -> None:
    t2, t = 2 * t1 * share, t1 * lifetimes
    damping = channels.amplitude_damping(1 - exp(-t / t1))
    dephasing = channels.dephasing((1 - exp(-t / t2 + t / (2 * t1))) / 2)
    channel = relaxation(t1, t2, t)
    assert channel is not None
    np.testing.assert_allclose(channel, dephasing @ damping, atol=1e-12)


def test_nothing_happens_in_no_time_or_in_an_ideal_memory() -> None:
    assert relaxation(1.0, 1.0, 0.0) is None
    assert relaxation(inf, inf, 1e9) is None


def test_a_very_short_time_is_not_lost_to_rounding() -> None:
    channel = relaxation(1.0, 1.0, 1e-17)
    assert channel is not None
    assert channel[0, 3] == pytest.approx(1e-17, rel=1e-9)


@pytest.mark.parametrize(
    ("t1", "t2", "duration", "sentence"),
    [
        (1.0, 2.1, 1.0, "T2 <= 2 T1"),
        (1.0, inf, 1.0, "T2 <= 2 T1"),
        (0.0, 0.0, 1.0, "must be positive"),
        (1.0, 1.0, -1e-9, "ages by a finite time"),
        (1.0, 1.0, inf, "ages by a finite time"),
        (1.0, 1.0, float("nan"), "ages by a finite time"),
    ],
)
def test_times_that_no_memory_has_are_refused(t1: float, t2: float, duration: float, sentence: str) -> None:
    with pytest.raises(InvalidOperator, match=sentence):
        relaxation(t1, t2, duration)


@settings(deadline=None)
@given(t2=st.floats(0.1, 10), ages=st.lists(st.floats(0, 10), min_size=3, max_size=3).map(sorted))
def test_gaussian_dephasing_composes_over_consecutive_ages(t2: float, ages: list[float]) -> None:
    first, middle, last = ages
    composed = gaussian_dephasing(t2, first, middle) * gaussian_dephasing(t2, middle, last)
    assert composed == pytest.approx(gaussian_dephasing(t2, first, last), abs=1e-12)
    whole = gaussian_dephasing(t2, 0, last)
    assert whole == pytest.approx(exp(-((last / t2) ** 2)), abs=1e-12)


def test_gaussian_dephasing_refuses_ages_that_run_backwards() -> None:
    for start, stop in ((2.0, 1.0), (-1.0, 1.0), (0.0, inf)):
        with pytest.raises(InvalidOperator):
            gaussian_dephasing(1.0, start, stop)
