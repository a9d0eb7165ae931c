"""What programs make of all their rounds: figures with standard errors, None for what is unknown."""

from __future__ import annotations

from math import sqrt

import pytest

from nodes.apps import chsh, key_distribution


def block(sampled: int, errors: int, secret: int = 100, refused: int = 0) -> dict[str, float]:
    return {
        "sifted_bits": 4 * sampled,
        "sampled_bits": sampled,
        "sampled_errors": errors,
        "secret_bits": secret,
        "refused": refused,
    }


def test_the_qber_of_several_blocks_is_that_of_all_their_sampled_bits() -> None:
    figures = key_distribution.summarise([block(300, 9), block(100, 11, 0, 1), block(0, 0, 0, 1)])
    assert figures["qber"] == pytest.approx(20 / 400)
    assert figures["qber_stderr"] == pytest.approx(sqrt(0.05 * 0.95 / 400))
    assert (figures["secret_bits"], figures["refused"]) == (100, 2)


def test_a_qber_without_a_sampled_bit_is_unknown() -> None:
    figures = key_distribution.summarise([block(0, 0, 0, 1)])
    assert (figures["qber"], figures["qber_stderr"], figures["refused"]) == (None, None, 1)


def test_s_is_the_sum_of_the_correlations_but_for_the_last_one() -> None:
    rounds = [
        {"a": a, "b": b, "alice": 0, "bob": bob}
        for a, b, bobs in ((0, 0, [0, 0, 0, 1]), (0, 1, [0, 0]), (1, 0, [0, 1]), (1, 1, [1, 1, 1, 0]))
        for bob in bobs
    ]
    figures = chsh.summarise([{name: float(value) for name, value in each.items()} for each in rounds])
    assert figures["s"] == pytest.approx(0.5 + 1 + 0 + 0.5)
    assert figures["s_stderr"] == pytest.approx(sqrt(0.75 / 4 + (2 / 3) ** 2 + 1 / 2 + 0.75 / 4))
    assert chsh.summarise([{"a": 0, "b": 1, "alice": 0, "bob": 0}]) == {"s": None, "s_stderr": None}
