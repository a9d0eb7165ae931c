"""``bellwire validate-physics`` as its user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import validate_physics
from deploy.cli.app import app
from shared_state.validation.comparison import Formula
from shared_state.validation.findings import Findings


async def disagreeing(seed: int) -> Findings:
    return Findings([Formula("fibre", "the law", "a paper").exact(1.0, 0.5, length_km=float(seed))])


def test_one_section_as_json_has_every_comparison() -> None:
    done = CliRunner().invoke(app, ["validate-physics", "--section", "memory", "--seed", "4", "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert (document["schema"], document["seed"], document["passed"]) == (
        "bellwire.validate-physics/1",
        4,
        True,
    )
    assert {each["section"] for each in document["comparisons"]} == {"memory"}
    assert all(
        each["passed"] and abs(each["deviation"]) <= each["tolerance"] for each in document["comparisons"]
    )


def test_a_disagreement_is_exit_code_7_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_physics, "SECTIONS", {"fibre": disagreeing})
    done = CliRunner().invoke(app, ["validate-physics", "--seed", "3"])
    assert done.exit_code == 7
    assert "fibre: the law disagrees, 0.5 for 1" in done.stderr
    assert "length_km = 3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--section", "fiber"], "there is no section fiber; there are fibre, memory"),
        (["--section", "fibre", "--report", "here"], "leave --section out"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["validate-physics", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_report_without_matplotlib_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(validate_physics, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["validate-physics", "--report", str(tmp_path / "report")])
    assert done.exit_code == 2
    assert "pip install 'bellwire[plots]'" in done.stderr
    assert not (tmp_path / "report").exists()
