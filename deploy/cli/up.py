"""``bellwire up``: bring a lab up and keep it up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

import typer

from deploy.cli.finishing import finish
from deploy.cli.joining import show_offers
from deploy.cli.options import ClockOption, HostOption, LauncherOption, SeedOption
from deploy.cli.screen import caution, say
from deploy.control import ControlPlane
from deploy.daemon import in_background
from deploy.join_door import JoinOffer
from deploy.laboratory import Laboratory
from deploy.plan import Plan, plan
from deploy.reach import host_of, places
from deploy.recording import RECORD, Header, begin, header_of
from deploy.registry import LabRecord, Registry
from deploy.remote_lab import RemoteLab
from deploy.topology import find, load
from shared_state.heap import keep_small


def command(
    lab: Annotated[str, typer.Argument(metavar="LAB", help="A lab file, or the name of a ready lab.")],
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Return when it is up; end it with 'bellwire down'.")
    ] = False,
    seed: SeedOption = None,
    clock: ClockOption = None,
    launcher: LauncherOption = None,
    host: HostOption = None,
) -> None:
    """Bring a lab up, in real time by default, and keep it up until Ctrl-C, or in the background with -d.

    Nodes of other hosts join a lab that has a host: what to type there is shown for each external node.

    Example: bellwire up alice-charlie-bob -d, then: bellwire run teleport -l alice-charlie-bob
    Example: bellwire up hello.yaml --host 10.77.0.1
    """
    valid = load(find(lab))
    planned = plan(
        valid,
        default_mode="real-time",
        mode=clock,
        seed=seed,
        default_journal=detach,
        launcher=launcher,
        host=None if host is None else host_of(host),
    )
    head = header_of(valid, planned)
    for warning in _warnings(planned):
        caution(warning)
    say(f"Bringing up lab [bold]{planned.lab}[/]: {', '.join(planned.nodes)} ...")
    if detach:
        registry = Registry()
        places(planned)  # what is wrong is told before anything is started
        in_background(
            lambda ready: finish(_keep_up(planned, head, lambda lab: ready())),
            lambda text: registry.write_last_words(planned.lab, text),
        )
        keys = " 'bellwire keys ls' its keys and who delivers them," if planned.saes else ""
        say(
            f"Lab [bold]{planned.lab}[/] is up. 'bellwire ps' shows it,{keys} 'bellwire down {planned.lab}' ends it."
        )
        if planned.host:
            show_offers(finish(_offers(planned)))
        else:
            _invite(planned)
    else:
        finish(_keep_up(planned, head, _show))


def _show(lab: Laboratory) -> None:
    if lab.plan.host:
        show_offers(lab.offer(name) for name in lab.plan.external)
    else:
        _invite(lab.plan)
    say(f"Lab [bold]{lab.plan.lab}[/] is up. Ctrl-C ends it.")


async def _offers(planned: Plan) -> list[JoinOffer]:
    """Ask the lab how others become its external nodes."""
    lab = RemoteLab(Registry().here(planned.lab).socket)
    return [await lab.offer(name) for name in planned.external]


def _invite(planned: Plan) -> None:
    """Say for which nodes the lab waits, and how they come."""
    for name in planned.external:
        say(
            f"Waiting for [bold]{name}[/]: run 'bellwire node run {name} -l {planned.lab}', or a program with "
            f"nodes.connect('{name}'). Until it is there, jobs that need it fail."
        )


def _warnings(planned: Plan) -> Iterator[str]:
    """Say of which keys a user will wonder where they are."""
    if idle := [link.name for link in planned.continuous_links if not planned.key_links]:
        yield (
            f"In virtual time no keys are made by themselves: {', '.join(idle)} would make them continuously in real "
            "time only (--clock real-time). 'bellwire qkd' makes keys when it is called."
        )
    services = {node.name: node.key_service for node in planned.nodes.values()}
    refusing = [name for name, each in services.items() if each is not None and not each.deliver_reproducible]
    if refusing and planned.world.seed is not None and planned.keys.pair.source == "qkd":
        yield (
            f"Keys made with a seed can be computed from it: {', '.join(refusing)} will not deliver them. Bring the "
            "lab up without a seed, or write 'deliver_reproducible: true' below services.etsi014."
        )


async def _keep_up(planned: Plan, head: Header, ready: Callable[[Laboratory], None]) -> None:
    """Keep the lab up until it is told to go down; raise what makes it fail."""
    keep_small()
    with Registry().claim(planned.lab) as directory:
        record = directory.path / RECORD if planned.record else None
        if record is not None:
            begin(record, head)
        directory.write(_record(planned, head.lab_file))
        async with (
            Laboratory(planned, directory.path, caution, record) as laboratory,
            (control := ControlPlane(laboratory)).serving(directory.socket),
        ):
            ready(laboratory)
            await control.until_down()


def _record(planned: Plan, file: str) -> LabRecord:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return LabRecord(planned.lab, file, os.getpid(), planned.world.clock.mode, list(planned.nodes), now)
