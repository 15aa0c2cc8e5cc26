"""The one kind of error that the local stack raises: what is wrong and what to do about it, in a sentence."""

from __future__ import annotations


class StackError(Exception):
    """Something that a person can mend. `str()` is shown as it is, without a traceback."""
