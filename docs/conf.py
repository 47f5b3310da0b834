"""How Sphinx makes the site of what ``python -m mtl_tutorial site`` lays out."""

import inspect
import re

from docutils import nodes

from mtl_tutorial.commands.formulas import mathml
from mtl_tutorial.commands.hosts import address

project = "Multi-task learning, hands on"
author = "The mtl_tutorial authors"
copyright = f"{author}; MIT licence"
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["playground"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the site shows what was built, and runs nothing
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # which has tables
autodoc_member_order = "bysource"
autodoc_typehints = "none"
default_role = "code"
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = project
html_baseurl = address()
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["file.js", ("site.js", {"type": "module"})]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "primary_sidebar_end": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "home_page_in_toc": False,
    "show_prev_next": True,
    "toc_title": "On this page",
}
ARXIV, LINK = re.compile(r"arXiv (\d{4}\.\d{5})"), r"`arXiv \1 <https://arxiv.org/abs/\1>`__"
html_math_renderer = "mathml"


def _inline(self, node: nodes.Element) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(self, node: nodes.Element) -> None:
    parts = re.split(r"\\qquad", text := node.astext())
    if any(part.count("{") != part.count("}") or "\\begin" in part for part in parts):
        parts = [text]
    parts = [part for part in parts if part.strip()]
    shown = "".join(f"<span>{mathml(part, True)}</span>" for part in parts)  # below each other
    self.body.append(f'<div class="formula" tabindex="0">{shown}</div>')  # where it is narrow
    raise nodes.SkipNode


def _plain(app, what, name, thing, options, lines: list[str]) -> None:
    """Leave out what is raised; a bar is that of an absolute value, an arXiv number a link."""
    text = re.sub(r"^:raises.*(?:\n(?!:)\S.*|\n +.*)*\n?", "", "\n".join(lines), flags=re.M)
    lines[:] = text.split("\n")
    lines[:] = [ARXIV.sub(LINK, line.replace("|", r"\|")) for line in lines]


def _of_init(app, what, name, thing, options, signature, returns):
    """Give a class the signature that its `__init__` has, not that of a `__new__` above it."""
    if what != "class":
        return None
    if thing.__init__ is object.__init__:
        return "", None
    parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare)), None


def _short_titles(app, page, template, context, doctree) -> None:
    """The pages before and after are told by their titles up to the colon."""
    for place in ("prev", "next"):
        if context.get(place):
            title = context[place]["title"].partition(":")[0]
            context[place] = {**context[place], "title": title}


def setup(app) -> None:
    """Have formulas drawn by the browser itself, and docstrings read as they are written."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", _plain)
    app.connect("autodoc-process-signature", _of_init)
    app.connect("html-page-context", _short_titles)
