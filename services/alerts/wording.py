"""What a message says: plain words that are understood at four in the morning, on a phone. Pure.

An exception's sentence is the tracker's own in English (docs/exceptions.md), made of the same facts in other languages.
Here: what became of it, how bad it is, what it means for the hospital, and what to do next. Times are in the subscriber's zone.
The words themselves stand in services/alerts/languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.alerts_v1 import Item, Step, Subscription
from schemas.journey_change_v1 import ExceptionChanged, MilestoneReached
from services.alerts.hours import zone_of
from services.alerts.languages import Language, language
from services.alerts.retelling import retold

LINES = 12
"""Of a message's items so many are lines; the rest is counted. `Notification.items` has more."""
TEXT_CHARS = 19_000
SUBJECT_CHARS = 120


@dataclass(frozen=True, slots=True)
class Words:
    """The three forms of a message."""

    subject: str
    text: str
    sms: str


# -- one thing ---------------------------------------------------------------------------------------------------------


def item(change: ExceptionChanged | MilestoneReached, zone: str, code: str = "en") -> Item:
    """What a change says, without what was told before. `code`: of the language."""
    speech = language(code)
    if isinstance(change, MilestoneReached):
        return _milestone(change, zone, speech)
    wrong = change.exception
    steps: dict[str, Step] = {"open": "opened", "ended": "ended", "withdrawn": "corrected"}
    who = wrong.party or change.carrier or speech.say("say.the_carrier")
    return Item(
        consignment=change.consignment,
        key=wrong.key,
        step=steps[wrong.status],
        kind=wrong.kind,
        evidence=change.change_id,
        sentence=_sentence(change, who, speech),
        next=speech.say(f"next.{wrong.kind}", who=who) if wrong.status == "open" else None,
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


def _sentence(change: ExceptionChanged, who: str, speech: Language) -> str:
    """The tracker's own in English; else the same, or, of a form that we do not know, what the exception's fields say."""
    wrong = change.exception
    if speech.code == "en":
        return wrong.sentence
    done = speech.say(f"reached.{wrong.milestone}") if wrong.milestone else speech.say("say.moved")
    step = speech.say(f"step.{wrong.milestone}") if wrong.milestone else done
    same = retold(wrong.kind, wrong.sentence, done[0].upper() + done[1:], step, speech)
    if same is not None:
        return same
    late = "" if wrong.late_h is None else speech.hours(wrong.late_h)
    facts = {
        "who": who,
        "done": done[0].upper() + done[1:],
        "step": step,
        "hours": late,
        "place": change.terminal or change.facility or "",
    }
    return " ".join(speech.say(f"sentence.{wrong.kind}", **facts).split())


def _milestone(change: MilestoneReached, zone: str, speech: Language) -> Item:
    done = speech.say(f"reached.{change.milestone}")
    if change.occurred_at is None:
        was = speech.say("say.as_we_said_for", time=when(change.previous, zone, speech)) if change.previous else ""
        sentence = speech.say("say.milestone_taken_back", done=done, was=was)
    else:
        where = change.place or change.leg
        sentence = speech.say(
            "say.milestone_reached",
            done=done[0].upper() + done[1:],
            place=speech.say("say.at_place", place=where) if where else "",
            time=when(change.occurred_at, zone, speech),
            says=speech.say("say.says", sender=change.sender) if change.sender else "",
        )
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


def when(moment: datetime, zone: str, speech: Language) -> str:
    """`12 Apr 01:20 PDT`."""
    return speech.when(moment, zone_of(zone))


def headline(one: Item, speech: Language) -> str:
    """What happened, in a few words, without which consignment."""
    if one.kind == "milestone":
        done = speech.say(f"reached.{one.milestone}") if one.milestone else speech.say("say.moved")
        if one.step == "corrected":
            return speech.say("say.not_after_all", done=done)
        return speech.say("say.at_another_time", done=done) if one.step == "revised" else done
    wrong = speech.say(f"wrong.{one.kind}")
    if one.milestone and one.kind in ("late", "will_be_late", "overdue", "conflict"):
        wrong = f"{wrong} ({speech.say(f'step.{one.milestone}')})"
    if one.step == "corrected":
        return speech.say("say.we_were_wrong", wrong=wrong)
    if one.step == "ended":
        return speech.say(f"over.{one.kind}")
    if one.hours_late and one.kind in ("late", "will_be_late", "overdue"):
        wrong = f"{wrong}, {speech.hours(one.hours_late)}"
    return speech.say("say.worse", wrong=wrong) if one.step == "worsened" else wrong


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
    speech, zone = language(subscription.language), subscription.zone
    consignments = list(dict.fromkeys(one.consignment for one in items))
    head = _head(items, consignments, speech, digest=digest, away=away)
    if escalated:
        head = speech.say("say.escalated", head=head)
    lines = [_opening(items, consignments, speech, away=away, digest=digest), ""] if digest or len(consignments) > 1 else []
    for one in items[:LINES]:
        lines += [_line(one, zone, speech, name=len(consignments) > 1 or digest), ""]
    if len(items) > LINES:
        lines += [speech.say("say.and_more", count=len(items) - LINES), ""]
    steps = list(dict.fromkeys(one.next for one in items if one.next and one.step in ("opened", "worsened")))
    if steps:
        lines += [speech.say("say.what_next", step=steps[0]), ""]
    if code:
        lines += [speech.say("say.acknowledge", code=code), ""]
    lines.append(speech.say("say.as_of", time=when(now, zone, speech)))
    return Words(_cut(head, SUBJECT_CHARS), "\n".join(lines)[:TEXT_CHARS], _sms(head, items, code, speech))


def _head(items: Sequence[Item], consignments: Sequence[str], speech: Language, *, digest: bool, away: bool) -> str:
    worst = items[0]
    mark = speech.say("say.critical_mark") if worst.severity == "critical" and worst.step in ("opened", "worsened") else ""
    where = speech.say("say.for_facility", facility=worst.facility) if worst.facility else ""
    name, told = _name(worst.consignment, speech), headline(worst, speech)
    if len(consignments) == 1:
        return f"{mark}{name}{where}: {told}"
    lead = speech.say("say.away_lead") if away else speech.say("say.digest_lead") if digest else ""
    count = len(consignments)
    return speech.say("say.several", lead=lead, mark=mark, count=count, name=name, where=where, headline=told)


def _name(consignment: str, speech: Language) -> str:
    sender = consignment.removeprefix("feed:")
    return consignment if sender == consignment else speech.say("say.feed_of", sender=sender)


def _opening(items: Sequence[Item], consignments: Sequence[str], speech: Language, *, away: bool, digest: bool) -> str:
    count = len(consignments)
    if away:
        return speech.say("say.away_opening", count=count)
    if digest:
        return speech.say("say.digest_opening", things=len(items), count=count)
    return speech.say("say.group_opening", count=count)


def _line(one: Item, zone: str, speech: Language, *, name: bool) -> str:
    """Which, how bad, what became of it in the tracker's sentence, since when, for whom."""
    is_open = one.step in ("opened", "worsened")
    bad = speech.say(f"severity.{one.severity}") if is_open and one.severity else None
    called = _name(one.consignment, speech)
    lead = f"{called}{f' [{bad}]' if bad else ''}: " if name else f"{bad.capitalize()}. " if bad else ""
    taken_back = one.step == "corrected" and one.kind != "milestone"
    sentence = speech.say("say.is_not", wrong=speech.say(f"wrong.{one.kind}")) if taken_back else one.sentence
    since = speech.say("say.since", time=when(one.since, zone, speech)) if one.since and is_open else ""
    over = speech.say("say.was_over_at", time=when(one.until, zone, speech)) if one.until and one.step == "ended" else ""
    tier = speech.say("say.tier", tier=one.tier) if one.tier else ""
    where = speech.say("say.for_hospital", facility=one.facility, tier=tier) if one.facility else ""
    return f"{lead}{speech.say(f'became.{one.step}')}{sentence}{since}{over}{where}"


def _sms(head: str, items: Sequence[Item], code: str | None, speech: Language) -> str:
    """The short form: what, which, how bad, and the one decision there is. The sender counts segments and may cut it."""
    worst = items[0]
    ask = speech.say("sms.acknowledge", code=code) if code else ""
    sentence = f" {worst.sentence}"
    room = 300 - len(head) - len(ask) - 1
    return _cut(head, 300 - len(ask) - 1) + "." + (_cut(sentence, room) if room > 40 else "") + ask


def notice(waiting: int, limit: int, until: datetime, subscription: Subscription) -> Words:
    """That the budget is spent."""
    speech = language(subscription.language)
    said = speech.say("say.budget", limit=limit, waiting=waiting, time=when(until, subscription.zone, speech))
    return Words(said, speech.say("say.budget_text", said=said), f"{said}.")


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 3].rstrip() + "..."  # no sign that makes an SMS twice as long
