"""Sphinx's settings for the documentation, which `ci/docs` builds."""

import sys
from pathlib import Path

# The checkout: docs/make_gallery.py, and its own package, whose docstrings are the reference.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scoop_mpi import __version__

project = "scoop_mpi"
author = "scoop_mpi developers"
version = release = __version__

extensions = [
    "docs.make_gallery",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]

# A list after a line with a class in braces gets its looks from site.css. So the first page's cards
# need no extension that must be kept up with Sphinx and the theme; without style they are a list.
myst_enable_extensions = ["attrs_block", "deflist"]
# Sections can be linked to by the names that GitHub gives them.
myst_heading_anchors = 3

# Blocks that don't say what they are show diagrams, whose lines are kept whole: see site.css.
highlight_language = "none"
# In the docstrings a word between single backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# The parameter callable_ is no reference to something called callable.
strip_signature_backslash = True
# Python's own names are not linked to: their index would have to be fetched at each build.
nitpick_ignore_regex = [
    # To a type checker what a function returns.
    (r"py:class", r"R|scoop_mpi\.tasks\.future\.T_co"),
    (r"py:class", r"(collections\.abc|concurrent\.futures|logging)\..*"),
    (r"py:exc", r"BrokenExecutor|(asyncio|multiprocessing)\..*"),
]

# Dashes only: quotation marks and dots stay as they are typed, and as messages have them.
smartquotes_action = "D"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"scoop_mpi {version}"
html_copy_source = False
html_show_copyright = False


def setup(_: object) -> None:
    """Show each function with the one signature that a reader needs, and not those for checkers."""
    from sphinx.pycode import ModuleAnalyzer

    analyzer = ModuleAnalyzer.for_module("scoop_mpi.futures")
    analyzer.analyze()
    analyzer.overloads.clear()  # Sphinx keeps what it has analysed
