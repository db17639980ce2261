"""The page of an atlas in a browser: from a server and from disk, by mouse, keyboard, touch and address."""

import json
import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from tests.support.atlas_site import HOSTILE, SILENT
from tests.support.page import FIRST, LONG, NAMES, PAIR, TILES, WALL


def test_unit_page_shows_all_there_is(visit, address):
    page = visit(f"{address}{FIRST}", wait="h1")
    assert page.locator(".photograph .map").count() == 9
    assert page.locator(".photograph .patch").count() == 4  # of 9, those that fired: on the maps' right half
    assert page.get_by_text("median").is_visible() and page.locator(".histogram rect").count() == 20
    page.get_by_text("All 3 grades").click()
    page.get_by_role("button", name="seed 1").click()
    assert page.locator(".large").get_attribute("src").endswith("pictures/blocks.0.mlp.hidden/0.1.webp")
    assert page.get_by_role("link", name="Download picture").get_attribute("href").endswith("0.1.webp")
    assert "All grades in one word." in page.locator(".grades").inner_text()
    assert page.locator(".legend").inner_text().split() == ["0", "3.14", "activation"]
    page.get_by_label("activation map", exact=True).uncheck()
    assert page.locator(".map").first.evaluate("map => getComputedStyle(map).opacity") == "0"
    page.get_by_role("link", name="Next unit").click()
    page.wait_for_url("**/unit/blocks.0.mlp.hidden:7")
    page.locator(".thumbnail").first.click()
    page.wait_for_function("() => document.querySelector('h1').textContent !== 'blocks.0.mlp.hidden:7'")
    assert all(page.locator("img.large").evaluate_all("images => images.map(image => image.complete)"))


# The opacity of a map's pixels, row by row.
OPAQUE = """map => [...map.getContext("2d").getImageData(0, 0, map.width, map.height).data]
  .filter((_, at) => at % 4 === 3)"""


def test_maps_have_one_scale_and_nothing_where_nothing_is_active(visit, hosted):
    page = visit(f"{hosted}{FIRST}", wait="h1")
    first, last = [page.locator(".map").nth(place).evaluate(OPAQUE) for place in (0, 8)]
    assert first[:4] == [0, 0, 255, 255] and last[:2] == [0, 0] and 50 < last[2] < 200


def test_a_unit_that_hardly_responds_says_so(visit, hosted):
    page = visit(f"{hosted}#/unit/{NAMES[SILENT]}", wait="h1")
    assert page.locator(".silent").inner_text().startswith("Hardly responds. Its best photograph scores 0")
    assert page.locator(".classes").count() == 0 and page.locator(".patch").count() == 0
    assert "on no patch" in page.locator(".legend").inner_text()


def test_every_grade_has_a_direction(visit, hosted):
    page = visit(f"{hosted}{FIRST}", wait="h1")  # its rise, 0, is the lowest, and its rank, 0, the best
    said = page.locator(".main-grades > div").all_inner_texts()
    assert "better than 0 %" in said[0] and said[1].split("\n")[1:3] == ["0 of 768", "best"]
    filled = page.locator(".main-grades .standing").evaluate_all(
        "bars => bars.map(bar => bar.style.getPropertyValue('--share'))"
    )
    assert filled == ["0%", "100%"]


def test_exports_of_schema_1_are_shown(visit, sites, tmp_path):
    old = shutil.copytree(sites / "other", sites / "old")
    for name in ("atlas", "units"):
        file = old / "data" / f"{name}.js"
        file.write_text(re.sub(r'"schema": 2|, "silent": \[\]|, "(better|main)": ("\w+"|\d)', _older, file.read_text()))
    page = visit(f"{(old / 'index.html').as_uri()}{FIRST}", wait="h1")
    assert page.locator(".main-grades > div").count() == 2


def _older(found: re.Match) -> str:
    return '"schema": 1' if "schema" in found[0] else ""


