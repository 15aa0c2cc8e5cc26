"""What a message says: plain words that are understood at four in the morning, on a phone. Pure.

The sentence of an exception is the tracker's own (docs/exceptions.md). Here: what became of it, how bad it is, what it means
for the hospital, and what to do next. Times are in the subscriber's zone. Languages: English (others fall back to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.alerts_v1 import Item, Step, Subscription
from schemas.journey_change_v1 import ExceptionChanged, MilestoneReached
from services.alerts.hours import zone_of

LINES = 12
"""Of a message's items so many are lines; the rest is counted. `Notification.items` has more."""
TEXT_CHARS = 19_000
SUBJECT_CHARS = 120

REACHED = {
    "booked": "booked",
    "received": "received by the carrier",
    "departed": "departed",
    "transship_arrived": "arrived at the port of transshipment",
    "transship_departed": "left the port of transshipment",
    "arrived": "arrived",
    "discharged": "discharged",
    "customs_released": "released by customs",
    "available": "available for pick-up",
    "gate_out": "out of the gate",
    "arrived_consignee": "arrived at the dock",
    "delivered": "delivered",
    "empty_returned": "returned empty",
}
"""A milestone as what happened to the goods."""

WRONG = {
    "late": "late",
    "will_be_late": "will be late",
    "overdue": "overdue",
    "dwell": "standing too long",
    "silent": "silent",
    "on_hold": "on hold",
    "rolled": "rolled to another sailing",
    "short": "short",
    "misrouted": "off its route",
    "conflict": "contradictory reports",
}

OVER = {
    "late": "its delay is behind it",
    "will_be_late": "no longer expected late",
    "silent": "heard from again",
    "short": "complete now",
    "misrouted": "back on its route",
    "conflict": "reports no longer contradict",
}
"""An exception that ended, where `no longer ...` would be odd."""

NEXT = {
    "late": "Plan with the later time; the next step is late too unless somebody makes it up.",
    "will_be_late": "If stock will not last until then, ask for a part by air or from another site now.",
    "overdue": "Ask {who} where it is and for a new time.",
    "dwell": "Send a trucker, or ask {who} what it waits for; storage is charged from now on.",
    "silent": "Ask {who} for a sign of life; what we show may be old.",
    "on_hold": "Ask the customs broker or {who} what is missing, and until when.",
    "rolled": "Ask {who} when the new sailing arrives, and check the stock for that long.",
    "short": "Have the dock count again, then claim the rest from {who}.",
    "misrouted": "Ask {who} to bring it back on its route, and by when.",
    "conflict": "Ask {who} which time is right; until then the stronger word counts.",
}
"""What a reader can do about it: one thing."""


@dataclass(frozen=True, slots=True)
class Words:
    """The three forms of a message."""

    subject: str
    text: str
    sms: str


# -- one thing ---------------------------------------------------------------------------------------------------------


def item(change: ExceptionChanged | MilestoneReached, zone: str) -> Item:
    """What a change says, without what was told before."""
    if isinstance(change, MilestoneReached):
        return _milestone(change, zone)
    wrong = change.exception
    steps: dict[str, Step] = {"open": "opened", "ended": "ended", "withdrawn": "corrected"}
    who = wrong.party or change.carrier or "the carrier"
    return Item(
        consignment=change.consignment,
        key=wrong.key,
        step=steps[wrong.status],
        kind=wrong.kind,
        evidence=change.change_id,
        sentence=wrong.sentence,
        next=NEXT[wrong.kind].format(who=who) if wrong.status == "open" else None,
        milestone=wrong.milestone,
        severity=wrong.severity,
        place=change.terminal,
        facility=change.facility,
        carrier=change.carrier,
        terminal=change.terminal,
        tier=change.tier,
        since=wrong.start,
        until=wrong.end,
        hours_late=wrong.late_h,
    )


def _milestone(change: MilestoneReached, zone: str) -> Item:
    done = REACHED[change.milestone]
    if change.occurred_at is None:
        was = f", as we said for {when(change.previous, zone)}" if change.previous else ""
        sentence = f"It is not {done}{was}: that word was taken back."
    else:
        place = f" at {change.place or change.leg}" if change.place or change.leg else ""
        sentence = f"{done.capitalize()}{place}, {when(change.occurred_at, zone)}"
        sentence += f", says {change.sender}." if change.sender else "."
    return Item(
        consignment=change.consignment,
        key=f"milestone:{change.milestone}:{change.leg}",
        step="corrected" if change.occurred_at is None else "reached",
        kind="milestone",
        evidence=change.change_id,
        sentence=sentence[:500],
        milestone=change.milestone,
        place=change.place,
        facility=change.facility,
        carrier=change.carrier,
        terminal=change.terminal,
        tier=change.tier,
        since=change.occurred_at,
    )


def when(moment: datetime, zone: str) -> str:
    """`12 Apr 01:20 PDT`."""
    local = moment.astimezone(zone_of(zone))
    return f"{local.day} {local:%b %H:%M %Z}"


def hours(value: float) -> str:
    """`18 h`, `3.2 days`."""
    return f"{value / 24:.1f} days" if value >= 48 else f"{value:.0f} h" if value >= 1 else f"{value * 60:.0f} min"


