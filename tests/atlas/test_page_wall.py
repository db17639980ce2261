"""The wall of pictures in a browser: every picture where its unit is, found by pointing, searching and filtering."""

import re

import pytest

from tests.support.atlas_site import CLASSES, HOSTILE, write_site
from tests.support.page import FIRST, NAMES, WALL, pointed, still, wrongly_drawn


def test_pictures_hang_where_their_units_are(visit, address):
    wrong, right = wrongly_drawn(visit(address))
    assert wrong == [] and right >= 3


@pytest.mark.parametrize("query", ["layout=looks", "layout=grid&sort=-rise", "at=5,4,3"])
def test_every_arrangement_is_drawn_rightly(visit, hosted, query):
    wrong, right = wrongly_drawn(visit(f"{hosted}#/?{query}"))
    assert wrong == [] and right >= 3


def test_zooming_and_panning_leave_no_gaps(visit, address):
    page = visit(address)
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".wall").hover()
    page.mouse.wheel(0, -400)
    still(page)
    page.mouse.move(700, 500)
    page.mouse.down()
    page.mouse.move(620, 430, steps=4)
    page.mouse.up()
    wrong, right = wrongly_drawn(page)
    assert wrong == [] and right >= 3
    assert re.search(r"at=[\d.-]+,[\d.-]+,[\d.]+$", page.url)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_url(lambda url: "at=" not in url)


@pytest.mark.parametrize("query", ["", "layout=looks", "is.verdict=good"])
def test_many_small_pictures_are_drawn_rightly(visit, sites, query):
    many = sites / "many"
    if not many.exists():
        write_site(many, {"logits": [str(unit) for unit in range(3000)]}, columns=70, photos=0)
    page = visit(f"{(many / 'index.html').as_uri()}#/?{query}")
    wrong, right = wrongly_drawn(page, names=[f"logits:{unit}" for unit in range(3000)])
    assert wrong == [] and right >= 5


def test_going_on_before_pictures_have_come(visit, hosted):
    page = visit(f"{hosted}#/about", wait="h1")
    page.route("**/sheets/**", lambda route: (page.wait_for_timeout(150), route.continue_()))
    for hash in ("#/", "#/?layout=looks", FIRST, "#/?is.verdict=good"):
        page.evaluate("hash => { location.hash = hash; }", hash)
        page.wait_for_selector(".wall, .unit")
        page.wait_for_timeout(60)
    page.get_by_role("button", name="by looks").click()
    page.get_by_role("button", name="sorted").click()
    page.unroute("**/sheets/**")
    wrong, right = wrongly_drawn(page)
    assert wrong == [] and right >= 3


def test_click_opens_the_unit_and_back_returns_to_the_view(visit, address):
    page = visit(f"{address}#/?layout=looks&at=5,3,4")
    still(page)
    view = page.url
    unit, middle = pointed(page, 0.5, 0.5)
    page.mouse.click(*middle)
    page.wait_for_selector("h1:not(.unseen)")
    assert page.locator("h1").inner_text() == unit and page.url.endswith(f"#/unit/{unit}")
    page.keyboard.press("Escape")
    page.wait_for_selector(WALL)
    assert page.url == view


def test_search_suggests_units_and_classes(visit, address):
    page = visit(address)
    page.keyboard.press("/")
    page.keyboard.type("1:7")
    options = page.get_by_role("option")
    assert options.nth(0).locator(".name").inner_text() == "blocks.1.mlp.hidden:7"
    assert {"blocks.1.mlp.hidden:70", "blocks.1.mlp.hidden:77"} <= set(options.locator(".name").all_inner_texts())
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("combobox", name="Search").get_attribute("aria-activedescendant") == options.nth(
        0
    ).get_attribute("id")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="blocks.1.mlp.hidden:7").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("<script>")
    page.get_by_role("option", name=HOSTILE[0]).first.click()
    page.wait_for_selector(WALL)
    expected = sum(CLASSES[unit % len(CLASSES)] == HOSTILE[0] for unit in range(len(NAMES)))
    page.get_by_text(f"{expected} of 62 units").wait_for()
    assert HOSTILE[0] in page.locator(".chips").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("cat")
    page.keyboard.press("Enter")
    page.get_by_text("14 of 62 units").wait_for()
    assert page.url.endswith("text=cat")


def test_filter_and_sort_by_hand_make_a_permalink(visit, address):
    page = visit(address)
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("good").check()
    page.get_by_label("rise: at least").fill("1")
    page.get_by_label("rise: at most").fill("5")
    page.get_by_label("leave near-duplicates out").check()
    page.get_by_role("button", name="sorted").click()
    page.get_by_label("Sort by").select_option("rise")
    page.get_by_role("button", name="turn around").click()
    kept = [u for u in range(10, 51) if u % 3 == 0 and u % 11 != 10 and u % 20 != 19]
    page.get_by_text(f"{len(kept)} of 62 units").wait_for()
    page.wait_for_selector(WALL)
    page.get_by_role("button", name="Close filters").click()
    again = visit(page.url)
    again.get_by_text(f"{len(kept)} of 62 units").wait_for()
    again.locator(".wall").focus()
    again.keyboard.press("ArrowRight")
    assert again.locator(".card strong").inner_text() == NAMES[kept[-1]]
    again.keyboard.press("Enter")
    again.get_by_role("heading", name=NAMES[kept[-1]]).wait_for()
    again.keyboard.press("j")
    again.wait_for_url(f"**/unit/{NAMES[kept[-2]]}")
    again.get_by_text(f"2 of {len(kept)} shown").wait_for()


def test_no_unit_left_is_said_and_undone(visit, hosted):
    page = visit(f"{hosted}#/?is.rise=99..")
    page.get_by_text("No unit meets these conditions").wait_for()
    page.get_by_role("button", name="Show all units").click()
    page.get_by_text("62 units", exact=True).wait_for()


def test_going_on_while_the_address_follows_the_view(visit, hosted):
    page = visit(hosted)
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_url(lambda url: "at=" in url)
    page.locator(".wall").focus()
    page.keyboard.press("ArrowRight")
    unit = page.locator(".card strong").inner_text()
    # The view writes its address at the worst time: between going on and the page's knowing of it.
    page.evaluate("name => { location.hash = '#/unit/' + name; vitjax.routes.correct('#/?at=1,1,1'); }", unit)
    page.get_by_role("heading", name=unit).wait_for(timeout=60_000)
    assert page.url.endswith(f"#/unit/{unit}")
