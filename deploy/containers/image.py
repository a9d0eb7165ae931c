"""The image of a lab's containers, built from what this program itself runs on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError, ImageNotFound

from deploy.containers.base import Base, base
from deploy.containers.engine import asked_to, connect
from deploy.containers.packages import PYTHON, fingerprint, gather
from deploy.containers.parts import own_image
from deploy.errors import EngineUnusable

FINGERPRINT_LABEL: Final = "bellwire.fingerprint"
EXTRAS_LABEL: Final = "bellwire.extras"
_DOCKERFILE: Final = Path(__file__).with_name("Dockerfile")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the engine has it: its name, what it is built upon, its size in bytes."""

    name: str
    base: str
    size: int


def build(
    name: str = "",
    upon: str | None = None,
    extras: Collection[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Image:
    """Build the image ``name``, by default the one of this version, ``upon`` a base, by default one that can be had.

    ``extras`` of this program go into it, too. ``say`` hears what takes time. Raise ``EngineUnusable``, ``LabFailed``.
    """
    client, name = connect(), name or own_image()
    try:
        chosen = base(client, say) if upon is None else Base(upon, PYTHON)
        with tempfile.TemporaryDirectory(prefix="bellwire-image-") as context:
            say("Gathering packages ...")
            with asked_to("tell what machine it runs on"):
                machine = client.info()["Architecture"]
            gather(Path(context) / "site", chosen.python, machine, extras)
            shutil.copy(_DOCKERFILE, context)
            former = _identity(client, name)
            say(f"Building {name} upon {chosen.image} ...")
            with asked_to(f"build {name}"):
                steps = client.build(
                    context,
                    tag=name,
                    buildargs={"BASE": chosen.image},
                    labels={FINGERPRINT_LABEL: fingerprint(extras), EXTRAS_LABEL: " ".join(extras)},
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
                for step in steps:
                    if "error" in step:
                        raise EngineUnusable(f"the image cannot be built: {step['error'].strip()}")
        with asked_to(f"look at {name}"):
            _forget(client, former)
            return Image(name, chosen.image, client.inspect_image(name)["Size"])
    finally:
        client.close()


def is_current(image: Mapping[str, Any]) -> bool:
    """Tell whether an image, as the engine describes it, is made of what would go into it now; one that was not built
    by ``build`` does not say, and is taken as it is."""
    labels = image["Config"].get("Labels") or {}
    told = labels.get(FINGERPRINT_LABEL)
    return told is None or told == fingerprint(labels.get(EXTRAS_LABEL, "").split())


def _identity(client: APIClient, name: str) -> str:
    with suppress(ImageNotFound):
        return str(client.inspect_image(name)["Id"])
    return ""


def _forget(client: APIClient, identity: str) -> None:
    """Remove an image that has no name any more, unless something still runs from it."""
    with suppress(APIError):
        if identity and not client.inspect_image(identity)["RepoTags"]:
            client.remove_image(identity)