def headline(one: Item) -> str:
    """What happened, in a few words, without which consignment."""
    if one.kind == "milestone":
        done = REACHED[one.milestone] if one.milestone else "moved"
        return {"corrected": f"not {done} after all", "revised": f"{done}, at another time"}.get(one.step, done)
    wrong = WRONG[one.kind]
    if one.milestone and one.kind in ("late", "will_be_late", "overdue", "conflict"):
        wrong = f"{wrong} ({one.milestone.replace('_', ' ')})"
    late = f", {hours(one.hours_late)}" if one.hours_late and one.kind in ("late", "will_be_late", "overdue") else ""
    if one.step == "corrected":
        return f"we were wrong: not {wrong}"
    if one.step == "ended":
        return OVER.get(one.kind, f"no longer {wrong}")
    return f"{'worse: ' if one.step == 'worsened' else ''}{wrong}{late}"


# -- a message ---------------------------------------------------------------------------------------------------------


def words(
    items: Sequence[Item],
    subscription: Subscription,
    *,
    digest: bool,
    away: bool,
    code: str | None,
    now: datetime,
    escalated: bool = False,
) -> Words:
    """A message about `items`, the worst first. `code`: what an acknowledgement says. `escalated`: nobody did."""
    consignments = list(dict.fromkeys(one.consignment for one in items))
    head = _head(items, consignments, digest=digest, away=away)
    if escalated:
        head = f"Nobody acknowledged: {head}"
    lines = [_opening(items, consignments, away=away, digest=digest), ""] if digest or len(consignments) > 1 else []
    for one in items[:LINES]:
        lines += [_line(one, subscription.zone, name=len(consignments) > 1 or digest), ""]
    if len(items) > LINES:
        lines += [f"And {len(items) - LINES} more, less bad than these.", ""]
    steps = list(dict.fromkeys(one.next for one in items if one.next and one.step in ("opened", "worsened")))
    if steps:
        lines += ["What next: " + steps[0], ""]
    if code:
        lines += [f"If you take care of it, answer ACK {code}, or open the link: then nobody else is told.", ""]
    lines.append(f"As of {when(now, subscription.zone)}.")
    return Words(_cut(head, SUBJECT_CHARS), "\n".join(lines)[:TEXT_CHARS], _sms(head, items, code))


def _head(items: Sequence[Item], consignments: Sequence[str], *, digest: bool, away: bool) -> str:
    worst = items[0]
    mark = "CRITICAL " if worst.severity == "critical" and worst.step in ("opened", "worsened") else ""
    where = f" for {worst.facility}" if worst.facility else ""
    if len(consignments) == 1:
        return f"{mark}{_name(worst.consignment)}{where}: {headline(worst)}"
    lead = "While we were away: " if away else "Digest: " if digest else ""
    return f"{lead}{mark}{len(consignments)} consignments, the worst {_name(worst.consignment)}{where}: {headline(worst)}"


def _name(consignment: str) -> str:
    return f"the feed of {consignment.removeprefix('feed:')}" if consignment.startswith("feed:") else consignment


def _opening(items: Sequence[Item], consignments: Sequence[str], *, away: bool, digest: bool) -> str:
    if away:
        return f"We were not at work for a while. This is still so, of {len(consignments)} consignments, the worst first:"
    if digest:
        return f"{len(items)} things about {len(consignments)} consignments, the worst first:"
    return f"{len(consignments)} consignments have the same trouble, the worst first:"


BECAME: dict[Step, str] = {
    "opened": "",
    "reached": "",
    "worsened": "Worse now: ",
    "ended": "Over: ",
    "corrected": "We were wrong: ",
    "revised": "Another time than we said: ",
}


def _line(one: Item, zone: str, *, name: bool) -> str:
    """Which, how bad, what became of it in the tracker's sentence, since when, for whom."""
    is_open = one.step in ("opened", "worsened")
    bad = one.severity if is_open else None
    lead = f"{_name(one.consignment)}{f' [{bad}]' if bad else ''}: " if name else f"{bad.capitalize()}. " if bad else ""
    sentence = f"it is not {WRONG[one.kind]}." if one.step == "corrected" and one.kind != "milestone" else one.sentence
    since = f" Since {when(one.since, zone)}." if one.since and is_open else ""
    over = f" It was over at {when(one.until, zone)}." if one.until and one.step == "ended" else ""
    tier = f" (tier {one.tier})" if one.tier else ""
    where = f" For {one.facility}{tier}." if one.facility else ""
    return f"{lead}{BECAME[one.step]}{sentence}{since}{over}{where}"


def _sms(head: str, items: Sequence[Item], code: str | None) -> str:
    """The short form: what, which, how bad, and the one decision there is. The sender counts segments and may cut it."""
    worst = items[0]
    ask = f" Reply ACK {code} if you take care." if code else ""
    sentence = f" {worst.sentence}"
    room = 300 - len(head) - len(ask) - 1
    return _cut(head, 300 - len(ask) - 1) + "." + (_cut(sentence, room) if room > 40 else "") + ask


def notice(waiting: int, limit: int, until: datetime, zone: str) -> Words:
    """That the budget is spent."""
    said = f"More than {limit} messages in an hour: {waiting} more things come as one digest at {when(until, zone)}"
    return Words(said, f"{said}. Nothing is lost; `lovla delayed` and the console show all of it now.", f"{said}.")


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 3].rstrip() + "..."  # no sign that makes an SMS twice as long
