"""Builds the site: every lesson with its pictures, explorables alive, and nothing run."""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
import tempfile
import time
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mtl_tutorial.commands import UsageError, reference
from mtl_tutorial.commands.answers import puzzle
from mtl_tutorial.commands.build import is_fresh, read
from mtl_tutorial.commands.course import Lesson, course
from mtl_tutorial.commands.formulas import write_font
from mtl_tutorial.commands.hosts import BRANCH, repository, write_for_colab
from mtl_tutorial.commands.pages import Widget, exercise, live, page_of
from mtl_tutorial.commands.playground import write_playground
from mtl_tutorial.commands.serving import served
from mtl_tutorial.commands.slides import write_slides
from mtl_tutorial.places import PACKAGE, RESULTS
from mtl_tutorial.web import FOLDER as WEB

ROOT = PACKAGE.parent
DOCS = ROOT / "docs"
NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_revealjs", "latex2mathml", "ziamath")
MARK = ".mtl_site"  # in a folder that a site was built to, so that it may be replaced
PLAYGROUND = """\
- <a href="playground/index.html">Train a network yourself, here in the page</a>: turn the weights,
  and watch what each task gains and loses."""
REPOSITORY = "- [The repository](https://github.com/{}): code, lessons and results."
ICONS = re.compile(  # 2,600 rules of its style sheet
    r"(?<=[{};/])(?:\.fa-[\w-]+(?:::?\w+)?,?)+\{[^{}]*\}|@font-face\{[^{}]*webfonts[^{}]*\}"
)
MENDED = (
    (r"<(link|script)[^>]*(fontawesome|vendor/)[^>]*>(</script>)?\n?", ""),
    (r'(<div id="pst-primary-sidebar")', r'\1 role="region" aria-label="Sidebar"'),
    (r"<summary>(<span class=\"toctree-toggle)", r'<summary aria-label="Pages below">\1'),
    (r'<th class="head">\s*(?:<p>\s*</p>)?\s*</th>', "<td></td>"),
)


def site(out: Path | None = None, *, show: str | None = None, folder: Path | None = None) -> int:
    """Build the site from the committed lessons, without running them and without the network.

    Args:
        out: the folder for it; ``site`` in the checkout if left out. A site in it is replaced.
        show: serve it on this machine and open a page of it in a browser, until Ctrl-C: its path,
            empty for the first page.
        folder: where the lessons lie, if not in ``notebooks`` of the checkout.

    Returns:
        The exit code.

    Raises:
        UsageError: where a library of the extra ``docs`` is missing, a lesson can't be read or was
            changed since it was built, or the folder holds something else.
    """
    _check_libraries()
    lessons = course(folder)
    notebooks = _read_fresh(lessons)
    target = (out or ROOT / "site").resolve()
    _check_folder(target)
    with tempfile.TemporaryDirectory() as scratch:
        source, made = Path(scratch, "source"), Path(scratch, "made")
        _lay_out(lessons, notebooks, source, made / "_static")
        _run_sphinx(source, made)
        write_playground(made / "playground")
        _mend(made)
        write_font(_characters(made), made / "_static" / "math.woff")
        write_slides(made)
        write_for_colab([lesson.path for lesson in lessons], made / BRANCH)
        (made / MARK).touch()
        _replace(target, made)
    print(f"The site of {len(lessons)} lessons is in {target}.", flush=True)
    if show is not None:
        _serve(target, show)
    return 0


def _check_libraries() -> None:
    if not DOCS.is_dir():
        raise UsageError(
            "the site's own pages are not part of the installed package: clone the repository, run "
            "'python -m pip install -e \".[docs]\"' in it, and start again from there"
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the site is built by {missing[0]}, which is not installed; run "
            "'python -m pip install -e \".[docs]\"'"
        )


def _read_fresh(lessons: Sequence[Lesson]) -> list[NotebookNode]:
    """Read the lessons; each has to be as it was built."""
    notebooks = [read(lesson.path)[0] for lesson in lessons]
    for lesson, notebook in zip(lessons, notebooks, strict=True):
        if not is_fresh(notebook):
            raise UsageError(
                f"{lesson.name} was changed since it was built, and its pictures may not fit its "
                f"text; run 'python -m mtl_tutorial build {lesson.name}' first"
            )
    return notebooks


def _check_folder(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).exists():
        raise UsageError(
            f"{target} holds other files, and a site replaces all that is in its folder; "
            "give another one with --out"
        )
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file, and the site needs a folder; give one with --out")
    try:
        target.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=target).close()
    except OSError as error:
        raise UsageError(
            f"{target} can't be written ({error.strerror}); give another folder with --out"
        ) from None