def test_compare_two_units_and_two_atlases(visit, address):
    page = visit(f"{address}{PAIR}", wait=".pair")
    assert page.locator(".grades tbody tr").nth(2).locator("td").all_inner_texts() == ["0 of 768", "61 of 768", "+61"]
    page.get_by_label("Right atlas").select_option("other")
    page.get_by_role("columnheader", name="blocks.0.mlp.hidden:0 of other").wait_for()
    page.get_by_role("combobox", name="Right unit").fill("0:14")
    page.locator(".picker li").first.click()
    page.wait_for_url("**/compare/blocks.0.mlp.hidden:0/blocks.0.mlp.hidden:14?with=other")
    sources = page.locator(".large").evaluate_all("images => images.map(image => image.getAttribute('src'))")
    assert sources == ["pictures/blocks.0.mlp.hidden/0.webp", "../other/pictures/blocks.0.mlp.hidden/14.webp"]
    page.goto(f"{address}{PAIR}?with=../../evil")
    page.get_by_text("There is no atlas ../../evil beside this one.").wait_for()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("#/unit/blocks.1.mlp.hidden:8", "This atlas has no unit blocks.1.mlp.hidden:8."),
        (f"#/unit/{'%3Cscript%3Ealert(1)%3C%2Fscript%3E'}", "This atlas has no unit <script>alert(1)</script>."),
        ("#/unit/%E0%A4%A", "This atlas has no unit %E0%A4%A."),
        ("#/constructor/x", "This page has no view constructor."),
    ],
)
def test_wrong_addresses_are_said(visit, hosted, path, said):
    page = visit(f"{hosted}{path}", wait=".problem")
    assert page.locator("h1").inner_text() == said
    near = page.get_by_role("link", name="blocks.1.mlp.hidden:7", exact=True)
    assert near.count() == ("hidden:8" in path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("data/atlas.js", None, "The file data/atlas.js is missing or cannot be read."),
        ("data/units.js", "vitjax.rec", "The file data/units.js is damaged: export the atlas again."),
        ("data/units.js", 'vitjax.receive("units", {"index": ["0"], "columns": {}})', "holds 1 units instead of 62."),
        ("data/atlas.js", 'vitjax.receive("atlas", {"schema": 9})', "is of schema 9, and this page reads schema 2."),
        ("data/layout-layers.js", None, "The file data/layout-layers.js is missing or cannot be read."),
        ("sheets/64/00000.webp", "no picture", "The file sheets/64/00000.webp is missing or damaged."),
    ],
)
def test_missing_and_damaged_files_are_named(browser, sites, tmp_path, file, content, said):
    broken = shutil.copytree(sites / "atlas", tmp_path / "broken")
    (broken / file).unlink() if content is None else (broken / file).write_text(content)
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.goto((broken / "index.html").as_uri())
    page.get_by_text(said).wait_for(timeout=LONG)
    page.close()


@pytest.mark.representatives("#/-light", f"{FIRST}-dark", "#/?text=cat-light", f"{PAIR}-light", "#/about-dark")
@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        *product(["#/", "#/?text=cat", FIRST, PAIR, "#/about"], ["light", "dark"]),
        ("#/?verdicts", "light"),
        ("#/?layout=looks", "dark"),
        ("#/list?units=blocks.0.mlp.hidden:7,14", "light"),
    ],
)
def test_accessible(visit, hosted, path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    wait = {"#/?text=cat": TILES}.get(path, WALL if path.startswith("#/?") or path == "#/" else "h1")
    # The checker is injected into the page, which the page's policy would forbid.
    page = visit(f"{hosted}{path}", wait=wait, color_scheme=scheme, bypass_csp=True)
    if path.startswith("#/?") or path == "#/":
        page.get_by_role("button", name="Verdicts" if path.endswith("verdicts") else "Filters").click()
        page.keyboard.press("/")
        page.keyboard.type("cat")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []


def test_keyboard_alone_goes_everywhere(visit, hosted):
    page = visit(hosted)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(22):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert page.evaluate("document.activeElement === document.body") or outline != "none"
    wanted = {"Search", "About", "by layer", "Filters", "Verdicts", "Zoom in"}
    assert wanted <= reached and any("Arrow keys" in r for r in reached)
    page.locator(".wall").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#said").inner_text().startswith("blocks.0.mlp.hidden:7, ")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.textContent === 'blocks.0.mlp.hidden:7'")
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="blocks.0.mlp.hidden:14").wait_for()
    page.keyboard.press("c")
    page.locator(".compare").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.locator(".about").wait_for()
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog", name="Keyboard").is_hidden() and page.url.endswith("#/about")
    page.keyboard.press("Escape")
    page.wait_for_selector(WALL)


@pytest.mark.parametrize("path", ["#/?at=8.5,1.5,16", FIRST, PAIR, "#/about"])
def test_fits_a_phone(visit, hosted, path):
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    page = visit(f"{hosted}{path}", wait=WALL if "#/?" in path else "h1", **phone)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    if "#/?" in path:
        page.locator(".wall").tap()  # its middle, which is too small to be seen without a card
        page.locator(".card").tap()
        page.get_by_role("heading", name="blocks.0.mlp.hidden:56").wait_for()


