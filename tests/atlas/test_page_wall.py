"""The wall of pictures in a browser: every picture where its unit is, found by pointing, searching and filtering."""

import io
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

from tests.support.atlas_site import CLASSES, HOSTILE, SILENT, encoded, write_site
from tests.support.page import FIRST, NAMES, TILES, WALL, pointed, still, wrongly_drawn


def test_pictures_hang_where_their_units_are(visit, address):
    wrong, right = wrongly_drawn(visit(address))
    assert wrong == [] and right >= 3


@pytest.mark.representatives("layout=looks")
@pytest.mark.parametrize("query", ["layout=looks", "layout=layers&is.rise=1..", "at=5,4,3"])
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


def many_units(sites: Path) -> Path:
    """The folder of an atlas of 3,000 units."""
    many = sites / "many"
    if not many.exists():
        write_site(many, {"logits": [str(unit) for unit in range(3000)]}, columns=70, photos=0)
    return many


@pytest.mark.representatives("layout=looks")
@pytest.mark.parametrize("query", ["", "layout=looks", "layout=layers&is.verdict=good"])
def test_many_small_pictures_are_drawn_rightly(visit, sites, query):
    many = many_units(sites)
    page = visit(f"{(many / 'index.html').as_uri()}#/?{query}")
    wrong, right = wrongly_drawn(page, names=[f"logits:{unit}" for unit in range(3000)])
    assert wrong == [] and right >= 5


def test_going_on_before_pictures_have_come(visit, hosted):
    page = visit(f"{hosted}#/about", wait="h1")
    waiting, held = [], True
    page.route("**/sheets/**", lambda route: waiting.append(route) if held else route.continue_())
    for hash in ("#/", "#/?layout=looks", FIRST, "#/?is.verdict=good", "#/?layout=layers&is.verdict=good"):
        page.evaluate("hash => { location.hash = hash; }", hash)
        page.wait_for_selector(".overview, .unit")
        page.wait_for_timeout(60)
    page.get_by_role("button", name="sorted").click()
    page.get_by_role("button", name="by looks").click()
    assert waiting
    held = False  # unrouting would take away the routes that wait
    for route in waiting:
        route.continue_()
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
    assert walked_to(page) == "blocks.1.mlp.hidden:7"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="blocks.1.mlp.hidden:7").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("<script>")
    page.get_by_role("option", name=HOSTILE[0]).first.click()
    page.wait_for_selector(TILES)
    expected = sum(CLASSES[unit % len(CLASSES)] == HOSTILE[0] for unit in range(len(NAMES)))
    page.get_by_text(f"{expected} of 62 units").wait_for()
    assert HOSTILE[0] in page.locator(".chips").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("cat")
    page.keyboard.press("Enter")
    page.get_by_text("14 of 62 units").wait_for()
    assert page.url.endswith("text=cat")


def walked_to(page) -> str:
    """The suggestion that the arrow keys have come to."""
    chosen = page.locator("[aria-activedescendant]").get_attribute("aria-activedescendant")
    return page.locator(f"#{chosen} .name").inner_text()


def test_suggestions_that_come_late_leave_the_chosen_one_chosen(visit, hosted):
    page = visit(hosted)
    waiting = []
    page.route("**/classes*", lambda route: waiting.append(route))
    page.keyboard.press("/")
    page.keyboard.type("m")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = walked_to(page)
    for route in waiting:
        route.continue_()
    page.get_by_role("option", name="coffee mug").wait_for()
    assert waiting and walked_to(page) == chosen


def tiles(page) -> list[list[str]]:
    """What stands on the tiles of the results."""
    return [text.split("\n") for text in page.locator(TILES).all_inner_texts()]


def test_kinds_are_searched_for_and_ranked(visit, address):
    page = visit(address)
    page.keyboard.press("/")
    page.keyboard.type("felid")
    option = page.get_by_role("option", name="feline")
    assert "kind of 2 classes" in option.inner_text()
    option.click()
    page.get_by_text("14 of 62 units").wait_for()
    assert page.url.endswith("kind=feline")
    shown = tiles(page)
    counts = [int(re.search(r"(\d) of 9 feline", " ".join(one))[1]) for one in shown]
    assert counts == sorted(counts, reverse=True) and len(shown) == 14
    assert {one[-1] for one in shown} == {"tabby cat", "tiger cat"}
    page.goto(f"{address}#/?text=felines")
    page.get_by_text("14 of 62 units").wait_for()
    page.goto(f"{address}#/?layout=looks")
    page.get_by_role("link", name="feline").click()
    page.get_by_text("14 of 62 units").wait_for()


