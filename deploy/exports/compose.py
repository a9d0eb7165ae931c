"""A lab as a Compose file, and as a stack for a swarm of several hosts, which is a Compose file with placement."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

import yaml

from deploy.errors import UsageError
from deploy.exports.bundle import SECRETS, Bundle, Service
from deploy.launcher import SERVERS
from deploy.plan import Plan
from deploy.wording import unknown
from nodes.runtime.orders import CONTROL

Form = Literal["compose", "swarm"]
_SWARM_VERSION: Final = "3.8"
_RESTARTED: Final = {"condition": "any", "delay": "1s"}
_MEMORY: Final = {"state": "4G"}


def check_places(plan: Plan, places: Collection[str]) -> None:
    """Raise ``UsageError`` when the lab has no container of a name that is given a place."""
    names = [*SERVERS, CONTROL, *plan.nodes]
    if strange := [name for name in places if name not in names]:
        raise UsageError(f"--place {strange[0]}: {unknown('container', strange[0], names)}")


def render(bundle: Bundle, form: Form, places: Mapping[str, str] = {}) -> str:
    """Return the file. In a swarm ``places`` say on which host a container is to be, by its host name."""
    secrets = {
        _secret(name): {"file": f"./secrets/{name}"}
        for service in bundle.services
        for name in service.secrets
    }
    document: dict[str, Any] = {
        "services": {service.name: _service(bundle, service, form, places) for service in bundle.services},
        "networks": {
            plane: {"driver": "overlay" if form == "swarm" else "bridge"}
            for plane in ("classical", "quantum")
        },
        "secrets": secrets,
    }
    if form == "swarm":
        document = {"version": _SWARM_VERSION, **document}
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _service(bundle: Bundle, service: Service, form: Form, places: Mapping[str, str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "image": bundle.image,
        "command": service.command,
        "hostname": service.name,
        "user": f"{os.getuid()}:{os.getgid()}",
        "networks": {plane: {"aliases": [service.name]} for plane in service.errand.planes},
        "read_only": True,
        "cap_drop": ["ALL"],
        "volumes": [{"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 256 << 20}}],
        "secrets": [_mounted(name, form) for name in service.secrets],
        "healthcheck": {"test": ["CMD-SHELL", service.errand.health], "interval": "15s"},
    }
    if service.errand.publishes:
        described["ports"] = [_port(port, form) for port in service.errand.publishes]
    memory = _MEMORY.get(service.name, "1G")
    if form == "compose":
        described |= {
            "restart": "on-failure",
            "security_opt": ["no-new-privileges:true"],
            "pids_limit": 128,
            "mem_limit": memory,
        }
        return described
    placed = [f"node.hostname == {places[service.name]}"] if service.name in places else []
    described["deploy"] = {
        "endpoint_mode": "dnsrr",
        "restart_policy": _RESTARTED,
        "placement": {"constraints": placed},
        "resources": {"limits": {"memory": memory}},
    }
    return described


def _port(port: int, form: Form) -> Any:
    if form == "compose":
        return f"{port}:{port}"
    return {"target": port, "published": port, "protocol": "tcp", "mode": "host"}


def _mounted(name: str, form: Form) -> dict[str, Any]:
    mount: dict[str, Any] = {"source": _secret(name), "target": str(SECRETS / name)}
    if form == "swarm":
        mount |= {"uid": str(os.getuid()), "gid": str(os.getgid()), "mode": 0o400}
    return mount


def _secret(name: str) -> str:
    return name.replace(".", "_._")  # no name of a lab has a point
