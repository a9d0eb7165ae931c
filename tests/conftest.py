"""For all tests: how long one example takes is no claim of theirs, since machines are loaded."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("bellwire", deadline=None)
settings.load_profile("bellwire")
