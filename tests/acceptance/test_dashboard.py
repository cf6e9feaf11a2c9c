"""The example's dashboard in a real browser: readings, notifications, and objects that change."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Locator, Page, expect

from .browsing import PHONE, SMALL_PHONE, Enter, Visitor, expect_no_scroll
from .site import Site

pytestmark = pytest.mark.browser

CARD = "Make lemonade"
#: Readings that the demo begins with.
FIRST = 24


class Observer:
    """A user in front of the dashboard."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page

    def open(self) -> None:
        """Open the dashboard from the start page, and wait until it is connected."""
        self.visitor.go("/")
        self.page.get_by_role("link", name="Dashboard").click()
        expect(self.page.locator("#status")).to_have_text("Live")

    @property
    def value(self) -> Locator:
        """The last reading."""
        return self.page.locator("#value")

    @property
    def latest(self) -> Locator:
        """The last notification."""
        return self.page.locator("#latest")

    @property
    def unread(self) -> Locator:
        """The number of notifications."""
        return self.page.locator("#unread")

    def expect_readings(self, count: int) -> None:
        """Wait until so many are on the chart beside those of the demo."""
        points = "document.querySelector('#chart polyline')?.getAttribute('points') ?? ''"
        self.page.wait_for_function(
            f"n => {points}.split(' ').filter(Boolean).length === n", arg=FIRST + count
        )

    def field(self, name: str) -> Locator:
        """The value of a field of the object that is watched."""
        return self.page.locator(f"dt:text-is('{name}') + dd")


@pytest.fixture
def alice(enter: Enter) -> Observer:
    """Alice, who has the dashboard open."""
    alice = Observer(enter("Alice"))
    alice.open()
    return alice


@pytest.fixture
def bob(enter: Enter) -> Observer:
    """Bob, who has the dashboard open."""
    bob = Observer(enter("Bob"))
    bob.open()
    return bob


def send(site: Site, body: str, token: str = "example") -> int:
    """POST a reading, as a thermometer does; return the status of the answer."""
    url = f"http://localhost:{site.port}/api/readings/"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body.encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def reading(value: float) -> str:
    return json.dumps({"value": value})


def test_readings_go_to_all_who_look_and_to_those_who_come_later(
    alice: Observer, enter: Enter, site: Site
) -> None:
    for value in (20, 21.5, 22.5):
        assert send(site, reading(value)) == 201
    alice.expect_readings(3)
    expect(alice.value).to_have_text("22.5 °C")
    bob = Observer(enter("Bob"))
    bob.open()
    bob.expect_readings(3)
    assert send(site, reading(19)) == 201
    for observer in (alice, bob):
        expect(observer.value).to_have_text("19.0 °C")
        observer.expect_readings(4)


def test_readings_that_come_while_a_user_is_offline_are_there_afterwards(
    alice: Observer, site: Site
) -> None:
    send(site, reading(20))
    alice.expect_readings(1)
    alice.visitor.line.cut()
    expect(alice.page.locator("#status")).to_have_text("Connecting…")
    send(site, reading(21))
    alice.visitor.line.mend()
    expect(alice.value).to_have_text("21.0 °C")
    # None is there twice.
    alice.expect_readings(2)


def test_a_reading_that_is_not_valid_and_a_sender_without_the_token_are_refused(site: Site) -> None:
    bodies = ["", "[]", "{}", '{"value": "warm"}', '{"value": NaN}']
    assert {send(site, body) for body in bodies} == {400}
    assert send(site, reading(20), token="another") == 401


def test_a_button_measures(alice: Observer, bob: Observer) -> None:
    alice.page.get_by_role("button", name="Measure now").click()
    alice.expect_readings(1)
    bob.expect_readings(1)


def test_each_has_notifications_of_his_own(alice: Observer, bob: Observer, site: Site) -> None:
    expect(alice.unread).to_be_hidden()
    send(site, reading(31.5))
    send(site, reading(32.5))
    for observer in (alice, bob):
        expect(observer.unread).to_have_text("2")
        expect(observer.latest).to_have_text("It is too warm: 32.5 °C.")
    alice.page.get_by_role("button", name="Mark as read").click()
    expect(alice.unread).to_be_hidden()
    expect(alice.latest).to_have_text("Nothing new.")
    expect(bob.unread).to_have_text("2")


def test_any_object_can_be_watched_as_it_changes(alice: Observer, bob: Observer) -> None:
    alice.page.get_by_role("link", name=CARD).click()
    expect(alice.field("title")).to_have_text(CARD)
    expect(alice.field("state")).to_have_text("todo")
    bob.visitor.go("/admin/boards/task/")
    bob.page.get_by_role("link", name=CARD).click()
    bob.page.get_by_label("State").select_option("doing")
    bob.page.get_by_role("button", name="Save", exact=True).click()
    expect(alice.field("state")).to_have_text("doing")
    bob.page.get_by_role("link", name=CARD).first.click()
    bob.page.get_by_role("link", name="Delete", exact=True).click()
    bob.page.get_by_role("button", name="Yes").click()
    expect(alice.page.locator("#fields")).to_have_text("It is gone.")


def test_the_command_that_sends_a_reading_can_be_copied(alice: Observer) -> None:
    alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    alice.expect_readings(0)
    alice.page.get_by_role("button", name="Copy").click()
    expect(alice.page.get_by_role("button", name="Copied")).to_be_visible()
    copied = alice.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl http://") and copied.endswith("""-d '{"value": 31.5}'""")


def test_a_page_of_an_object_leads_back(alice: Observer) -> None:
    alice.page.get_by_role("link", name=CARD).click()
    alice.page.get_by_role("link", name="Back to the dashboard").click()
    expect(alice.page.locator("#chart")).to_be_visible()


def test_browsers_find_the_icon_wherever_they_ask(alice: Observer) -> None:
    answer = alice.page.request.get(f"{alice.visitor.line.url}/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_an_object_that_cannot_be_watched_is_not_found(alice: Observer) -> None:
    for path in ("/objects/auth.User/1/", "/objects/boards.Board/none/"):
        alice.visitor.go(path)
        expect(alice.page.locator("#fields")).to_have_text("Not found")


@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["phone", "small phone"])
def test_it_fits_on_a_phone(enter: Enter, site: Site, viewport: dict[str, int]) -> None:
    observer = Observer(enter("Alice", viewport=viewport))
    observer.open()
    send(site, reading(20))
    observer.expect_readings(1)
    expect_no_scroll(observer.visitor)
