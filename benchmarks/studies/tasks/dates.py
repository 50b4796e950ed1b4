"""Dates in 20 forms, to be converted to ISO 8601: "the 3rd of July 2024" to "2024-07-03".

Days are drawn from 1950 to 2049, so that a year of two digits has one meaning. No text has two:

- with points the day comes first, with a slash the month;
- with a slash the day comes first as well, but only where it is above 12 and so can be no month.

Names of days, months and endings are English, whatever the system's language.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from benchmarks.studies.tasks import Pairs

FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2049, 12, 31)
DAYS = (LAST_DAY - FIRST_DAY).days + 1
VALIDATION_DAYS = DAYS // 10  # days that are not trained on in any form
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FORMS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{month} {day} {year}",
    "{day} {mon} {year}",
    "{mon} {day}, {year}",
    "{day} {mon} '{yy}",
    "{dd}-{mon}-{year}",
    "{nth} of {month} {year}",
    "the {nth} of {month}, {year}",
    "{month} {nth}, {year}",
    "{month} the {nth}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday} the {nth} of {month} {year}",
    "{wday}, {mon} {day}, {year}",
    "{wday} {dd}.{mm}.{year}",
    "{dd}.{mm}.{year}",
    "{day}.{m}.{yy}",
    "{mm}/{dd}/{year}",
    "{dd}/{mm}/{year}",  # only where the day is above 12
    "{year}, {month} {day}",
)
DAY_FIRST_WITH_SLASH = FORMS.index("{dd}/{mm}/{year}")


def write(day: date, form: int) -> str:
    """Return the day in one of `FORMS`.

    Raises:
      ValueError: a form in which the day could be read as another one.
    """
    if form == DAY_FIRST_WITH_SLASH and day.day <= 12:
        raise ValueError(f"{day} must not be written as {FORMS[form]}: it could be read otherwise")
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    return FORMS[form].format(
        day=day.day,
        dd=f"{day.day:02}",
        nth=ordinal(day.day),
        m=day.month,
        mm=f"{day.month:02}",
        month=month,
        mon=month[:3],
        weekday=weekday,
        wday=weekday[:3],
        year=day.year,
        yy=f"{day.year % 100:02}",
    )


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th ... 11th ... 31st."""
    teen = 10 < number % 100 < 14
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def pairs(train: int, validation: int, seed: int) -> tuple[Pairs, Pairs]:
    """Draw two sets that share no day. Texts within a set may be equal."""
    rng = np.random.default_rng(seed)
    days = rng.permutation(DAYS)
    return _draw(rng, days[VALIDATION_DAYS:], train), _draw(rng, days[:VALIDATION_DAYS], validation)


def _draw(rng: np.random.Generator, days: np.ndarray, count: int) -> Pairs:
    drawn = [FIRST_DAY + timedelta(days=number) for number in rng.choice(days, count).tolist()]
    forms = rng.integers(len(FORMS), size=count).tolist()
    month_first = DAY_FIRST_WITH_SLASH - 1
    sources = [
        write(day, month_first if form == DAY_FIRST_WITH_SLASH and day.day <= 12 else form)
        for day, form in zip(drawn, forms, strict=True)
    ]
    return Pairs(sources, [day.isoformat() for day in drawn])
