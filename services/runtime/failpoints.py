"""Places where a test can make the process die, to prove what a crash there does. Off unless LOVLA_FAILPOINT names one."""

from __future__ import annotations

import os

EXIT_CODE = 137
"""As after SIGKILL: no handler, no flush, no clean-up runs."""


class Failpoints:
    """`spec`: empty, `name`, or `name:n` for the n-th passage."""

    def __init__(self, spec: str = "") -> None:
        self._name, _, count = spec.partition(":")
        self._left = int(count or 1)

    def armed(self, name: str) -> bool:
        """Whether this passage of `name` is the one that ends the process."""
        return bool(self._name) and name == self._name and self._left == 1

    def reach(self, name: str) -> None:
        """End the process here, if so told."""
        if self.armed(name):
            os._exit(EXIT_CODE)
        if name == self._name:
            self._left -= 1
