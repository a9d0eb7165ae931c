"""The flake budget adds up what assertions have declared, and knows when it is overdrawn."""

from __future__ import annotations

from deploy.testing.budget import FlakeBudget


def test_it_is_printed_as_a_sum() -> None:
    assert str(FlakeBudget(None, [1e-6] * 3)) == (
        "flake budget: 3 statistical assertions, false-alarm probability 3.0e-06 in all"
    )
    assert str(FlakeBudget(None, [1e-9])).startswith("flake budget: 1 statistical assertion, ")


def test_it_is_overdrawn_by_more_than_is_allowed_and_not_by_rounding() -> None:
    assert not FlakeBudget(1e-5, [1e-6] * 10).overdrawn
    assert not FlakeBudget(None, [0.5] * 10).overdrawn
    overdrawn = FlakeBudget(1e-5, [1e-6] * 11)
    assert overdrawn.overdrawn
    assert str(overdrawn).endswith("1.1e-05 in all, more than the 1.0e-05 allowed")
