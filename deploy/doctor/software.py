"""The programs and packages that a lab may use: Python, the brokers, the extras, an engine of containers."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from typing import Final

from broker.programs.choose import find_mosquitto
from deploy.containers.parts import own_image
from deploy.doctor.finding import Finding
from deploy.errors import EngineUnusable

_OLDEST: Final = (3, 11)
_ANSWERS_WITHIN: Final = 5.0
EXTRAS: Final = {
    "compiled": ("numba", "numba, which makes error correction some ten times faster"),
    "fast": ("uvloop", "uvloop, a faster event loop for the servers"),
    "pq": ("OpenSSL", "pyOpenSSL, for post-quantum TLS where Python has none"),
    "plots": ("matplotlib", "matplotlib, for the figures of the physics report"),
    "docker": ("docker", "the docker SDK, for labs of containers"),
    "testing": ("pytest_asyncio", "pytest with asyncio, for tests that use labs"),
}
"""The module by which each extra is known, and what it is."""


def software() -> list[Finding]:
    """Look for all of it. Waits for nothing longer than the engine of containers lets its clients wait."""
    return [_python(), _mosquitto(), _embedded(), *map(_extra, EXTRAS), engine()]


def engine() -> Finding:
    """Look for an engine of containers, and in it for the image of this version."""
    subject = "containers"
    try:
        from deploy.containers.engine import asked_to, connect
        from deploy.containers.image import is_current
    except EngineUnusable as missing:  # the extra is not there, so no engine is asked
        return Finding(subject, "missing", "not looked for: the extra docker is not installed", str(missing))
    try:
        client = connect()
    except EngineUnusable as error:
        what, _, advice = str(error).partition("; ")
        return Finding(subject, "missing", what, advice)
    try:
        with asked_to("tell its version and its images"):
            known = [tag for image in client.images() for tag in image.get("RepoTags") or ()]
            current = own_image() in known and is_current(client.inspect_image(own_image()))
            release = client.version().get("Version", "?")
    except EngineUnusable as error:
        return Finding(subject, "trouble", str(error), "restart the engine")
    finally:
        client.close()
    if own_image() not in known:
        found = f"an engine ({release}) without the image {own_image()}"
        return Finding(subject, "missing", found, "bellwire image build")
    if not current:
        found = f"an engine ({release}) with an image {own_image()} of other sources than this program's"
        return Finding(subject, "trouble", found, "bellwire image build")
    return Finding(subject, "ok", f"an engine ({release}) with the image {own_image()}")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < _OLDEST:
        return Finding("python", "trouble", version, "install Python 3.11 or newer")
    return Finding("python", "ok", f"{version} ({sys.executable})")


def _mosquitto() -> Finding:
    program = find_mosquitto()
    if program is None:
        fix = "sudo apt install mosquitto (Debian, Ubuntu): labs that other hosts reach take no other broker"
        return Finding("mosquitto", "missing", "not installed", fix)
    try:
        told = subprocess.run(
            [program, "-h"], capture_output=True, text=True, timeout=_ANSWERS_WITHIN, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            "mosquitto",
            "trouble",
            f"{program} does not run: {error}",
            "install it anew, or use broker: embedded",
        )
    return Finding("mosquitto", "ok", f"{(told.splitlines() or ['?'])[0]} ({program})")


def _embedded() -> Finding:
    try:
        version = importlib.metadata.version("amqtt")
    except importlib.metadata.PackageNotFoundError:
        return Finding("embedded broker", "trouble", "amqtt is not installed", "pip install 'bellwire'")
    if not version.startswith("0.12."):
        fix = "pip install 'amqtt>=0.12.1,<0.13'"
        return Finding("embedded broker", "trouble", f"amqtt {version} is not the one it is made for", fix)
    return Finding("embedded broker", "ok", f"amqtt {version}")


def _extra(name: str) -> Finding:
    module, what = EXTRAS[name]
    subject = f"extra {name}"
    if importlib.util.find_spec(module) is None:
        return Finding(subject, "missing", f"not installed: {what}", f"pip install 'bellwire[{name}]'")
    return Finding(subject, "ok", what)
