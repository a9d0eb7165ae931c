"""What the user sees of the keys of a lab: what is in store, who delivers it, and what to know of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group
from rich.table import Table

from deploy.cli.screen import print_table, quantity
from deploy.key_pools import KeyPool

_STORED: Final = "Keys in store"
_STORED_COLUMNS: Final = (
    *("node", "shared with", "from", "stored", "units", "reproducible", "QBER", "key rate", "trouble"),
)
_DELIVERY: Final = "Delivery by ETSI GS QKD 014"
_DELIVERY_COLUMNS: Final = ("node", "SAE", "KME", "delivered")


def print_tables(pools: Sequence[KeyPool]) -> None:
    """Print both tables, the second one if there is any delivery."""
    print_table(_STORED, _STORED_COLUMNS, [_stored(pool) for pool in pools])
    if delivering := _delivery(pools):
        print_table(_DELIVERY, _DELIVERY_COLUMNS, delivering)


def tables(pools: Sequence[KeyPool]) -> Group:
    """Return both tables as a terminal shows them."""
    stored = _table(_STORED, _STORED_COLUMNS, [_stored(pool) for pool in pools])
    return Group(stored, _table(_DELIVERY, _DELIVERY_COLUMNS, _delivery(pools)))


class Changes:
    """Prints the rows of both tables that are other than last time, a tab-separated line each."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, ...], list[str]] = {}

    def print(self, pools: Sequence[KeyPool]) -> None:
        """Print what has changed."""
        rows = {(pool.node, pool.peer): _stored(pool) for pool in pools}
        for place, row in [*rows.items(), *(((row[0],), row) for row in _delivery(pools))]:
            if self._shown.get(place) != row:
                self._shown[place] = row
                sys.stdout.write("\t".join(row) + "\n")
        sys.stdout.flush()


def remarks(pools: Sequence[KeyPool]) -> Iterator[str]:
    """Say what a reader of the tables should know."""
    if not any(pool.stored_units or pool.trouble or pool.qber is not None for pool in pools):
        yield (
            "Nothing is in store, and no link makes keys by itself: 'bellwire qkd A B' makes some, a link with "
            "'qkd: {continuous: true}' in the lab file makes them as long as the lab is up in real time."
        )
    if any(pool.reproducible_units for pool in pools):
        yield (
            "Reproducible keys can be computed from the lab's seed: a node delivers them only where its lab file says "
            "'services: {etsi014: {deliver_reproducible: true}}'."
        )
    for node, read in {pool.node: pool.read_bytes for pool in pools if pool.read_bytes}.items():
        yield f"Node {node} is compromised: {quantity(read, 'B')} of the keys that it has relayed were read there."


def _stored(pool: KeyPool) -> list[str]:
    return [
        pool.node,
        pool.peer,
        ", ".join(pool.origins) or "-",
        quantity(pool.stored_bits, "bit"),
        str(pool.stored_units),
        str(pool.reproducible_units),
        "-" if pool.qber is None else f"{100 * pool.qber:.2f} %",
        "-" if pool.secret_rate_bps is None else quantity(pool.secret_rate_bps, "bit/s"),
        pool.trouble or "-",
    ]


def _delivery(pools: Sequence[KeyPool]) -> list[list[str]]:
    nodes = {pool.node: pool for pool in pools if pool.kme_url is not None}
    return [
        [pool.node, ", ".join(pool.sae), pool.kme_url or "-", str(pool.delivered_keys)]
        for pool in nodes.values()
    ]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    return table
