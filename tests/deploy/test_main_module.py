"""What the processes of a lab do not import: the program which has started them."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing.spawn import get_preparation_data
from pathlib import Path

import pytest

from deploy.main_module import without_main

SCRIPT = """
import asyncio
import sys
from pathlib import Path
from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.topology import find, load

print("the script runs")

async def bring_up() -> None:
    async with Laboratory(plan(load(find("alice-bob"))), Path(sys.argv[1])):
        print("the lab is up")

asyncio.run(bring_up())
"""


def test_a_process_is_told_of_no_main_module_inside_the_block_and_again_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/somewhere/script.py", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    main = sys.modules["__main__"]
    told = {"init_main_from_name", "init_main_from_path"}
    assert told & get_preparation_data("child").keys()
    with without_main():
        assert not told & get_preparation_data("child").keys()
    assert sys.modules["__main__"] is main
    with pytest.raises(KeyError), without_main():
        raise KeyError
    assert sys.modules["__main__"] is main


@pytest.mark.processes
def test_a_script_that_does_not_guard_its_main_part_brings_up_one_lab(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "lab"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["the script runs", "the lab is up"]
