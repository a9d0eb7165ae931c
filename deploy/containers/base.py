"""The base of the image: a public one where a registry can be reached, else one made of Debian's packages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docker import APIClient
from docker.errors import DockerException, ImageNotFound

from deploy.containers.engine import asked_to
from deploy.containers.packages import PYTHON
from deploy.errors import EngineUnusable

PUBLIC: Final = "python:3.11-slim-bookworm"
LOCAL: Final = "bellwire-base:bookworm"
_SUITE: Final = "bookworm"
_NOT_NEEDED: Final = (
    *("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/zoneinfo/*"),
    *("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*"),
    *("usr/lib/*/gconv/*", "usr/share/perl*", "usr/share/bash-completion/*"),
)


@dataclass(frozen=True, slots=True)
class Base:
    """An image to build upon, and the Python that is in it."""

    image: str
    python: str = PYTHON


def base(client: APIClient, say: Callable[[str], None]) -> Base:
    """Return a base that the engine has, or gets now; what takes time is said. Raise ``EngineUnusable``."""
    for image in (PUBLIC, LOCAL):
        if _has(client, image):
            return Base(image)
    say(f"Pulling {PUBLIC} ...")
    try:
        client.pull(PUBLIC)
    except (DockerException, OSError) as unreachable:
        return _of_packages(client, say, str(unreachable))
    return Base(PUBLIC) if _has(client, PUBLIC) else _of_packages(client, say, "it did not come")


def _has(client: APIClient, image: str) -> bool:
    try:
        with asked_to("look for images"):
            client.inspect_image(image)
    except EngineUnusable as error:
        if isinstance(error.__cause__, ImageNotFound):
            return False
        raise
    return True


def _of_packages(client: APIClient, say: Callable[[str], None], reason: str) -> Base:
    program = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin")
    if program is None:
        raise EngineUnusable(
            f"{PUBLIC} cannot be pulled ({reason}), and without debootstrap none can be made from Debian's packages; "
            "install it (sudo apt install debootstrap), or name an image with --base"
        )
    say(f"No registry of images answers: making {LOCAL} of Debian's packages (half a minute) ...")
    with tempfile.TemporaryDirectory(prefix="bellwire-base-") as directory:
        root, archive = Path(directory) / "root", Path(directory) / "base.tar"
        _run(program, "--variant=minbase", "--include=python3,mosquitto", _SUITE, str(root))
        left_out = [f"--exclude=./{pattern}" for pattern in _NOT_NEEDED]
        _run("tar", "--directory", str(root), *left_out, "--create", "--file", str(archive), ".")
        repository, _, tag = LOCAL.partition(":")
        with asked_to(f"import {LOCAL}"), archive.open("rb") as file:
            client.import_image_from_data(file, repository=repository, tag=tag)
    return Base(LOCAL)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        advice = "" if "root" not in "".join(last) else "; this step needs root: sudo bellwire image build"
        raise EngineUnusable(f"no base image can be made: {command[0]}: {''.join(last)}{advice}")
