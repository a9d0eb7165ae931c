"""``bellwire export``: a lab as files from which others start it, on one host or on several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.options import SeedOption, pairs
from deploy.cli.screen import out
from deploy.containers.parts import own_image
from deploy.exports import compose, kubernetes
from deploy.exports.bundle import Bundle, bundle
from deploy.plan import Plan, plan
from deploy.topology import find, load
from deploy.whole_files import write_whole
from shared_state.config import ClockMode
from shared_state.document import write

HELP = "Write a lab as files from which others start it: Docker Compose, a swarm, Kubernetes."

LabArgument = Annotated[str, typer.Argument(metavar="LAB", help="A lab file, or the name of a ready lab.")]
OutOption = Annotated[
    Path, typer.Option("-o", "--out", metavar="DIRECTORY", help="Where to write; made if it is not there.")
]
HostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="A name or address at which the lab's operator finds it. Repeat for more.",
    ),
]
ImageOption = Annotated[
    str, typer.Option("--image", metavar="NAME", help="The image. Default bellwire:VERSION.")
]
ClockChoice = Annotated[ClockMode, typer.Option("--clock", help="How emulated time passes.")]


def to_compose(
    lab: LabArgument,
    directory: OutOption,
    host: HostOption = None,
    image: ImageOption = "",
    seed: SeedOption = None,
    clock: ClockChoice = "real-time",
) -> None:
    """Write a Compose file for one host.

    Example: bellwire export compose alice-charlie-bob -o lab, then: docker compose -f lab/compose.yaml up
    """
    made = _bundle(lab, directory, host, image, seed, clock)
    _write(directory, made, "compose.yaml", compose.render(made, "compose"))
    _say(directory, made, f"docker compose -f {directory}/compose.yaml up")


def to_swarm(
    lab: LabArgument,
    directory: OutOption,
    place: Annotated[
        list[str] | None,
        typer.Option(
            "--place",
            metavar="NODE=HOST",
            help="On which host of the swarm a node, control, broker or state is to be. Repeat.",
        ),
    ] = None,
    host: HostOption = None,
    image: ImageOption = "",
    seed: SeedOption = None,
    clock: ClockChoice = "real-time",
) -> None:
    """Write a stack for a swarm of several hosts, all of which have the image.

    Example: bellwire export swarm metro.yaml -o lab --place control=labA --place dc=labB --host labA, then:
    docker stack deploy --resolve-image never -c lab/stack.yaml metro
    """
    places = pairs(place, "--place")
    made = _bundle(
        lab, directory, host, image, seed, clock, lambda planned: compose.check_places(planned, places)
    )
    _write(directory, made, "stack.yaml", compose.render(made, "swarm", places))
    _say(directory, made, f"docker stack deploy --resolve-image never -c {directory}/stack.yaml {made.lab}")


def to_kubernetes(
    lab: LabArgument,
    directory: OutOption,
    host: HostOption = None,
    image: ImageOption = "",
    seed: SeedOption = None,
    clock: ClockChoice = "real-time",
) -> None:
    """Write objects for Kubernetes, in a namespace of the lab's name.

    Example: bellwire export k8s alice-charlie-bob -o lab, then: kubectl apply -f lab/k8s.yaml
    """
    made = _bundle(lab, directory, host, image, seed, clock, kubernetes.check_names)
    write_whole(directory / "k8s.yaml", kubernetes.render(made), mode=0o600)
    _operator(directory, made)
    _say(
        directory,
        made,
        f"kubectl apply -f {directory}/k8s.yaml; kubectl -n {made.lab} port-forward service/control "
        f"{made.operator.port}",
    )


VERBS = {"compose": to_compose, "swarm": to_swarm, "k8s": to_kubernetes}


def _bundle(
    lab: str,
    directory: Path,
    host: list[str] | None,
    image: str,
    seed: int | None,
    clock: ClockMode,
    check: Callable[[Plan], None] = lambda plan: None,
) -> Bundle:
    file = find(lab)
    planned = plan(load(file), mode=clock, seed=seed)
    check(planned)
    text, named = file.read_text(encoding="utf-8"), image or own_image()
    return bundle(planned, text, named, directory, host or ["localhost"])


def _write(directory: Path, made: Bundle, name: str, text: str) -> None:
    folder = directory / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    for service in made.services:
        for secret, content in service.secrets.items():
            write_whole(folder / secret, content, mode=0o600)
    write_whole(directory / name, text, mode=0o644)
    _operator(directory, made)


def _operator(directory: Path, made: Bundle) -> None:
    write_whole(directory / "operator.json", write(made.operator), mode=0o600)


def _say(directory: Path, made: Bundle, start: str) -> None:
    out.print(f"Start it:  {start}", soft_wrap=True)
    out.print(f"Use it:    bellwire run teleport -l {directory}/operator.json", soft_wrap=True)
    out.print(
        f"Its certificates are valid until {made.until:%Y-%m-%d}; then export it again.", soft_wrap=True
    )
