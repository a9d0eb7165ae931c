"""The report says what agrees and what does not, and is the same file when made again."""

from __future__ import annotations

from pathlib import Path

from shared_state.validation.comparison import Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.report import markdown, write
from shared_state.validation.summary import summaries

GOOD, BAD = Formula("fibre", "E[|x|]", "a paper"), Formula("fibre", "y", "another")
PLOT = Plot(
    "curve",
    "A curve",
    "x",
    "y",
    (Curve("one", "theory", (0.0, 1.0), (1.0, 2.0)), Curve("one", "measured", (0.5,), (1.5,))),
    logarithmic=True,
)
FOUND = {
    "fibre": Findings(
        [GOOD.exact(1.0, 1.0, t=1.0), GOOD.exact(1.0, 1.0 + 1e-10, t=2.0), BAD.share(0.5, 900, 1000, k=3)],
        [PLOT],
    )
}


def test_a_row_shows_the_furthest_point_of_a_formula_and_the_verdict() -> None:
    report = markdown(FOUND, seed=5)
    assert "2 of 3 numbers agree, 1 of them sampled" in report
    assert "bellwire validate-physics --seed 5 --report docs/physics" in report
    assert "| E[\\|x\\|] | a paper | 2 | 1.0e-10 of 1e-09 | t = 2: 1 for 1 | agrees |" in report
    assert "| y | another | 1 | 25.3 sigma of 1,000 samples | k = 3: 0.9 for 0.5 | **disagrees** |" in report
    assert "![A curve: y over x](curve.svg)" in report


def test_what_fails_is_further_off_than_what_agrees() -> None:
    rare = BAD.share(1e-14, 1, 1000)
    (summary,) = summaries([BAD.share(0.5, 560, 1000), rare])
    assert summary.furthest is rare
    assert not summary.passed


def test_the_same_findings_give_the_same_files(tmp_path: Path) -> None:
    first, second = (write(FOUND, 5, tmp_path / name).parent for name in ("one", "two"))
    for name in ("report.md", "curve.svg"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_of_several_bounds_the_row_shows_how_near_the_nearest_was_come() -> None:
    (summary,) = summaries([GOOD.at_most(1.0, 0.5), GOOD.at_most(0.01, 0.007)])
    assert summary.distance == "0.7 of the bound"
    assert summary.passed
