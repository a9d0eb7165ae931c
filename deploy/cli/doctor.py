"""``bellwire doctor``: what this machine can do, and whether another host can be reached, and reaches this one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer

from deploy.cli.finishing import finish
from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out, print_table, quantity, say
from deploy.doctor.finding import Finding
from deploy.doctor.machine import machine
from deploy.doctor.software import software
from deploy.doctor.ways import PORTS, Way, answering, ask
from deploy.errors import CheckFailed, UsageError

_WHAT: Final = {8883: "broker", 7083: "shared-state server", 7085: "where nodes join", 7084: "control plane"}


def command(
    listen: Annotated[
        bool,
        typer.Option("--listen", help="Answer a 'bellwire doctor --peer' of another host, until Ctrl-C."),
    ] = False,
    peer: Annotated[
        str | None,
        typer.Option(
            "--peer", metavar="HOST", help="Test the ways to this host and back, where one is listening."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="With --listen: at this address of this host. Default: all."
        ),
    ] = None,
    ports: Annotated[
        str | None,
        typer.Option(
            "--ports",
            metavar="A,B",
            help="The ports to test. Default 8883,7083: the broker's, the shared-state server's. Nodes join at 7085.",
        ),
    ] = None,
    within: Annotated[
        float,
        typer.Option(
            "--within", metavar="SECONDS", min=1.0, max=86400.0, help="How long --listen lasts at most."
        ),
    ] = 600.0,
    json: JsonOption = False,
) -> None:
    """Look at this machine, each line with what to do; or test the ways between two hosts, with no lab up at either.

    Exit code 7: something does not work as it is, or a way does not.

    Example: bellwire doctor
    Example: bellwire doctor --listen --host 10.77.0.1, and on the other host: bellwire doctor --peer 10.77.0.1
    """
    if listen and peer is not None:
        raise UsageError("one host listens (--listen), the other asks (--peer HOST)")
    if listen and json:
        raise UsageError("--json goes with --peer, which has the result")
    if host is not None and not listen:
        raise UsageError("--host goes with --listen: the address of this host")
    if ports is not None and not (listen or peer):
        raise UsageError("--ports goes with --listen and --peer")
    tested = PORTS if ports is None else _ports(ports)
    if listen:
        finish(_listen(host, tested, within))
    elif peer is not None:
        _show_ways(peer, finish(ask(peer, tested)), json=json)
    else:
        _show_findings([*software(), *machine()], json=json)


def _ports(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if (
        not all(word.isascii() and word.isdigit() and 0 < int(word) < 65536 for word in words)
        or len(words) > 8
    ):
        raise UsageError(f"--ports takes up to eight ports from 1 to 65535, as in 8883,7083; not '{text}'")
    return tuple(dict.fromkeys(map(int, words)))


async def _listen(host: str | None, ports: Sequence[int], within: float) -> None:
    async with answering(host, ports, say):
        named = ",".join(map(str, ports))
        other = f"bellwire doctor --peer {host or 'THIS_HOST'}" + (f" --ports {named}" * (ports != PORTS))
        say(f"Listening on {named} for {within:g} s, or until Ctrl-C. On the other host: {other}")
        await asyncio.sleep(within)  # nobody says when the last has asked
    say(f"{within:g} s are over: nobody is answered any more.")


def _show_ways(peer: str, ways: Sequence[Way], *, json: bool) -> None:
    """Print what came out. Raise ``CheckFailed`` when a way does not work."""
    broken = [way for way in ways if way.trouble is not None]
    if json:
        emit_json(
            "doctor.ways", {"peer": peer, "works": not broken, "ways": [_document(way) for way in ways]}
        )
    else:
        rows = [
            [
                f"{way.start} → {way.end}",
                str(way.port),
                _WHAT.get(way.port, ""),
                "open" if way.trouble is None else way.trouble.reason,
                "-" if way.round_trip is None else quantity(way.round_trip, "s"),
            ]
            for way in ways
        ]
        print_table("", ["way", "port", "what", "result", "round trip"], rows)
    if broken:
        told = "\n".join(f"{way.start} → {way.end}, port {way.port}: {way.trouble}" for way in broken)
        raise CheckFailed(f"{len(broken)} of {len(ways)} ways do not work:\n{told}")


def _document(way: Way) -> dict[str, object]:
    trouble = way.trouble
    return {
        "from": way.start,
        "to": way.end,
        "port": way.port,
        "works": trouble is None,
        "round_trip_s": way.round_trip,
        "reason": None if trouble is None else trouble.reason,
        "advice": None if trouble is None else trouble.advice,
    }


def _show_findings(findings: Sequence[Finding], *, json: bool) -> None:
    """Print what was found. Raise ``CheckFailed`` where there is trouble."""
    if json:
        emit_json("doctor", {"findings": [asdict(finding) for finding in findings]})
    else:
        marks = {"ok": "[green]✓[/]", "missing": "[yellow]-[/]", "trouble": "[red]✗[/]"}
        for finding in findings:
            out.print(f"{marks[finding.state]} [bold]{finding.subject:16}[/] ", end="")
            out.print(finding.found, markup=False, soft_wrap=True)
            if finding.fix:
                out.print(f"  {'':16} {finding.fix}", markup=False, soft_wrap=True, style="dim")
    if troubles := [finding for finding in findings if finding.state == "trouble"]:
        raise CheckFailed("; ".join(f"{each.subject}: {each.found}" for each in troubles))
