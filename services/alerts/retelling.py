"""The tracker's English sentence taken apart, so that another language says all that it says. Pure.

Times, places, counts and who said it stand in the sentence alone (docs/exceptions.md). A sentence of another form, of a newer
tracker, is none of ours: wording.py then says less, from the exception's fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.alerts.languages import Language, language

_WHEN = r"\d\d [A-Z][a-z]{2} \d\d:\d\d \S+?"
_SPAN = r"[\d.]+ (?:d|h|min)"
_BY = rf"Should .+? by (?P<by>{_WHEN})(?: \(so said (?P<so_said>\S+)\))?; "
_FORMS: Mapping[str, Mapping[str, str]] = {
    "late": {"late_by": rf".+? (?P<span>{_SPAN}) late: (?P<actual>{_WHEN}) says (?P<who>\S+), planned was (?P<plan>{_WHEN})\."},
    "will_be_late": {
        "will_be_late_by": rf"(?P<who>\S+) expects it .+? by (?P<by>{_WHEN}), (?P<span>{_SPAN}) after the plan"
        rf" \((?P<plan>{_WHEN})\)\."
    },
    "overdue": {
        "overdue_unsaid": rf"{_BY}nobody says that it has\.",
        "overdue_some": rf"{_BY}(?P<left>\d+) of (?P<total>\d+)(?: pieces)? still not\.",
        "overdue_settled": rf"{_BY}settled (?P<end>{_WHEN})\.",
    },
    "dwell": {
        "dwell_at": rf"It has been standing at (?P<place>.+) since (?P<since>{_WHEN}); (?P<free>[\d.]+) h are free\.",
        "dwell_of": r"(?P<left>\d+) of (?P<total>\d+) units have been standing at (?P<place>.+)"
        rf" since (?P<since>{_WHEN}); (?P<free>[\d.]+) h are free\.",
        "dwell_was": rf"Stood at (?P<place>.+) (?P<span>{_SPAN}); (?P<free>[\d.]+) h are free\.",
    },
    "silent": {
        "silent_since": rf"No word since (?P<since>{_WHEN}), while (?P<phase>[a-z ]+); (?P<span>{_SPAN}) is the limit\.",
        "silent_was": rf"No word from (?P<since>{_WHEN}) to (?P<end>{_WHEN}), while (?P<phase>[a-z ]+)\.",
        "silent_feed": rf"(?P<who>\S+) has sent nothing since (?P<since>{_WHEN}); (?P<span>{_SPAN}) is its limit\.",
    },
    "on_hold": {
        "on_hold_since": rf"On (?P<hold>\w+) hold since (?P<since>{_WHEN}), says (?P<who>\S+)\.",
        "on_hold_was": rf"Was on (?P<hold>\w+) hold from (?P<since>{_WHEN}) to (?P<end>{_WHEN})\.",
    },
    "rolled": {"rolled_to": r"Rolled from (?P<first>.+) to (?P<named>.+), says (?P<who>\S+)\."},
    "short": {
        "short_of": r"Short by (?P<missing>[\d,]+) of (?P<quantity>[\d,]+) (?P<item>\w+) \(line (?P<line>\d+)\),"
        r" counted by (?P<who>\S+)\."
    },
    "misrouted": {
        "misrouted_at": rf"At (?P<place>.+) since (?P<since>{_WHEN}), which is not on its route"
        r" \((?P<first>.+) to (?P<named>.+)\), says (?P<who>\S+)\."
    },
    "conflict": {
        "conflict_of": rf".+?: (?P<who>\S+) says (?P<first>{_WHEN})(?: at (?P<at>.+))?,"
        rf" (?P<other>\S+) says (?P<second>{_WHEN})(?: at (?P<elsewhere>.+))?\."
    },
}
_READ = {kind: [(key, re.compile(form)) for key, form in forms.items()] for kind, forms in _FORMS.items()}
_SOMETIMES = {"so_said": "so_said", "at": "at", "elsewhere": "at"}
_WORDS = ("phase", "hold", "item")
_MONTHS = {month: n for n, month in enumerate(language("en").texts["time.months"].split())}
_TIME = re.compile(r"(\d\d) ([A-Z][a-z]{2}) (\d\d:\d\d \S+)")


def retold(kind: str, sentence: str, done: str, step: str, speech: Language) -> str | None:
    """The same in another language; None: it is no sentence that we know. `done`, `step`: the milestone's words."""
    for key, form in _READ[kind]:
        if found := form.fullmatch(sentence):
            fields = {name: _field(name, value, speech) for name, value in found.groupdict().items()}
            return speech.say(f"sentence.{key}", done=done, step=step, **fields)
    return None


def _field(name: str, value: str | None, speech: Language) -> str:
    if name in _SOMETIMES:
        return "" if value is None else speech.say(f"sentence.{_SOMETIMES[name]}", value=value)
    assert value is not None
    if name in _WORDS:
        return speech.texts.get(f"sentence.{name}_{value.replace(' ', '_')}", value)
    if name == "span":
        number, unit = value.split()
        return speech.hours(float(number) * {"d": 24, "h": 1, "min": 1 / 60}[unit])
    if (time := _TIME.fullmatch(value)) and time[2] in _MONTHS:
        return f"{int(time[1])} {speech.texts['time.months'].split()[_MONTHS[time[2]]]} {time[3]}"
    return value
