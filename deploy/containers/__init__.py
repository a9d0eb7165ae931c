"""Labs whose parties are containers. What it takes to talk to an engine is the extra ``docker``."""

from deploy.errors import EngineUnusable

try:
    import docker as _docker  # noqa: F401 - whether it is there
except ImportError as missing:
    raise EngineUnusable("containers need an extra: pip install 'bellwire[docker]'") from missing
