"""The page of an atlas in a browser: from a server and from disk, by mouse, keyboard, touch and address."""

import io
import re
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.support.atlas_site import CLASSES, HOSTILE, TAPS, colour, write_site
from vitjax.atlas.server.serve import server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = [f"{tap}:{index}" for tap, indices in TAPS.items() for index in indices]
FIRST = "#/unit/blocks.0.mlp.hidden:0"
PAIR = "#/compare/blocks.0.mlp.hidden:0/blocks.1.attn.z:2.12"
WALL = ".wall[data-tiles=complete]"
LONG = 600_000  # milliseconds, which nothing here takes


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, or another that is on the path."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Path:
    """The folder of two atlases: `atlas`, which has `other` beside it."""
    folder = tmp_path_factory.mktemp("sites")
    write_site(folder / "atlas", beside=[{"name": "other", "path": "../other"}])
    write_site(folder / "other", title="Another atlas", photos=0)
    return folder


@pytest.fixture(scope="module")
def hosted(sites):
    """The address of the page of `atlas` on a server."""
    with server([sites / "atlas", sites / "other"], 0) as running:
        answering = threading.Thread(target=running.run)
        answering.start()
        yield f"{running.address}atlas/"
        running.stop()
        answering.join()


@pytest.fixture(scope="module", params=["server", "disk"])
def address(request, sites, hosted):
    """The address of the page of `atlas` on a server and from disk."""
    return hosted if request.param == "server" else (sites / "atlas" / "index.html").as_uri()


@pytest.fixture
def visit(browser, sites):
    """A function (address, **context) -> page; at the end no page may have complained or asked for anything else."""
    contexts, complaints = [], []

    def open_page(url: str, wait: str = WALL, **options):
        context = browser.new_context(
            **({"viewport": {"width": 1000, "height": 700}, "reduced_motion": "reduce"} | options)
        )
        contexts.append(context)
        page = context.new_page()
        home = sites.as_uri() if url.startswith("file:") else url.split("/atlas/")[0]
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        aborted = "net::ERR_ABORTED"  # by the page itself, as when it goes on before a picture has come
        page.on("requestfailed", lambda r: r.failure == aborted or complaints.append(f"{r.failure} {r.url}"))
        page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith((home, "data:")) else complaints.append(asked.url)
        )
        page.set_default_timeout(LONG)
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def still(page) -> Image.Image:
    """What the page looks like, once it stands still and nothing is pointed at."""
    page.mouse.move(1, 1)
    page.wait_for_timeout(400)
    page.wait_for_selector(WALL)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


# The unit that is pointed at, and the middle of its frame; null where there is none.
POINTED = """() => {
  if (!document.querySelector(".card").checkVisibility()) return null;
  const frame = document.querySelector(".cursor").getBoundingClientRect();
  const name = document.querySelector(".card strong").innerText;
  return [name, frame.x + frame.width / 2, frame.y + frame.height / 2];
}"""


def pointed(page, x: float, y: float, box: dict | None = None) -> tuple[str, tuple[int, int]] | None:
    """The unit at a point of the wall, which lies at `box`, and the middle of its frame on the page."""
    box = box or page.locator(".wall").bounding_box()
    page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    found = page.evaluate(POINTED)
    return found and (found[0], (round(found[1]), round(found[2])))


def wrongly_drawn(page, points: int = 6, names: Sequence[str] = NAMES) -> tuple[list[str], int]:
    """Units on the wall whose picture is not where it is when pointed at; and how many are where they should be."""
    seen, wrong, right, box = still(page), [], set(), page.locator(".wall").bounding_box()
    for row in range(1, points):
        for column in range(1, points):
            found = pointed(page, column / points, row / points, box)
            if found is None or not (0 <= found[1][0] < seen.width and 0 <= found[1][1] < seen.height):
                continue
            unit, middle = found
            off = max(abs(a - b) for a, b in zip(seen.getpixel(middle), colour(names.index(unit)), strict=True))
            right.add(unit) if off < 30 else wrong.append(f"{unit} is {seen.getpixel(middle)}")
    return wrong, len(right)


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
    assert page.get_by_text(f"{expected} of 62 units").is_visible()
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
    assert again.get_by_text(f"2 of {len(kept)} shown").is_visible()


def test_no_unit_left_is_said_and_undone(visit, hosted):
    page = visit(f"{hosted}#/?is.rise=99..")
    page.get_by_text("No unit meets these conditions").wait_for()
    page.get_by_role("button", name="Show all units").click()
    page.get_by_text("62 units", exact=True).wait_for()


def test_unit_page_shows_all_there_is(visit, address):
    page = visit(f"{address}{FIRST}", wait="h1")
    assert page.locator(".photograph .map").count() == 9 and page.locator(".photograph .patch").count() == 9
    assert page.get_by_text("median").is_visible() and page.locator(".histogram rect").count() == 20
    page.get_by_role("button", name="seed 1").click()
    assert page.locator(".large").get_attribute("src").endswith("pictures/blocks.0.mlp.hidden/0.1.webp")
    assert page.get_by_role("link", name="Download picture").get_attribute("href").endswith("0.1.webp")
    assert "All grades in one word." in page.locator(".grades").inner_text()
    page.get_by_label("activation map", exact=True).uncheck()
    assert page.locator(".map").first.evaluate("map => getComputedStyle(map).opacity") == "0"
    page.get_by_role("link", name="Next unit").click()
    page.wait_for_url("**/unit/blocks.0.mlp.hidden:7")
    page.locator(".thumbnail").first.click()
    page.wait_for_function("() => document.querySelector('h1').textContent !== 'blocks.0.mlp.hidden:7'")
    assert all(page.locator("img.large").evaluate_all("images => images.map(image => image.complete)"))


def test_compare_two_units_and_two_atlases(visit, address):
    page = visit(f"{address}{PAIR}", wait=".pair")
    assert page.locator(".grades tbody tr").nth(2).locator("td").all_inner_texts() == ["0", "61", "+61"]
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
        ("data/atlas.js", 'vitjax.receive("atlas", {"schema": 9})', "is of schema 9, and this page reads schema 1."),
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["#/", FIRST, PAIR, "#/about"])
def test_accessible(visit, hosted, path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    wait = WALL if path == "#/" else "h1"
    # The checker is injected into the page, which the page's policy would forbid.
    page = visit(f"{hosted}{path}", wait=wait, color_scheme=scheme, bypass_csp=True)
    if path == "#/":
        page.get_by_role("button", name="Filters").click()
        page.keyboard.press("/")
        page.keyboard.type("cat")
    found = axe.Axe().run(page).response["violations"]
    assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []


def test_keyboard_alone_goes_everywhere(visit, hosted):
    page = visit(hosted)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert page.evaluate("document.activeElement === document.body") or outline != "none"
    assert {"Search", "About", "by layer", "Filters", "Zoom in"} <= reached and any("Arrow keys" in r for r in reached)
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
