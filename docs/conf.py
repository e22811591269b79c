"""Sphinx's settings for the documentation, which `ci/docs` builds."""

import sys
from pathlib import Path

# The checkout's own package, whose docstrings are the reference.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scoop_mpi import __version__

project = "scoop_mpi"
author = "scoop_mpi developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
# Sections can be linked to by the names that GitHub gives them.
myst_heading_anchors = 3

# In the docstrings a word between single backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# Python's own names are not linked to: their index would have to be fetched at each build.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|concurrent|functools|logging|typing)\..*"),
    (r"py:class", r"(Any|Callable|Iterable|Iterator|Literal|NamedTuple)"),
    (r"py:class", r"(bool|dict|float|int|list|object|set|str|tuple|BaseException)"),
    (r"py:exc", r"\w*(Error|Exception)"),
]

html_theme = "furo"
html_title = f"scoop_mpi {version}"
html_copy_source = False
html_show_copyright = False
