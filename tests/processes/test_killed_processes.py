"""A process is killed: who needs it is told, by name and in time; who does not lives on."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.processes
