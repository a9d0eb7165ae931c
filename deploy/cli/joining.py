"""What the user is shown of how nodes of other hosts join."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.cli.screen import err, say
from deploy.join_door import JoinOffer


def show_offers(offers: Iterable[JoinOffer]) -> None:
    """Show what to type on other hosts, a command for each node."""
    for offer in offers:
        say(
            f"To be node [bold]{offer.node}[/] on another host, once ('bellwire node token {offer.node}' for more):"
        )
        err.print(f"    {offer.command}", markup=False, soft_wrap=True)
