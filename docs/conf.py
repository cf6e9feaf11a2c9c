"""Configuration of the site that ``make docs`` builds."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import django
from django.conf import settings

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BUILD = ROOT / "build" / "docs"
sys.path[:0] = [str(ROOT), str(ROOT / "storage")]

# autodoc imports the modules that it documents, models among them.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "collab",
        "collab_storage",
        "collab.mirror",
        "collab.live",
        "collab.editor",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

import collab  # noqa: E402


def compiled_inventory(name: str, version: str) -> str:
    """Compile ``inventories/<name>.txt`` into Sphinx' binary format; return the path.

    The inventories are checked in, with the names that the docstrings refer to only, because the
    build must neither need a network nor change with what other projects publish.
    """
    entries = (DOCS / "inventories" / f"{name}.txt").read_bytes()
    header = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: {version}\n"
    compression = "# The remainder of this file is compressed using zlib.\n"
    target = BUILD / "inventories" / f"{name}.inv"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((header + compression).encode() + zlib.compress(entries))
    return str(target)


project = "django-collab"
author = "The django-collab developers"
copyright = author
version = release = collab.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
# Reports for other projects are no part of this one's documentation.
exclude_patterns = ["inventories", "upstream"]
myst_enable_extensions = ["colon_fence", "deflist"]
# Links between pages name headings, as on a site that shows the Markdown files themselves.
myst_heading_anchors = 4
# Samples are highlighted as far as their language is known: JSX and nginx' own are not.
suppress_warnings = ["misc.highlighting_failure"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False

intersphinx_mapping = {
    "channels": (
        "https://channels.readthedocs.io/en/stable/",
        compiled_inventory("channels", "4"),
    ),
    "django": ("https://docs.djangoproject.com/en/stable/", compiled_inventory("django", "5.2")),
    "pycrdt": ("https://y-crdt.github.io/pycrdt/", compiled_inventory("pycrdt", "0.14")),
    "python": ("https://docs.python.org/3/", compiled_inventory("python", "3")),
}

html_theme = "furo"
html_title = "django-collab"
html_show_copyright = False
html_show_sphinx = False
