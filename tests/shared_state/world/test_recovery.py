"""What a blind and echoing receiver sees: compiled or not, pulse by pulse."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.world import kernels
from shared_state.world.recovery import Recovered, pulses_of, recover

SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


@pytest.fixture(params=["python", "compiled"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(kernels, "compiled", lambda: None)
    else:
        assert kernels.compiled() is not None
    return str(request.param)


def candidates_of(count: int, share: float, rng: np.random.Generator) -> NDArray[np.uint32]:
    return np.flatnonzero(rng.random(count) < share).astype(np.uint32)


def seen_one_by_one(
    candidates: NDArray[np.uint32], count: int, blind: int, echoing: set[int], ready: int, after_click: bool
) -> tuple[list[int], list[int], bool]:
    """Look at every pulse; the how many-eth chances of an echo are taken that ``echoing`` says. Return the clicks."""
    fires = set(candidates.tolist())
    clicks: list[int] = []
    echoes: list[int] = []
    chance = 0
    for pulse in range(ready, count):
        if pulse < ready:
            continue
        chance += after_click
        echo, after_click = after_click and chance in echoing, False
        if echo or pulse in fires:
            echoes += [len(clicks)] if echo else []
            clicks.append(pulse)
            ready, after_click = pulse + blind, True
    return clicks, echoes, after_click


class ScriptedGaps:
    """Stands in for a generator: the gaps between the chances of an echo that are taken."""

    def __init__(self, echoing: set[int]) -> None:
        self._gaps = np.diff(sorted(echoing), prepend=0)

    def geometric(self, probability: float, size: int) -> NDArray[np.int64]:
        some, self._gaps = self._gaps[:2], self._gaps[2:]
        return some if len(some) else np.full(1, 2**40)


@settings(deadline=None)  # the first example waits for numba
@given(
    st.sets(st.integers(0, 99)),
    st.integers(1, 12),
    st.sets(st.integers(1, 60)),
    st.integers(0, 110),
    st.booleans(),
    st.booleans(),
)
def test_it_is_what_one_sees_who_looks_at_every_pulse(
    fires: set[int], blind: int, echoing: set[int], ready: int, after_click: bool, in_python: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if in_python:
            patch.setattr(kernels, "compiled", lambda: None)
        candidates, gaps = np.array(sorted(fires), dtype=np.uint32), ScriptedGaps(echoing)
        seen = recover(candidates, 100, blind, 0.5, gaps, ready, after_click)  # type: ignore[arg-type]
    clicks, echoes, left = seen_one_by_one(candidates, 100, blind, echoing, ready, after_click)
    assert seen.indices.tolist() == clicks
    assert seen.echoes.tolist() == echoes
    assert seen.after_click == (left or (ready >= 100 and after_click))
    for pulse, source in zip(seen.indices.tolist(), seen.sources.tolist(), strict=True):
        assert (candidates[source] == pulse) if source >= 0 else (pulse not in fires)
    if clicks:
        assert not seen.after_click or seen.ready == clicks[-1] + blind


def both(count: int, share: float, blind: int, echoes: float, ready: int) -> list[Recovered]:
    results = []
    for fast in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not fast:
                patch.setattr(kernels, "compiled", lambda: None)
            rng = np.random.default_rng(7)
            results.append(
                recover(candidates_of(count, share, rng), count, blind, echoes, rng, ready, ready > 0)
            )
    return results


@pytest.mark.parametrize("share", [0.0, 0.04, 1.0])
@pytest.mark.parametrize("blind", [1, 5, 10_000])
@pytest.mark.parametrize("echoes", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("ready", [0, 77, 30_000])
def test_compiled_or_not_the_same_is_seen(share: float, blind: int, echoes: float, ready: int) -> None:
    fast, slow = both(20_000, share, blind, echoes, ready)
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one, other)


def test_clicks_echo_as_often_as_they_should(implementation: str) -> None:
    rng, count, probability = np.random.default_rng(3), 200_000, 0.05
    seen = recover(candidates_of(count, 0.1, rng), count, 3, probability, rng)
    clicks = len(seen.indices)
    assert abs(len(seen.echoes) - probability * clicks) <= SIGMAS * sqrt(clicks * probability)
    assert (np.diff(seen.indices)[seen.echoes - 1] == 3).all()


def test_without_blindness_and_echoes_everything_is_seen(implementation: str) -> None:
    candidates = candidates_of(1000, 0.3, np.random.default_rng(1))
    seen = recover(candidates, 1000, 1, 0.0, np.random.default_rng(2))
    np.testing.assert_array_equal(seen.indices, candidates)
    np.testing.assert_array_equal(seen.sources, np.arange(len(candidates)))


@pytest.mark.parametrize(("duration", "pulses"), [(0.0, 0), (50e-9, 5), (51e-9, 6), (49.9e-9, 5)])
def test_a_pulse_at_the_end_of_a_duration_is_after_it(duration: float, pulses: int) -> None:
    assert pulses_of(duration, 1 / 1e8) == pulses
