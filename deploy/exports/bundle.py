"""A lab taken apart for others to start: what each of its containers runs, is told, and may be reached at.

::

    broker ── control ── state
       └───── nodes ───────┘

What a container is told is a secret that is mounted, and is in no description, image, command or environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from deploy.certificates import Authority
from deploy.children import BrokerPart, NodePart, Part, StatePart
from deploy.containers.parts import BROKER_PORT, STATE_PORT, Errand, errand_of
from deploy.control_address import OPERATOR, OperatorDocument
from deploy.credentials import MONITOR, Credentials
from deploy.elsewhere import CONTROL_PORT, ControlConfig
from deploy.errors import UsageError
from deploy.launcher import Place
from deploy.plan import Plan
from nodes.runtime.config import NodeConfig
from nodes.runtime.orders import CONTROL, CONTROLLER
from shared_state.document import write

SECRETS: Final = Path("/run/secrets")
"""Where a container finds what it is told."""
LONGEST_SECRET: Final = 500_000
LIFETIME: Final = timedelta(days=365)
"""How long the certificates of a lab are valid that others keep up."""
EVENTS_KEPT: Final = 16 << 20
"""Bytes of its latest events that the shared-state server keeps in memory, for it has no file that lasts."""
_HOME: Final = Path("/tmp")
_ANYWHERE: Final = "0.0.0.0"
_BROKER: Final = ("broker", BROKER_PORT)
_STATE: Final = ("state", STATE_PORT)


@dataclass(frozen=True, slots=True)
class Service:
    """One container of a lab: what it runs, and its ``secrets`` by the name of the file in which it finds them."""

    name: str
    errand: Errand
    secrets: dict[str, str]

    @property
    def command(self) -> list[str]:
        """Return what the image's Python is to run."""
        return self.errand.command(str(SECRETS / self.name))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A whole lab, how its operator reaches its control plane, and until when its certificates are valid."""

    lab: str
    image: str
    services: tuple[Service, ...]
    operator: OperatorDocument
    until: datetime


def bundle(plan: Plan, text: str, image: str, directory: Path, hosts: Sequence[str]) -> Bundle:
    """Take the lab of ``plan``, whose file says ``text``, apart; its control plane and KMEs are found at ``hosts``.

    Every call makes an authority and secrets that nobody else has; the certificates of applications are written below
    ``directory``, which is made for this user alone. Raise ``UsageError``, before anything is written, for a lab with
    nodes of somebody else's.
    """
    if plan.external:
        raise UsageError(
            f"what is exported starts all nodes; {', '.join(plan.external)}: remove 'external: true'"
        )
    if plan.world.seed is not None and plan.saes:
        raise UsageError(
            "whoever starts a node again that has a seed lets it draw the same keys again: export a lab that delivers "
            "keys without a seed"
        )
    if files := [name for name, app in plan.apps.items() if Path(app.program).suffix == ".py"]:
        raise UsageError(
            f"programs of your own stay with you: remove the apps {', '.join(files)}, and run them by their files, "
            "'bellwire run ./FILE.py -l operator.json'"
        )
    plan = replace(plan, launcher="docker", broker="mosquitto", journal=False, host="")
    broker, state = Place(_ANYWHERE, BROKER_PORT, _BROKER[0]), Place(_ANYWHERE, STATE_PORT, _STATE[0])
    authority = Authority(plan.lab, datetime.now(UTC), LIFETIME)
    credentials = Credentials(plan, broker, state, authority)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    credentials.issue_certificates(directory, hosts)
    nodes = [
        _node_service(credentials.node_config(node, _BROKER, _STATE, _HOME, 0))
        for node in plan.nodes.values()
    ]
    state_config = replace(
        credentials.server_config(None, None), events_kept=EVENTS_KEPT if plan.record else 0
    )
    parties = (CONTROL, CONTROLLER, MONITOR)
    config = ControlConfig(
        lab=plan.lab,
        text=text,
        mode=plan.world.clock.mode,
        seed=plan.world.seed,
        broker={party: credentials.broker_access(party, *_BROKER) for party in parties},
        state=credentials.state_access(CONTROL, *_STATE),
        tls=authority.identify(CONTROL, [CONTROL, *hosts]),
    )
    control = Errand(
        "deploy serve", write(config), ("classical", "quantum"), CONTROL_PORT, publishes=(CONTROL_PORT,)
    )
    made = Bundle(
        lab=plan.lab,
        image=image,
        services=(
            _service("state", StatePart(state_config)),
            _service("broker", BrokerPart(credentials.broker_config(_HOME / "broker"), "mosquitto")),
            *nodes,
            Service(CONTROL, control, {CONTROL: control.document}),
        ),
        operator=OperatorDocument(plan.lab, hosts[0], CONTROL_PORT, authority.identify(OPERATOR)),
        until=authority.valid[1],
    )
    _check_sizes(made)
    return made


def _check_sizes(made: Bundle) -> None:
    """Raise ``UsageError`` for a lab that is too large: a swarm takes no longer secrets."""
    for service in made.services:
        if longest := [name for name, text in service.secrets.items() if len(text.encode()) > LONGEST_SECRET]:
            raise UsageError(
                f"what '{service.name}' is told ({longest[0]}) is longer than the {LONGEST_SECRET} bytes of a swarm's "
                "secret: export a smaller lab, or bring this one up with --launcher docker"
            )


def _service(name: str, part: Part) -> Service:
    errand = errand_of(part)
    return Service(name, replace(errand, reads=(), writes=()), {name: errand.document})


def _node_service(config: NodeConfig) -> Service:
    """Return a node's container, whose key store is in memory and whose certificate as a KME is a secret, too."""
    keys, files = replace(config.keys, store=str(_HOME / "store.sqlite")), dict[str, str]()
    if (kme := keys.kme) is not None:
        found = (kme.authority, kme.certificate, kme.key)
        names = [f"kme.{config.name}.{part}" for part in ("authority", "certificate", "key")]
        files = {name: path.read_text() for name, path in zip(names, found, strict=True)}
        authority, certificate, key = (SECRETS / name for name in names)
        keys = replace(keys, kme=replace(kme, authority=authority, certificate=certificate, key=key))
    service = _service(config.name, NodePart(replace(config, keys=keys)))
    return replace(service, secrets=service.secrets | files)
