"""Assertions about what is drawn by chance, each with the probability that it fails though what it states is true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from typing import Final, Literal, Protocol, TypeAlias

from deploy.errors import UsageError
from deploy.testing import binomial
from deploy.testing.bounded_means import Sample, sample_of

FALSE_ALARM: Final = 1e-6
Kind: TypeAlias = Literal["expected", "at_least", "at_most"]


class Judged(Protocol):
    """A run whose referee has found fidelities, one in each round."""

    @property
    def rounds(self) -> int:
        """Return how many rounds there were."""

    @property
    def figures(self) -> Mapping[str, float | None]:
        """Return what was found over all rounds, by name."""


class Statistics:
    """Statistical assertions. ``declare`` hears the false-alarm probability of each: see ``deploy.testing.budget``.

    Each takes its statement for true unless what was seen has a probability below ``false_alarm`` if it is. So a
    true one fails that seldom, and no test is ever tried again. A sample so small that the assertion would hold
    whatever was seen raises ``UsageError``.
    """

    def __init__(self, declare: Callable[[float], None] = lambda probability: None) -> None:
        self._declare = declare

    def assert_rate(
        self,
        successes: int,
        trials: int,
        *,
        expected: float | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
        false_alarm: float = FALSE_ALARM,
    ) -> None:
        """Assert the rate behind ``successes`` in independent ``trials``, by the exact binomial test.

        Example: ``lab.stats.assert_rate(errors, bits, at_most=0.02)``.
        """
        __tracebackhide__ = True
        kind, rate = _one_of({"expected": expected, "at_least": at_least, "at_most": at_most}, 0.0, 1.0)
        if not (0 <= successes <= trials and trials > 0):
            raise UsageError(f"{successes} successes in {trials} trials; write a count, and of how many")
        _check_probability(false_alarm)
        if (
            0 < rate < 1
            and min(_chance(kind, extreme, trials, rate) for extreme in (0, trials)) >= false_alarm
        ):
            raise _too_small(trials, "trials", false_alarm)
        self._declare(false_alarm)
        chance = _chance(kind, successes, trials, rate)
        if chance >= false_alarm:
            return
        low, high = binomial.interval(successes, trials, false_alarm)
        raise AssertionError(
            f"{successes} of {trials} is a rate of {successes / trials:.6g}, {_stated(kind, rate)}: the chance of that "
            f"is {chance:.1e}, below {false_alarm:.1e}; the rate is between {low:.6g} and {high:.6g}"
        )

    def assert_mean(
        self,
        values: Iterable[float],
        *,
        between: tuple[float, float],
        expected: float | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
        false_alarm: float = FALSE_ALARM,
    ) -> None:
        """Assert the mean behind independent values that cannot leave a range, whatever their distribution.

        Example: ``lab.stats.assert_mean(delays, between=(0.0, 1.0), at_most=0.2)``.
        """
        __tracebackhide__ = True
        kind, mean = _one_of({"expected": expected, "at_least": at_least, "at_most": at_most}, *between)
        try:
            sample = sample_of(list(map(float, values)), *between)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._compare(sample, "mean", kind, mean, false_alarm)

    def assert_fidelity(self, result: Judged, *, at_least: float, false_alarm: float = FALSE_ALARM) -> None:
        """Assert the fidelity behind a run's ``fidelity_mean``, which the referee found (oracle).

        Example: ``lab.stats.assert_fidelity(await lab.run("teleport", rounds=200), at_least=0.9)``.
        """
        __tracebackhide__ = True
        mean, error = result.figures.get("fidelity_mean"), result.figures.get("fidelity_stderr")
        if mean is None:
            raise UsageError(
                "this run has no fidelity: no role of its program returns a qubit that is judged"
            )
        kind, fidelity = _one_of({"at_least": at_least}, 0.0, 1.0)
        variance = 0.25 if error is None else error**2 * result.rounds
        self._compare(Sample(result.rounds, mean, variance), "fidelity (oracle)", kind, fidelity, false_alarm)

    def _compare(self, sample: Sample, what: str, kind: Kind, stated: float, false_alarm: float) -> None:
        """Compare a mean with what is stated of it."""
        __tracebackhide__ = True
        _check_probability(false_alarm)
        error = false_alarm / 2 if kind == "expected" else false_alarm
        furthest = _off(kind, stated, sample.low, sample.high)
        if Sample(sample.count, stated, 0.0, sample.low, sample.high).radius(error) >= furthest > 0:
            raise _too_small(sample.count, "values", false_alarm)
        self._declare(false_alarm)
        off, radius = _off(kind, stated, sample.mean, sample.mean), sample.radius(error)
        if off <= radius:
            return
        raise AssertionError(
            f"the {what} of {sample.count} values is {sample.mean:.6g} ± {sqrt(sample.variance / sample.count):.2g}, "
            f"{_stated(kind, stated)}: it is off by {off:.3g}, and by more than {radius:.3g} only with a probability "
            f"below {false_alarm:.1e}"
        )


def _one_of(statements: Mapping[Kind, float | None], low: float, high: float) -> tuple[Kind, float]:
    """Return the one statement that was made. Raise ``UsageError`` for none, several, or one outside of the range."""
    made: list[tuple[Kind, float]] = [
        (kind, value) for kind, value in statements.items() if value is not None
    ]
    if len(made) != 1:
        raise UsageError(f"state exactly one of {', '.join(f'{kind}=' for kind in statements)}")
    [(kind, value)] = made
    if not low <= value <= high:
        raise UsageError(f"{kind}={value:g} cannot be; write a number between {low:g} and {high:g}")
    return kind, value


def _chance(kind: Kind, successes: int, trials: int, rate: float) -> float:
    """Return how probable what was seen, or anything further from what is stated, is if that is true."""
    match kind:
        case "at_least":
            return binomial.at_most(successes, trials, rate)
        case "at_most":
            return binomial.at_least(successes, trials, rate)
        case "expected":
            tails = binomial.at_most(successes, trials, rate), binomial.at_least(successes, trials, rate)
            return min(1.0, 2 * min(tails))


def _off(kind: Kind, stated: float, low: float, high: float) -> float:
    """Return by how much a mean that may be as low as ``low`` and as high as ``high`` misses what is stated."""
    match kind:
        case "at_least":
            return stated - low
        case "at_most":
            return high - stated
        case "expected":
            return max(stated - low, high - stated)


def _stated(kind: Kind, value: float) -> str:
    return f"and {value:g} is expected" if kind == "expected" else f"not {kind.replace('_', ' ')} {value:g}"


def _check_probability(false_alarm: float) -> None:
    if not 0 < false_alarm < 1:
        raise UsageError(
            f"a false-alarm probability of {false_alarm:g}; write one between 0 and 1, like 1e-6"
        )


def _too_small(count: int, what: str, false_alarm: float) -> UsageError:
    return UsageError(
        f"{count} {what} are too few: whatever was seen, the assertion would hold at a false-alarm probability of "
        f"{false_alarm:.1e}; take more, or declare a greater one"
    )
