"""The site: built once, and looked at page by page in Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from explorable_page import chromium, violations
from playwright.sync_api import Browser, Page, Response

from mtl_tutorial.commands import UsageError, reference
from mtl_tutorial.commands import site as module
from mtl_tutorial.commands.serving import served
from mtl_tutorial.commands.site import site
from mtl_tutorial.places import NOTEBOOKS

MOST_BYTES = 1_500_000  # of a page with all that it loads
LESSONS = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
EVERY = [
    *("index", "map", "methods", "results", "teaching", "search", "genindex"),
    *("results/PROTOCOL", "results/README"),
    *(f"methods/{name}" for _, name in reference.names()),
    *(f"lessons/{name}" for name in LESSONS),
]
IN_COLOUR = ["index", "map", "methods/PCGrad", "results", "lessons/08_pcgrad"]  # one a kind
TROUBLE = ("error", "warning")
COMPASS = ".mtl-live[data-module=gradient_compass]"
FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ACROSS = f"""async () => {{
    const frames = {FRAMES};
    document.querySelectorAll("details").forEach((part) => {{ part.open = true; }});
    for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {{
        scrollTo(0, y);
        await frames();
    }}
    const waiting = () => document.querySelector(".mtl-live > script")?.parentElement
        ?? [...document.images].find((image) => !image.complete);
    for (let frame = 0, next; (next = waiting()); frame += 1) {{
        if (frame > 1000) throw new Error(`not there: ${{next.outerHTML.slice(0, 200)}}`);
        next.scrollIntoView();
        await frames();
    }}
    scrollTo(0, 0);
    await frames();
}}"""

browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in module.NEEDED:
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("site") / "site"
    assert site(folder) == 0
    return folder


@pytest.fixture(scope="module")
def origin(built: Path) -> Iterator[str]:
    with served(built) as address:
        yield f"{address}/"


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    found = browser.new_page(base_url=origin)
    yield found
    found.close()


def pages(built: Path) -> list[str]:
    found = (path.relative_to(built).as_posix() for path in built.rglob("*.html"))
    return sorted(name for name in found if not name.startswith(("playground/", "slides/")))


class Links(HTMLParser):
    """What a page links to, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name == "id" and value:
                self.places.add(value)


def test_no_link_is_dead(built: Path) -> None:
    read = {name: Links((built / name).read_text(encoding="utf-8")) for name in pages(built)}
    dead = []
    for name, found in read.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = unquote(urljoin(name, parts.path)) or "index.html"
            there = read[target].places if target in read else {parts.fragment}
            if not (built / target).is_file() or unquote(parts.fragment) not in {"", *there}:
                dead.append(f"{name}: {link}")
    assert dead == []


OVERFLOWING = f"""async () => {{
    const frames = {FRAMES}, found = [];
    for (let k = 0; k < deck.getTotalSlides(); k++) {{
        do await frames(); while (deck.getCurrentSlide().querySelector(".mtl-live > script"));
        await frames();
        const slide = deck.getCurrentSlide(), edge = slide.getBoundingClientRect();
        for (const part of slide.children) {{
            const box = part.getBoundingClientRect();
            if (box.right > edge.left + 1281 || box.bottom > edge.top + 721)
                found.push(`${{k + 1}}: ${{slide.textContent.slice(0, 60)}}`);
        }}
        deck.next();
    }}
    return found;
}}"""


@pytest.mark.parametrize("lesson", ["02_hard_sharing", "08_pcgrad", "11_full_runs"])
def test_slides_fit_and_load_nothing_from_elsewhere(page: Page, origin: str, lesson: str) -> None:
    loaded, said = [], []
    page.on("request", lambda request: loaded.append(request.url))
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"slides/{lesson}.html")
    page.wait_for_function("document.documentElement.dataset.slides")
    assert page.evaluate("deck.getTotalSlides()") > 30
    assert page.evaluate(OVERFLOWING) == []
    assert [url for url in loaded if not url.startswith((origin, "data:", "blob:"))] == []
    assert said == []


