"""What ``bellwire doctor`` says of a machine that is not as it should be, each time with the fix."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from deploy.doctor import machine, software
from deploy.doctor.finding import Finding


def found(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "home"
    monkeypatch.setenv("BELLWIRE_HOME", str(base))
    return base


def test_looking_makes_nothing(home: Path) -> None:
    assert found(machine.machine())["labs' directory"].state == "ok"
    assert not home.exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_directory_that_others_can_enter_is_trouble(home: Path, mode: int) -> None:
    home.mkdir(mode=0o700)
    assert found(machine.machine())["labs' directory"].state == "ok"
    home.chmod(mode)
    finding = found(machine.machine())["labs' directory"]
    assert (finding.state, finding.fix) == ("trouble", f"chmod 700 {home}")


def test_a_file_in_place_of_the_directory_is_trouble(home: Path) -> None:
    home.write_text("")
    finding = found(machine.machine())["labs' directory"]
    assert finding.state == "trouble"
    assert "no directory" in finding.found


def test_a_path_that_is_too_long_for_sockets_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWIRE_HOME", str(tmp_path / ("x" * 100)))
    finding = found(machine.machine())["Unix sockets"]
    assert finding.state == "trouble"
    assert "shorter path" in finding.fix


def test_how_long_a_name_may_be_is_what_a_socket_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    base = "/tmp/" + "x" * 60
    monkeypatch.setenv("BELLWIRE_HOME", base)
    finding = found(machine.machine())["Unix sockets"]
    room = int(finding.found.split()[-3])
    assert len(os.fsencode(f"{base}/labs/{'n' * room}/control.sock")) == 107


def test_few_file_descriptors_are_trouble(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (128, 4096))
    finding = found(machine.machine())["file descriptors"]
    assert (finding.state, finding.fix) == ("trouble", "ulimit -n 4096")


def test_a_mosquitto_that_is_not_there_is_missing_and_one_that_does_not_run_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software, "find_mosquitto", lambda: None)
    assert software._mosquitto().state == "missing"
    assert "apt install mosquitto" in software._mosquitto().fix
    broken = tmp_path / "mosquitto"
    broken.write_text("no program")
    monkeypatch.setattr(software, "find_mosquitto", lambda: str(broken))
    assert software._mosquitto().state == "trouble"


def test_a_program_that_hangs_is_waited_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("mosquitto", timeout)

    monkeypatch.setattr(software, "find_mosquitto", lambda: "/usr/sbin/mosquitto")
    monkeypatch.setattr(subprocess, "run", hang)
    assert software._mosquitto().state == "trouble"


def test_an_extra_that_is_not_there_is_missing_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(software.EXTRAS, "fast", ("no_such_module", "a faster loop"))
    finding = software._extra("fast")
    assert (finding.state, finding.fix) == ("missing", "pip install 'bellwire[fast]'")
