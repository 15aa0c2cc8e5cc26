"""`work.acts.v1`: what people do about consignments beside moving them: who takes care, who is to, how long it may wait, notes.

Not a command of a consignment: the tracker has nothing to fold from it (docs/decisions/0045). The log is the audit trail; what
holds now is the newest of each kind that was not undone.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from schemas.base import Code, ConsignmentId, Contract, ShortText, Text, UtcTime

Act = Literal["acknowledge", "assign", "snooze", "note", "undo"]
ACTS: tuple[Act, ...] = get_args(Act)
OWN_FIELD: dict[Act, str] = {"assign": "assignee", "snooze": "until", "note": "text", "undo": "undoes"}
"""The field that an act has and the others have not."""
EXCEPTIONS_MOST = 64


class WorkAct(Contract):
    """One act about one consignment. `exceptions`: keys of what is wrong with it: what is taken care of, or waits.

    `by`: the person, as the door that they signed in at says; `sender`: whose key that door used. `assignee` empty: nobody any
    more. `undoes`: the act of the same consignment that no longer counts; an undo is not undone, the act is done anew.
    """

    act_id: str = Field(pattern=r"^[0-9a-f]{32}$", description="the same for the same request, however often it came")
    consignment: ConsignmentId
    act: Act
    exceptions: tuple[ShortText, ...] = Field((), max_length=EXCEPTIONS_MOST)
    at: UtcTime
    by: ShortText = Field(min_length=1)
    sender: Code
    assignee: ShortText | None = None
    until: UtcTime | None = None
    text: Text | None = Field(None, min_length=1)
    undoes: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for act, name in OWN_FIELD.items():
            if (getattr(self, name) is not None) != (self.act == act):
                raise ValueError(f"{name} belongs to {act}, and to nothing else")
        return self


_COMMON: dict[str, object] = {
    "consignment": "LACDHS-0001",
    "at": "2020-04-12T08:31:00Z",
    "by": "ana",
    "sender": "OPS",
}
_BODIES: tuple[dict[str, object], ...] = (
    {"act": "acknowledge", "exceptions": ["late:discharged", "silent"]},
    {"act": "assign", "assignee": "ben"},
    {"act": "snooze", "exceptions": ["silent"], "until": "2020-04-12T14:00:00Z"},
    {"act": "note", "text": "Called the terminal: it stands behind two others, out by noon."},
    {"act": "undo", "undoes": f"{2:032x}"},
)
EXAMPLES: tuple[WorkAct, ...] = tuple(
    WorkAct.model_validate({**_COMMON, "act_id": f"{n:032x}", **body}) for n, body in enumerate(_BODIES, start=1)
)
