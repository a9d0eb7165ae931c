"""As what the parties of a lab can be started: what the lab file's ``runtime.launcher`` may say."""

from __future__ import annotations

from typing import Final, get_args, get_type_hints

from deploy.lab import Runtime

LAUNCHERS: Final[tuple[str, ...]] = get_args(get_type_hints(Runtime)["launcher"])
