"""The image of a lab's containers, built from what this program itself runs on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.containers.base import Base, base
from deploy.containers.engine import asked_to, connect
from deploy.containers.packages import PYTHON, gather
from deploy.containers.supervisor import own_image
from deploy.errors import EngineUnusable

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
    extras: Iterable[str] = (),
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
            say(f"Building {name} upon {chosen.image} ...")
            with asked_to(f"build {name}"):
                steps = client.build(
                    context, tag=name, buildargs={"BASE": chosen.image}, rm=True, forcerm=True, decode=True
                )
                for step in steps:
                    if "error" in step:
                        raise EngineUnusable(f"the image cannot be built: {step['error'].strip()}")
        with asked_to(f"look at {name}"):
            return Image(name, chosen.image, client.inspect_image(name)["Size"])
    finally:
        client.close()
