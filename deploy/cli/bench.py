"""``bellwire bench``: how fast this machine runs a lab, beside what its loopback and broker can do at best."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from deploy.bench import measure, real_time_lag
from deploy.bench_keys import link_figures, stage_figures
from deploy.bench_network import network_rates
from deploy.bench_state import state_rates
from deploy.cli.finishing import finish
from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out, print_table, quantity, say


def command(
    rounds: Annotated[int, typer.Option("--rounds", min=10, help="Rounds of each measurement.")] = 2000,
    broker: Annotated[
        Literal["embedded", "mosquitto", "auto"], typer.Option("--broker", help="The broker to measure on.")
    ] = "embedded",
    keys: Annotated[
        float, typer.Option("--keys", min=0, help="Watch a link that makes keys for so many seconds instead.")
    ] = 0.0,
    json: JsonOption = False,
) -> None:
    """Measure pairs, teleportations, swaps, sifted bits and turns per wall second, beside bare round trips.

    Example: bellwire bench --broker mosquitto

    Example: bellwire bench --keys 30 --broker auto
    """
    if keys:
        _bench_keys(keys, broker, json)
        return
    say(f"Measuring {rounds} rounds of each on the {broker} broker ...")
    measurements = finish(measure(rounds, broker))
    state = finish(state_rates(rounds))
    network = finish(network_rates(rounds, broker))
    lags = finish(real_time_lag(rounds, broker))
    if json:
        told = {node: figures.document() for node, figures in lags.items()}
        emit_json(
            "bench",
            {
                "broker": broker,
                **{m.key: m.rate for m in measurements},
                "state_server": state,
                "network": network,
                "lag": told,
            },
        )
        return
    rows = [
        [
            m.what,
            f"{m.rate:,.0f} /s",
            f"{m.rate / measurements[0].rate:.3f}",
            f"{m.rate / measurements[1].rate:.3f}",
        ]
        for m in measurements
    ]
    print_table("Per wall second", ["what", "rate", "per echo", "per MQTT round trip"], rows)
    print_table(
        "End-to-end pairs over ideal links, in real time",
        ["what", "rate", "per MQTT round trip"],
        [
            [what, f"{network[key]:,.0f} /s", f"{network[key] / measurements[1].rate:.3f}"]
            for what, key in (
                ("3 nodes, pairs one by one", "chain_3_single_hz"),
                ("3 nodes, batches of 32", "chain_3_batched_hz"),
                ("9 nodes, pairs one by one", "chain_9_single_hz"),
                ("9 nodes, batches of 32", "chain_9_batched_hz"),
            )
        ],
    )
    print_table(
        "The shared-state server beside bare sockets",
        ["what", "rate", "bare echo", "of it"],
        [
            [what, f"{state[key]:,.0f} /s", f"{state[floor]:,.0f} /s", f"{state[key] / state[floor]:.2f}"]
            for what, key, floor in (
                ("request and answer", "requests_hz", "echo_hz"),
                ("the same, with a journal", "journalled_requests_hz", "echo_hz"),
                ("one-qubit gates, pipelined", "gates_hz", "pipelined_echo_hz"),
                ("the same, with a journal", "journalled_gates_hz", "pipelined_echo_hz"),
            )
        ],
    )
    print_table(
        "Lag behind the clock in real time, scale 1, links of 1 ms",
        ["node", "99 % within", "mean", "worst", "measured"],
        [
            [
                node,
                *(quantity(lag, "s") for lag in (figures.p99, figures.mean, figures.worst)),
                f"{figures.count}",
            ]
            for node, figures in lags.items()
        ],
    )


def _bench_keys(seconds: float, broker: str, json: bool) -> None:
    """Print what a metropolitan link makes in real time, and what its stages can do."""
    say(f"Watching the link of lab metro-megabit for {seconds:g} s on the {broker} broker ...")
    link = finish(link_figures(seconds, broker))
    stages = finish(stage_figures(link.sifted_bps))
    if json:
        told = {"broker": broker, **asdict(link), "stages": [asdict(each) for each in stages]}
        emit_json("bench-keys", told)
        return
    out.print(
        f"[bold]{quantity(link.secret_bps, 'bit/s')}[/] of secret key from "
        f"{quantity(link.sifted_bps, 'bit/s')} sifted at {link.qber:.2%}, "
        f"{link.blocks} blocks in {link.watched_s:.1f} s",
        soft_wrap=True,
    )
    rows = [
        [name, f"{cores:.2f}", quantity(link.lag_s[name], "s") if name in link.lag_s else "-"]
        for name, cores in link.cores.items()
    ]
    print_table("Processes of the link", ["process", "cores", "lag, 99 % within"], rows)
    rows = [
        [each.stage, f"{quantity(each.bps, 'bit/s')} of {each.of}", f"{each.share:.2f}"] for each in stages
    ]
    print_table("Stages by themselves, both ends together", ["stage", "per core", "cores on this link"], rows)