def _replace(target: Path, made: Path) -> None:
    """Put the new site in the place of the old one, which stays where that fails."""
    shutil.copytree(made, target, dirs_exist_ok=True)
    for old in sorted(target.rglob("*"), reverse=True):  # what lies in a folder comes before it
        if not (made / old.relative_to(target)).exists():
            old.rmdir() if old.is_dir() and not old.is_symlink() else old.unlink()


def _lay_out(
    lessons: Sequence[Lesson], notebooks: Sequence[NotebookNode], source: Path, static: Path
) -> None:
    """Write what Sphinx reads, and the files that pages load."""
    kept_out = shutil.ignore_patterns("_static", "playground", "conf.py", "__pycache__")
    shutil.copytree(DOCS, source, ignore=kept_out)
    folders = [source / name for name in ("lessons", "methods", "results")]
    for folder in (*folders, static / "pictures", static / "web"):
        folder.mkdir(parents=True)
    for module in WEB.glob("*.js"):
        shutil.copy(module, static / "web")
    widgets: dict[str, Widget] = {}
    shown = {}
    for lesson, notebook in zip(lessons, notebooks, strict=True):
        page, found = page_of(notebook, lesson.name, static / "pictures")
        nbformat.write(page, source / "lessons" / lesson.path.name)
        shown[lesson.name] = list(found.values())
        widgets = {**found, **widgets}
    for room, name in reference.names():
        text = reference.method_page(room, name, widgets)
        (source / "methods" / f"{name}.md").write_text(text, encoding="utf-8")
    for told in RESULTS.glob("*.md"):
        text = reference.renamed(told.read_text(encoding="utf-8"))
        text = text.replace("](../README.md", "](../results.md")
        (source / "results" / told.name).write_text(text, encoding="utf-8")
    parts = _parts(lessons, shown)
    for own in source.glob("*.md"):
        own.write_text(reference.filled(own.read_text(encoding="utf-8"), parts), encoding="utf-8")


def _parts(lessons: Sequence[Lesson], shown: Mapping[str, Sequence[Widget]]) -> dict[str, str]:
    """What the pages of `docs` leave a place for, by name."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = re.sub(r"\]\(notebooks/(\w+\.ipynb)\)", r"](lessons/\1)", readme)
    others = {"methods": "Methods", "results": "Results", "teaching": "Teach with it"}
    return {
        "toctrees": reference.toctrees(lessons, others),
        "map": reference.map_of(lessons, shown),
        "compass": live("gradient_compass", reference.FIRST_COMPASS),
        "question": exercise(puzzle(reference.FIRST_QUESTION, "first page") or {}),
        "playground": PLAYGROUND,
        "repository": REPOSITORY.format(repository()) if repository() else "",
        "count": str(len(lessons)),
        "table": reference.renamed(reference.section(readme, "Do these methods help?")),
        "plans": reference.section(readme, "Teach with it"),
        "claims": reference.claims_table(RESULTS / "claims.json"),
        **{room: reference.methods_table(room) for room in reference.ROOMS},
    }


def _run_sphinx(source: Path, made: Path) -> None:
    from sphinx.cmd.build import build_main

    arguments = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(DOCS)]
    if build_main([*arguments, "-d", str(source.with_name("trees")), str(source), str(made)]):
        raise UsageError("Sphinx did not build the site; its lines above say why")


def _mend(made: Path) -> None:
    """Leave out what no page needs of the theme, and name what it has without a name.

    Its icons are a script of 1.6 MB; `_static/site.css` has the few that are shown.
    """
    mended = list(MENDED)
    if known := repository():
        link = f'<a class="repository" href="https://github.com/{known}">GitHub</a>'
        mended.append((r'(<div class="article-header-buttons">)', rf"\1{link}"))
    for page in made.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for found, instead in mended:
            text = re.sub(found, instead, text)
        page.write_text(text, encoding="utf-8")
    style = made / "_static" / "styles" / "pydata-sphinx-theme.css"
    style.write_text(ICONS.sub("", style.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.rmtree(made / "_static" / "vendor", ignore_errors=True)
    for file in (made / "_static").rglob("*"):
        if file.suffix in (".map", ".html") or file.stem == "fontawesome":
            file.unlink()


def _characters(made: Path) -> set[str]:
    """The characters of all formulas."""
    found: set[str] = set()
    for page in made.rglob("*.html"):
        for formula in re.findall(r"<math.*?</math>", page.read_text(encoding="utf-8"), re.DOTALL):
            found |= set(html.unescape(formula))
    return found


def _serve(folder: Path, page: str) -> None:
    with served(folder) as address:
        print(f"It is served at {address}/{page} (Ctrl-C stops it).", flush=True)
        webbrowser.open(f"{address}/{page}")
        while True:
            time.sleep(1)  # Ctrl-C ends it on every system
