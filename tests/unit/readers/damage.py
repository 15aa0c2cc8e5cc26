"""What happens to messages on their way."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

Damage = tuple[int, str, bytes]
"""Where, what (cut, put, drop, double), and what is put there."""


def damages(reach: int) -> st.SearchStrategy[list[Damage]]:
    """What may happen to a message on its way; the first `reach` bytes of it."""
    kinds = st.sampled_from(["cut", "put", "drop", "double"])
    return st.lists(st.tuples(st.integers(0, reach), kinds, st.binary(max_size=6)), max_size=6)


def damaged(content: bytes, harm: Sequence[Damage]) -> bytes:
    """The message after that happened to it. A cut leaves more than half of it."""
    for at, what, put in harm:
        where = at % (len(content) + 1)
        if what == "cut":
            content = content[:where] if where > len(content) // 2 else content
        elif what == "put":
            content = content[:where] + put + content[where + len(put) :]
        elif what == "drop":
            content = content[:where] + content[where + 1 + len(put) :]
        else:
            content = content[:where] + content[where : where + 40] + content[where:]
    return content
