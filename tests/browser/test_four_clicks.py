"""A new planner, who knows nothing but Today, finds each answer of issue 7 in at most four clicks, and it is plainly there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page

from demo import world as port
from tests.browser import world
from tests.browser.conftest import Opening

MOST_CLICKS = 4
HOSPITAL = port.facilities()[port.hospitals()[1]]
"""Of the consignment that the planner is asked about."""


class Planner:
    """Who clicks, and counts."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks = page, 0

    def click(self, what: Locator) -> None:
        self.clicks += 1
        assert self.clicks <= MOST_CLICKS, f"click {self.clicks}: {what}"
        before = self.page.url
        what.click()
        self.page.wait_for_url(lambda url: url != before)

    def follow(self, name: str) -> None:
        """Click the link of that name in the navigation."""
        self.click(self.page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name=name, exact=True))

    def reads(self, where: str) -> str:
        return " ".join(self.page.locator(where).first.inner_text().split())


@pytest.fixture
def planner(open_page: Opening) -> Planner:
    return Planner(open_page("/"))


def test_which_hospital_is_worst_off(planner: Planner) -> None:
    planner.follow("Hospitals")
    answer = planner.reads(".answer")
    first = planner.page.locator("#hospitals tbody tr").first
    assert answer.startswith("Worst off: ") and "critical" in answer
    assert first.locator("td a").first.inner_text() in answer
    planner.click(planner.page.locator(".answer a"))  # and what is on its way there
    assert planner.page.locator("#inbound tbody tr").count() > 0


def test_why_is_this_consignment_late_and_who_says_so(planner: Planner) -> None:
    planner.click(planner.page.locator(f"#main [data-row='{world.STORY}'] a.main"))
    wrong = planner.page.locator("li.wrong").filter(has_text="late").first
    why, who = wrong.locator(".sentence").inner_text(), wrong.locator(".evidence a").first
    assert "41 h late" in why
    sender = who.inner_text().split()[0]
    assert sender in port.senders()
    planner.click(who)  # the very message; where its bytes are not kept here, the page says so
    assert planner.page.locator("h1").count() == 1


def test_which_terminal_is_the_bottleneck_this_week(planner: Planner) -> None:
    planner.follow("Terminals")
    answer = planner.reads(".answer")
    assert answer.startswith("The bottleneck this week: ") and "past free time" in answer
    losses = planner.page.locator("td[data-column='lost']").all_inner_texts()
    assert losses[0] and losses[0] in answer
    planner.click(planner.page.locator(".answer a"))
    assert "terminal=" in planner.page.url and "exception=dwell" in planner.page.url


def test_which_carrier_has_gone_quiet(planner: Planner) -> None:
    quiet = planner.page.locator("section[aria-labelledby='quiet'] li").first
    name = quiet.locator("a").inner_text()
    assert "silent since" in quiet.inner_text()
    planner.click(quiet.locator("a"))
    row = planner.page.locator("#feeds tbody tr").first
    assert name in row.inner_text() and world.QUIET_FEED in row.inner_text()
    assert "silent since then" in row.locator("td[data-column='expected']:has(time)").inner_text()
    assert row.locator("td[data-column='last'] time").count() == 1


def test_what_did_we_tell_the_hospital_and_when(planner: Planner) -> None:
    planner.follow("Hospitals")
    planner.click(planner.page.locator("#hospitals").get_by_role("link", name=HOSPITAL.name, exact=True))
    told = planner.page.locator("#messages tbody tr")
    assert told.count() == 1
    assert f"what {world.STORY} means for you" in told.inner_text()
    assert told.locator("td[data-column='state']").inner_text() == "delivered"
    assert told.locator("td[data-column='last'] time").count() == 1
    planner.click(told.get_by_role("link", name=world.STORY))
    assert "means for you" in planner.page.locator("#messages").inner_text()