def test_a_unit_takes_three_screens_of_a_phone(visit, hosted):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = visit(f"{hosted}{FIRST}", wait="h1", **phone)
    assert page.evaluate("document.documentElement.scrollHeight") <= 3 * 844


def test_light_or_dark_is_remembered(visit, hosted):
    page = visit(hosted, color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.keyboard.press("t")
    dark = page.evaluate(ground)
    page.wait_for_selector(WALL)
    page.reload()
    assert page.evaluate(ground) == dark != light


def test_without_javascript_the_page_says_so(browser, sites):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((sites / "atlas" / "index.html").as_uri())
    assert page.locator("noscript p").is_visible()
    context.close()


def test_hostile_names_stay_text(visit, address):
    page = visit(f"{address}{FIRST}", wait="h1")
    text = page.locator("main").text_content()
    assert all(name.strip() in text for name in HOSTILE)
    assert page.locator("main script, main [onerror]").count() == 0
    assert {source.split("/")[0] for source in page.locator("main img").evaluate_all(
        "images => images.map(image => image.getAttribute('src'))")} == {"pictures", "photos"}  # fmt: skip


def test_marked_units_are_kept_and_shared(visit, hosted):
    page = visit(f"{hosted}{FIRST}", wait="h1")
    page.get_by_role("button", name="Mark").click()
    page.goto(f"{hosted}#/unit/{NAMES[61]}")
    page.get_by_role("heading", name=NAMES[61]).wait_for()
    page.keyboard.press("m")
    page.reload()
    page.get_by_role("link", name="Marked units: 2").click()
    page.get_by_role("heading", name="Marked units").wait_for()
    assert [name.replace("\n", "") for name in page.locator(".tile .name").all_inner_texts()] == [NAMES[0], NAMES[61]]
    page.locator(".tile").first.click()
    page.get_by_role("link", name=re.compile("Next unit")).click()
    page.get_by_role("heading", name=NAMES[61]).wait_for()  # the next on the list
    shared = visit(f"{hosted}#/list?units=blocks.0.mlp.hidden:7,14,9999&units=blocks.1.attn.z:0.3", wait="h1")
    assert "3 units that somebody chose. 1 more are not in this atlas." in shared.locator(".list").inner_text()
    shared.get_by_role("button", name="Mark them all").click()
    shared.get_by_role("link", name="Marked units: 3").wait_for()
    shared.get_by_role("button", name="Clear").click()
    shared.get_by_text("No unit is marked").wait_for()


def test_a_unit_is_cited_and_its_data_saved(visit, hosted):
    page = visit(f"{hosted}{FIRST}", wait="h1")
    page.get_by_role("button", name="Cite").click()
    bibtex = page.get_by_label("BibTeX").inner_text()
    assert bibtex.startswith("@misc{") and f"{hosted}{FIRST}" in bibtex and "@software{vitjax" in bibtex
    with page.expect_download() as saved:
        page.get_by_role("button", name="Data as JSON").click()
    data = json.loads(Path(saved.value.path()).read_text())
    assert data["unit"] == NAMES[0] and data["grades"]["rank"] == 0 and data["exemplars"][0]["score"] == 2
    assert data["near"]["looks"][0]["unit"] in NAMES
    page.goto(f"{hosted}#/about")
    assert "@misc{" in page.get_by_label("BibTeX").inner_text()
    assert page.get_by_role("link", name="vitjax", exact=True).get_attribute("href").startswith("https://github.com/")


def test_a_unit_within_another_page(visit, hosted):
    page = visit(f"{hosted}?embed{FIRST}", wait="h1", viewport={"width": 420, "height": 430})
    assert page.locator("header nav, .walk, .main-grades").count() == 0 and page.locator(".photograph").count() == 6
    whole = page.get_by_role("link", name=NAMES[0])
    assert whole.get_attribute("target") == "_blank" and whole.evaluate("link => link.href") == f"{hosted}{FIRST}"


def test_near_a_block_that_is_not_there_are_units_of_the_last(visit, hosted):
    page = visit(f"{hosted}#/unit/blocks.99.mlp.hidden:7", wait=".problem")
    near = page.locator(".problem a").all_inner_texts()
    assert near[0] == "blocks.2.mlp.hidden:7"