def test_on_a_slide_an_explorable_answers_the_hand_and_arrow_keys_are_its_own(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto("slides/08_pcgrad.html")
    page.wait_for_function("document.documentElement.dataset.slides")
    number = page.evaluate(
        "deck.getSlides().findIndex((s) => s.querySelector('[data-module=gradient_compass]'))"
    )
    page.evaluate("k => deck.slide(k)", number)
    say, grip = page.locator(".present .mtl-say"), page.locator(".present .mtl-grip").nth(1)
    before = say.inner_text()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 10)
    page.mouse.up()
    page.wait_for_function(
        "told => document.querySelector('.present .mtl-say').innerText !== told", arg=before
    )
    moved = say.inner_text()
    grip.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "told => document.querySelector('.present .mtl-say').innerText !== told", arg=moved
    )
    assert page.evaluate("deck.getIndices().h") == number


@pytest.mark.parametrize("name", EVERY)
def test_a_page_loads_little_complains_of_nothing_and_is_no_wider_than_a_phone(
    name: str, built: Path, browser: Browser, origin: str
) -> None:
    told: list[str] = []
    loaded: list[Response] = []
    sheet = browser.new_page()
    sheet.on("response", lambda response: loaded.append(response))
    sheet.on("console", lambda line: line.type in TROUBLE and told.append(line.text))
    sheet.on("pageerror", lambda error: told.append(str(error)))
    sheet.goto(f"{origin}{name}.html")
    sheet.evaluate(ACROSS)
    told += [r.url for r in loaded if not r.url.startswith((origin, "data:", "blob:"))]
    told += [f"{r.status}: {r.url}" for r in loaded if r.status >= 400]
    assert told == []
    assert sum(_size(built, origin, r.url) for r in loaded) <= MOST_BYTES
    if name in IN_COLOUR or not name.startswith("methods/"):  # of pages made alike, one
        assert violations(sheet, colours=None if name in IN_COLOUR else False) == []
    widgets = sheet.locator(".mtl-widget")  # each is alive, or says where it is
    assert widgets.count() or not name.startswith("lessons/")
    assert all(widget.locator(".mtl, .needs-kernel").count() for widget in widgets.all())
    sheet.set_viewport_size({"width": 375, "height": 800})
    sheet.evaluate(FRAMES)
    assert sheet.evaluate("document.documentElement.scrollWidth") == 375
    sheet.close()


def test_every_page_was_looked_at(built: Path) -> None:
    assert pages(built) == sorted(f"{name}.html" for name in EVERY)


def _size(built: Path, origin: str, url: str) -> int:
    path = built / unquote(urlsplit(url).path.lstrip("/"))
    return path.stat().st_size if url.startswith(origin) and path.is_file() else 0


@pytest.mark.parametrize("name", IN_COLOUR)
def test_a_page_is_accessible_in_the_dark(name: str, browser: Browser, origin: str) -> None:
    sheet = browser.new_page(color_scheme="dark")
    sheet.goto(f"{origin}{name}.html")
    sheet.evaluate(ACROSS)
    assert violations(sheet, colours=True) == []
    sheet.close()


def test_a_visitor_makes_one_task_hurt_the_other_and_is_told(page: Page) -> None:
    page.goto("index.html")
    grip = page.get_by_role("slider", name="tip of gradient 2")
    goal = page.locator(".mtl-goal")
    grip.wait_for()
    assert not goal.is_visible()
    for _ in range(3):
        grip.press("Shift+ArrowLeft")
    goal.wait_for()
    assert "sum hurts task 1" in page.locator(".mtl-say").inner_text()


def test_the_first_pages_question_is_answered_in_the_page(page: Page) -> None:
    page.goto("index.html")
    said = page.locator(".mtl-told")
    page.get_by_role("button", name="Check").click()
    assert "Not answered yet." in said.inner_text()
    page.get_by_role("button", name="a", exact=True).click()
    page.get_by_role("button", name="Check").click()
    assert "Not yet." in said.inner_text() and "135°" in said.inner_text()
    page.get_by_role("button", name="c", exact=True).click()
    page.get_by_role("button", name="Check").click()
    assert "Correct." in said.inner_text()


def test_a_guess_is_set_beside_what_came_out(page: Page) -> None:
    page.goto("lessons/08_pcgrad.html")
    page.get_by_role("button", name="only the digit's").click()
    told = page.locator('.mtl-compared[data-guess="falls"]')
    assert told.text_content().startswith("You guessed “only the digit's”. It was “")  # type: ignore[union-attr]
    assert not told.is_visible()


