"""``bellwire keys``: what the nodes of a lab that is up have in store, and keys out of it as applications get them."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal
from urllib.parse import quote

import typer
from rich.live import Live
from rich.markup import escape

from deploy.cli.finishing import finish
from deploy.cli.key_tables import Changes, print_tables, remarks, tables
from deploy.cli.options import HereOption, JsonOption, RunningOption
from deploy.cli.screen import emit_json, out, say
from deploy.errors import ControlUnreachable, UsageError
from deploy.key_access import KeyAccess
from deploy.key_pools import KeyPool
from deploy.registry import LabDirectory, Registry
from deploy.remote_lab import RemoteLab

HELP: Final = "Keys in store at the nodes of a lab that is up, and their delivery by ETSI GS QKD 014."

Form = Literal["base64", "hex", "raw"]
SaeArgument = Annotated[
    str, typer.Argument(metavar="SAE", help="The application (SAE) that asks; 'bellwire keys ls' lists them.")
]


def ls(running: RunningOption = None, json: JsonOption = False) -> None:
    """List what each node has in store to share with others, and where it delivers to which applications (SAE).

    A unit has 32 bytes. QBER and key rate are of the last block on the link between the two nodes; trouble says why it
    makes no keys now. What nodes without a link share is relayed when it is asked for, or kept in store (keys.stock).

    Example: bellwire keys ls -l metro --json
    """
    directory = Registry().find(running)
    pools = asyncio.run(RemoteLab(directory.socket).keys())
    if json:
        emit_json("keys", {"lab": directory.name, "pools": [asdict(pool) for pool in pools]})
        return
    if pools:
        print_tables(pools)
    for remark in remarks(pools):
        say(escape(remark))


def watch(
    running: HereOption = None,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.05, help="Wall time between two looks.")
    ] = 1.0,
    looks: Annotated[
        int | None, typer.Option("-n", "--looks", min=1, help="End after so many; else when the lab does.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Watch the stores fill and empty: a live table, a line per change, or with --json JSON Lines.

    Example: bellwire keys watch --json --every 5
    """
    directory = Registry().here(running)
    if json:
        finish(_look(directory, every, looks, lambda pools: _emit(directory.name, pools)))
    elif out.is_terminal:
        with Live(console=out, auto_refresh=False) as live:
            finish(_look(directory, every, looks, lambda pools: live.update(tables(pools), refresh=True)))
    else:
        finish(_look(directory, every, looks, Changes().print))


def get(
    sae: SaeArgument,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="The application that shares the keys.")],
    number: Annotated[int | None, typer.Option("-n", "--number", min=1, help="How many keys.")] = None,
    size: Annotated[int | None, typer.Option("--size", metavar="BITS", min=8, help="Size of a key.")] = None,
    key_id: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="UUID", help="A key that PEER has been given. Repeat for more."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the keys as well.")] = False,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the keys to a new file for you alone.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="Of a key: one per line, or raw bytes (--out only).")
    ] = "base64",
    running: HereOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch keys as an application does, over HTTPS with its certificate; print their IDs.

    With --id fetch the other half: keys that PEER has fetched for SAE. Every key is delivered once to each of them.

    Example: bellwire keys get vpn-north vpn-dc --size 256, then: bellwire keys get vpn-dc vpn-north --id UUID --show
    """
    if key_id and (number or size):
        raise UsageError("--id takes the keys as they are; leave --number and --size out")
    if form == "raw" and (show or file is None):
        raise UsageError("raw bytes are for a file; write --out FILE, or --format hex")
    directory = Registry().here(running)
    access = KeyAccess(directory.path, directory.name)
    access.check_peers(sae, peer)
    with ExitStack() as held:
        # A key that has nowhere to go is lost: the file comes first.
        stream = held.enter_context(_new_file(file)) if file else None
        ids = key_id or ()
        keys = (
            access.get_key_with_ids(sae, peer, ids) if ids else access.get_key(sae, peer, number or 1, size)
        )
        if stream is not None:
            stream.write(b"".join(_written(key, form) for key in keys))
    _tell(keys, form if show else None, json)
    if json:
        return
    if not show and file is None:
        say("The keys themselves are not shown without --show or --out FILE.")
    if not ids:
        say(f"The same for {peer}: bellwire keys get {peer} {sae} --id ID -l {directory.name}")


def curl(
    sae: SaeArgument,
    peer: Annotated[
        str | None, typer.Argument(metavar="PEER", help="The other application. Default: every other one.")
    ] = None,
    running: HereOption = None,
    json: JsonOption = False,
) -> None:
    """Print the calls of curl with which an application asks for status and keys.

    Example: eval "$(bellwire keys curl vpn-north vpn-dc | grep enc_keys)"
    """
    directory = Registry().here(running)
    access = KeyAccess(directory.path, directory.name)
    address = access.of(sae)
    if peer is not None:
        access.check_peers(sae, peer)
    peers = [peer] if peer else [other for other in access.saes() if other != sae]
    calls = [
        access.curl(sae, f"{address.url}/api/v1/keys/{quote(other, safe='')}/{method}")
        for other in peers
        for method in ("status", "enc_keys?number=1", "dec_keys?key_ID=UUID")
    ]
    if json:
        emit_json("keys-curl", {"sae": sae, "url": address.url, "commands": calls})
        return
    for call in calls:
        out.print(shlex.join(call), markup=False, soft_wrap=True)


async def _look(
    directory: LabDirectory, every: float, looks: int | None, show: Callable[[list[KeyPool]], None]
) -> None:
    """Show what is in store again and again, until the lab is down or it was so often."""
    lab, left = RemoteLab(directory.socket), looks
    async with asyncio.TaskGroup() as group:
        down = group.create_task(directory.released())
        while not down.done():
            try:
                show(await lab.keys())
            except ControlUnreachable:  # it goes down at this moment
                break
            left = None if left is None else left - 1
            if left == 0:
                break
            await asyncio.wait([down], timeout=every)
        down.cancel()
    if left != 0:
        say(f"Lab [bold]{directory.name}[/] is down.")


def _emit(lab: str, pools: Sequence[KeyPool]) -> None:
    emit_json("keys", {"lab": lab, "pools": [asdict(pool) for pool in pools]})
    sys.stdout.flush()


@contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    """Give the block a file that only its user can read; remove it when the block fails.

    Raise ``UsageError`` where there is one already, or none can be.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{file} is there already; name a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}; name another file") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _written(key: dict[str, Any], form: Form) -> bytes:
    secret = b64decode(key["key"])
    match form:
        case "raw":
            return secret
        case "hex":
            return secret.hex().encode() + b"\n"
    return b64encode(secret) + b"\n"


def _tell(keys: Sequence[dict[str, Any]], form: Form | None, json: bool) -> None:
    """Print the IDs of keys, and, in the form that is asked for, the keys."""
    written = [None if form is None else _written(key, form).decode().strip() for key in keys]
    if json:
        told = [
            {
                "key_id": key["key_ID"],
                "size_bits": 8 * len(b64decode(key["key"])),
                "reproducible": key.get("key_extension", {}).get("bellwire_reproducible", False),
            }
            | ({} if text is None else {"key": text})
            for key, text in zip(keys, written, strict=True)
        ]
        emit_json("keys-get", {"keys": told})
        return
    for key, text in zip(keys, written, strict=True):
        sys.stdout.write(key["key_ID"] + ("" if text is None else f"\t{text}") + "\n")


VERBS: Final[dict[str, Callable[..., None]]] = {"ls": ls, "get": get, "watch": watch, "curl": curl}
