"""What a test hears when a lab cannot serve it, or did not do what it waited for.

::

    DeployError
    ├── EventMissing         what a test waited for has not happened in time; a TimeoutError, too
    ├── MarkInvalid          what @pytest.mark.lab says cannot be meant
    ├── NotOfThisLab         the lab that the tests run against cannot do this: it was brought up by somebody else
    └── Leaked               a test that shares its lab has left something in it
"""

from __future__ import annotations

from deploy.errors import DeployError, UsageError


class EventMissing(DeployError, TimeoutError):
    """What a test waited for has not happened in time."""

    exit_code = 6


class MarkInvalid(UsageError):
    """What ``@pytest.mark.lab`` says cannot be meant."""


class NotOfThisLab(DeployError):
    """The lab that the tests run against cannot do this: it was brought up by somebody else."""


class Leaked(DeployError):
    """A test that shares its lab with others has left something in it."""