def test_what_follows_a_guess_opens_with_a_click_and_widgets_stay_open(page: Page) -> None:
    page.goto("lessons/08_pcgrad.html")
    assert page.locator("details.answer").count() >= 5
    assert not page.locator("details[open]").count()
    assert page.locator(COMPASS).first.is_visible()


def test_every_picture_of_a_lesson_has_words(built: Path) -> None:
    for name in LESSONS:
        text = (built / "lessons" / f"{name}.html").read_text(encoding="utf-8")
        images = re.findall(r"<img [^>]*>", text)
        assert images and all(re.search(r'alt="[^"]+"', image) for image in images), name


def test_no_solution_stands_in_a_page(built: Path) -> None:
    text = (built / "lessons" / "02_hard_sharing.html").read_text(encoding="utf-8")
    assert "1.375" not in text.partition("Exercise 1")[2].partition("Exercise 2")[0]


def test_as_files_pages_and_slides_say_what_to_do(browser: Browser, built: Path) -> None:
    for name in ("lessons/08_pcgrad", "slides/08_pcgrad", "index"):
        page = browser.new_page()
        page.goto((built / f"{name}.html").as_uri())
        assert page.get_by_role("alert").is_visible()
        assert "python -m http.server" in page.get_by_role("alert").inner_text()
        page.close()


def test_the_search_finds_a_lesson(page: Page) -> None:
    page.goto("search.html?q=hypervolume")
    page.locator("#search-results li a").first.wait_for()
    assert "10_pareto" in page.locator("#search-results").inner_html()


def test_a_site_is_replaced_and_other_files_are_not(built: Path, tmp_path: Path) -> None:
    assert (built / module.MARK).is_file()
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files.*--out"):
        site(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        site(tmp_path / "letter.txt")
    with pytest.raises(UsageError, match="can't be written.*--out"):
        site(tmp_path / "letter.txt" / "site")


def test_an_old_site_stays_until_the_new_one_is_there_and_leaves_nothing(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    for folder, names in ((new, ("a.html", "web/b.js")), (old, ("a.html", "c.html", "x/y/z.js"))):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{folder.name} {name}")
    module._replace(old, new)
    found = {path.relative_to(old).as_posix() for path in old.rglob("*")}
    assert found == {"a.html", "web", "web/b.js"}
    assert (old / "a.html").read_text() == "new a.html"


def test_where_the_repository_is_known_every_page_leads_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    styles = tmp_path / "_static" / "styles"
    styles.mkdir(parents=True)
    (styles / "pydata-sphinx-theme.css").touch()
    (tmp_path / "a.html").write_text('<div class="article-header-buttons"></div>')
    monkeypatch.setenv("MTL_REPOSITORY", "https://github.com/who/course")
    module._mend(tmp_path)
    assert 'href="https://github.com/who/course"' in (tmp_path / "a.html").read_text()
    assert "https://github.com/who/course" in module._parts([], {})["repository"]
    monkeypatch.setenv("MTL_REPOSITORY", "")
    assert module._parts([], {})["repository"] == ""


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"sphinx, which is not installed.*\[docs\]"):
        site()


def test_a_package_without_its_repository_says_how_to_get_the_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "DOCS", tmp_path / "docs")
    with pytest.raises(UsageError, match="clone the repository"):
        site()


def lessons_with(change: str, folder: Path) -> Path:
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns("*checkpoints"))
    path = folder / "02_hard_sharing.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Hard sharing", change), encoding="utf-8")
    return folder


def test_a_lesson_that_changed_since_it_was_built_is_named(tmp_path: Path) -> None:
    for name in module.NEEDED:
        pytest.importorskip(name)
    folder = lessons_with("Hard parameter sharing", tmp_path / "notebooks")
    with pytest.raises(UsageError, match="02_hard_sharing was changed.*build 02_hard_sharing"):
        site(tmp_path / "out", folder=folder)


def test_a_lesson_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    for name in module.NEEDED:
        pytest.importorskip(name)
    folder = lessons_with('"}]', tmp_path / "notebooks")
    with pytest.raises(UsageError, match=r"02_hard_sharing.ipynb is no notebook.*git checkout"):
        site(tmp_path / "out", folder=folder)
