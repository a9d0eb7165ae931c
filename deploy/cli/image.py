"""``bellwire image``: the image of labs whose parties are containers."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out, say
from deploy.launching import image_builder

HELP = "The image of labs whose parties are containers (--launcher docker)."


def build(
    tag: Annotated[
        str, typer.Option("--tag", metavar="NAME", help="What to call it. Default bellwire:VERSION.")
    ] = "",
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="IMAGE",
            help="Build upon this image with Python 3.11, of Debian. Default: python:3.11-slim-bookworm if it can be "
            "had, else one made of Debian's packages (needs root and debootstrap).",
        ),
    ] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            "--extra", metavar="NAME", help="An extra of Bellwire for the image: compiled, fast, pq."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Build the image that all containers of a lab run, from the packages that this program itself runs on.

    Example: bellwire image build, then: bellwire run teleport --lab alice-bob --launcher docker
    """
    image = image_builder()(tag, base, extra or (), say)
    if json:
        emit_json("image", {"image": image.name, "base": image.base, "size_bytes": image.size})
    else:
        out.print(f"[green]{image.name}[/] is built upon {image.base}: {image.size / 1e6:.0f} MB")


VERBS = {"build": build}
