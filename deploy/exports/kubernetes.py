"""A lab as Kubernetes objects: a namespace, a secret, a deployment and perhaps a service for each container."""

from __future__ import annotations

import re
from typing import Any

import yaml

from deploy.errors import UsageError
from deploy.exports.bundle import SECRETS, Bundle, Service
from deploy.plan import Plan

_LABEL = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_USER = 65534


def check_names(plan: Plan) -> None:
    """Raise ``UsageError`` for names that Kubernetes does not take."""
    for name in (plan.lab, *plan.nodes):
        if not _LABEL.fullmatch(name):
            raise UsageError(
                f"Kubernetes takes small letters, digits and hyphens: rename '{name}' in the lab file"
            )


def render(bundle: Bundle) -> str:
    """Return the objects as YAML documents."""
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": bundle.lab}}]
    for service in bundle.services:
        objects += [_secret(bundle, service), _deployment(bundle, service)]
        if service.errand.port or service.errand.publishes:
            objects.append(_reachable(bundle, service))
    return yaml.safe_dump_all(objects, sort_keys=False, width=120)


def _metadata(bundle: Bundle, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": bundle.lab, "labels": {"app": name}}


def _secret(bundle: Bundle, service: Service) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(bundle, service.name),
        "type": "Opaque",
        "stringData": service.secrets,
    }


def _deployment(bundle: Bundle, service: Service) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(bundle, service.name),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # two of the same name would not be let in
            "selector": {"matchLabels": {"app": service.name}},
            "template": {"metadata": {"labels": {"app": service.name}}, "spec": _pod(bundle, service)},
        },
    }


def _pod(bundle: Bundle, service: Service) -> dict[str, Any]:
    probe = {"exec": {"command": ["sh", "-c", service.errand.health]}, "periodSeconds": 15}
    container = {
        "name": service.name,
        "image": bundle.image,
        "args": service.command,
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"limits": {"memory": "4Gi" if service.name == "state" else "1Gi"}},
        "readinessProbe": probe,
        "volumeMounts": [
            {"name": "secrets", "mountPath": str(SECRETS), "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
        "containers": [container],
        "volumes": [
            {"name": "secrets", "secret": {"secretName": service.name, "defaultMode": 0o440}},
            {"name": "scratch", "emptyDir": {"medium": "Memory"}},
        ],
    }


def _reachable(bundle: Bundle, service: Service) -> dict[str, Any]:
    ports = sorted({port for port in (service.errand.port, *service.errand.publishes) if port})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(bundle, service.name),
        "spec": {
            "selector": {"app": service.name},
            "ports": [{"name": f"port-{port}", "port": port, "targetPort": port} for port in ports],
        },
    }
