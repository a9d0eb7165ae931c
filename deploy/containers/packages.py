"""What an image needs besides its base: this program and the packages that it stands on, of the very same versions.

The versions are those of the host, so that a lab does in containers what it does in processes, bit for bit.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from deploy.errors import LabFailed, UsageError
from deploy.wording import unknown

PYTHON: Final = "3.11"
"""The Python of the image."""
_OWN: Final = ("shared_state", "broker", "nodes", "deploy")
_GLIBC: Final = (17, 24, 26, 27, 28, 31, 34, 36)
_HOME: Final = Path(__file__).parent.parent.parent
_NOT_RUN: Final = ("tests", "include", "*.pyi", "*.pxd", "*.h", "*.a")


def requirements(extras: Iterable[str] = ()) -> list[str]:
    """Return ``name==version`` of every package that this program needs at run time, with some of its ``extras``."""
    known = importlib.metadata.metadata("bellwire").get_all("Provides-Extra", [])
    if strange := [extra for extra in extras if extra not in known]:
        raise UsageError(unknown("extra", strange[0], known))
    found: dict[str, str] = {}
    _collect("bellwire", ["", *extras], found)
    del found["bellwire"]
    return sorted(f"{name}=={version}" for name, version in found.items())


def fingerprint(extras: Iterable[str] = ()) -> str:
    """Return a digest of all that an image is made of: this program's own files, the versions of what it needs."""
    digest = sha256("\n".join(requirements(extras)).encode())
    for file in _own_files():
        digest.update(f"\n{file.relative_to(_HOME)} ".encode() + sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _own_files() -> Iterator[Path]:
    for package in _OWN:
        found = sorted((_HOME / package).rglob("*"))
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _collect(name: str, extras: Iterable[str], found: dict[str, str]) -> None:
    distribution = importlib.metadata.distribution(name)
    found[name] = distribution.version
    for text in distribution.requires or ():
        wanted = Requirement(text)
        if wanted.name in found:
            continue
        if wanted.marker is None or any(wanted.marker.evaluate(_where(extra)) for extra in extras):
            _collect(wanted.name, ["", *wanted.extras], found)


def _where(extra: str) -> dict[str, str]:
    """Return the surroundings for which packages are chosen: those of the container, not of this host."""
    return {
        "extra": extra,
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }


def gather(site: Path, python: str, machine: str, extras: Iterable[str] = ()) -> None:
    """Fill ``site`` with all packages, for CPython ``python`` (such as 3.11) on Linux on a ``machine`` (x86_64).

    Raise ``LabFailed`` with pip's last words when a package cannot be had.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    command += ["--no-deps", "--target", str(site), "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", python]
    command += ["--platform", f"manylinux2014_{machine}"]
    for glibc in _GLIBC:
        command += ["--platform", f"manylinux_2_{glibc}_{machine}"]
    done = subprocess.run([*command, *requirements(extras)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["pip has failed"]
        raise LabFailed(f"the packages for the image cannot be had: {last[0]}")
    for pattern in _NOT_RUN:
        for path in sorted(site.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for package in _OWN:
        shutil.copytree(_HOME / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / "bellwire.dist-info"
    metadata.mkdir()
    version = importlib.metadata.version("bellwire")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bellwire\nVersion: {version}\n")
    for path in (site, *site.rglob("*")):  # whatever the umask: the containers' user is another one
        path.chmod(0o755 if path.is_dir() else 0o644)
