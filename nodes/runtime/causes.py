"""Nested exception groups, as task groups raise them, reduced to what went wrong."""

from __future__ import annotations


def root_cause(error: BaseException) -> BaseException:
    """Return the first error inside nested exception groups, without the scaffolding around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