def test_a_photograph_of_the_atlas_is_searched_by(visit, hosted, tmp_path):
    page = visit(hosted)
    known = io.BytesIO(encoded(100, 64))
    Image.open(known).resize((200, 200)).save(tmp_path / "known.jpg", quality=70)
    page.locator("input[type=file]").set_input_files(tmp_path / "known.jpg")
    page.get_by_text("2 of 62 units").wait_for()
    shown = [" ".join(one) for one in tiles(page)]
    assert "no. 1 of 5" in shown[0] and NAMES[61] in shown[0].replace(" :", ":") and "no. 5 of 5" in shown[1]
    page.get_by_role("link", name=CLASSES[0]).click()
    page.wait_for_url("**class=tabby+cat")
    Image.new("RGB", (80, 60), "white").save(tmp_path / "it's.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "it's.png")
    page.get_by_role("heading", name="none of this atlas").wait_for()
    said = page.get_by_label("In a terminal").inner_text()
    assert "--data 'its.png' --k 1 --taps 'blocks.*.mlp.hidden' 'blocks.*.attn.z'" in said
    page.get_by_role("button", name="Close").click()
    (tmp_path / "no.png").write_text("no picture")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.png")
    page.get_by_role("heading", name="no.png is no picture that this browser reads.").wait_for()


def test_words_of_a_clip_are_searched_for(visit, hosted):
    page = visit(f"{hosted}#/?text=wheel", wait=TILES)
    assert NAMES[8] in "".join("".join(one) for one in tiles(page))
    page.keyboard.press("/")
    page.keyboard.type("red")
    page.get_by_role("option", name="red wheels").click()
    page.get_by_text("1 of 62 units").wait_for()
    page.locator(TILES).click()
    page.get_by_role("link", name="red wheels").wait_for()


def test_a_unit_that_hardly_responds_is_of_no_class(visit, hosted):
    page = visit(f"{hosted}#/?{urlencode({'class': CLASSES[SILENT]})}", wait=TILES)
    assert NAMES[SILENT] not in "".join("".join(one) for one in tiles(page))


def test_sorting_begins_with_the_best(visit, hosted):
    page = visit(f"{hosted}#/?layout=grid", wait=TILES)
    assert (
        tiles(page)[0][1:3] == ["6.10", "rise"] and "Ranked by rise, best first" in page.locator(".lead").inner_text()
    )
    page.get_by_label("Sort by").select_option("rank")
    page.wait_for_url("**sort=rank")
    assert tiles(page)[0][1:3] == ["0 of 768", "rank"]
    page.get_by_role("button", name="turn around").click()
    page.wait_for_url("**sort=-rank")
    assert tiles(page)[0][1] == "61 of 768" and page.get_by_role("button", name="worst first").count() == 1


@pytest.mark.parametrize("sort", ["rise", "-rise"])
def test_a_unit_that_hardly_responds_comes_last_and_says_why(visit, hosted, sort):
    page = visit(f"{hosted}#/?layout=grid&sort={sort}", wait=TILES)
    page.locator(".results").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    page.locator(TILES).nth(61).wait_for()
    last = page.locator(TILES).nth(61).inner_text()
    assert NAMES[SILENT] in last.replace("\n", "") and "hardly responds: last" in last


def test_verdicts_are_counted_by_block(visit, hosted):
    page = visit(hosted)
    assert "21 good, 21 weak, 20 failed: most in block 1 and block 2, 7 each." in page.locator(".lead").inner_text()
    page.get_by_role("button", name="Verdicts").click()
    rows = [row.split() for row in page.locator(".verdicts tbody tr").all_inner_texts()]
    assert rows == [["block", "0", "7", "7", "6"], ["block", "1", "8", "7", "7"], ["block", "2", "6", "7", "7"]]
    page.get_by_role("link", name="7 failed in block 1").click()
    page.get_by_text("7 of 62 units").wait_for()
    assert page.locator(".chips").inner_text().split() == ["layers", "2", "×", "verdict", "failed", "×"]
    page.get_by_role("button", name="Remove layers").click()
    page.get_by_text("20 of 62 units").wait_for()
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="last third").click()
    page.get_by_text("7 of 62 units").wait_for()


def test_more_results_come_and_the_place_is_kept(visit, sites):
    many = many_units(sites)
    page = visit(f"{(many / 'index.html').as_uri()}#/?layout=grid", wait=TILES)
    assert page.locator(TILES).count() < 300
    while page.locator(TILES).count() < 151:
        page.locator(".results").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    page.locator(TILES).nth(150).click()
    page.wait_for_selector("article h1")
    page.go_back()
    page.locator(TILES).nth(150).wait_for()
    assert page.locator(".results").evaluate("list => list.scrollTop") > 0


def test_filter_and_sort_by_hand_make_a_permalink(visit, address):
    page = visit(address)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("checkbox", name=re.compile("^good")).check()
    page.get_by_label("rise: at least").fill("1")
    page.get_by_label("rise: at most").fill("5")
    page.get_by_label("leave near-duplicates out").check()
    page.get_by_role("button", name="sorted").click()
    page.get_by_label("Sort by").select_option("rise")
    kept = [u for u in range(10, 51) if u % 3 == 0 and u % 11 != 10 and u % 20 != 19]
    page.get_by_text(f"{len(kept)} of 62 units").wait_for()
    page.wait_for_selector(TILES)
    page.get_by_role("button", name="Close filters").click()
    again = visit(page.url, wait=TILES)
    again.get_by_text(f"{len(kept)} of 62 units").wait_for()
    again.locator(TILES).first.focus()
    again.keyboard.press("Enter")
    again.get_by_role("heading", name=NAMES[kept[-1]]).wait_for()
    again.keyboard.press("j")
    again.wait_for_url(f"**/unit/{NAMES[kept[-2]]}")
    again.get_by_text(f"2 of {len(kept)} shown").wait_for()


def test_no_unit_left_is_said_and_undone(visit, hosted):
    page = visit(f"{hosted}#/?is.rise=99..", wait=".empty button")
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
