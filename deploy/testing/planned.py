"""From what a test wants to a plan that can be brought up, and the head of its record."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.errors import LabFileInvalid
from deploy.lab import Lab, LauncherName
from deploy.plan import Plan, plan
from deploy.recording import Header, header_of, seeded
from deploy.testing.mark import Wanted
from deploy.testing.overrides import in_mark, overridden
from deploy.topology import find, load, read


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a lab, the text of its lab file, and the head of its record."""

    plan: Plan
    text: str
    head: Header


def lab_of(wanted: Wanted) -> tuple[Lab, str]:
    """Read the lab file that a test wants, with its overrides; return the lab and the text it was read from.

    Raise ``LabNotFound``, ``LabFileInvalid`` with all problems, ``MarkInvalid``.
    """
    file = _file(wanted)
    lab = read(wanted.lab, file) if wanted.is_text else load(file)
    text = wanted.lab if wanted.is_text else file.read_text(encoding="utf-8-sig")
    overrides: dict[str, Any] = json.loads(wanted.overrides)
    if overrides:
        text = overridden(text, str(file), overrides)
        try:
            lab = read(text, file)
        except LabFileInvalid as error:
            raise in_mark(error, str(file)) from None
    return lab, text


def planned(wanted: Wanted, launcher: LauncherName | None = None) -> Planned:
    """Plan what a test wants, in virtual time unless its mark or the lab file say otherwise.

    Where time is virtual and no keys are delivered to applications, a lab without a seed draws one: what has failed can
    be done again. ``launcher`` replaces the file's.
    """
    lab, text = lab_of(wanted)
    made = plan(lab, default_mode="virtual", mode=wanted.clock, seed=wanted.seed, launcher=launcher)
    if made.world.clock.mode == "virtual" and not made.saes:
        made = seeded(made)
    known = lab if lab.file.is_file() else replace(lab, file=Path(__file__))
    head = replace(header_of(known, made), lab_file=str(lab.file), lab_text=text)
    return Planned(made, text, head)


def _file(wanted: Wanted) -> Path:
    if wanted.is_text:
        return wanted.folder / "lab-of-the-test.yaml"
    beside = wanted.folder / wanted.lab
    return beside if beside.is_file() else find(wanted.lab)
