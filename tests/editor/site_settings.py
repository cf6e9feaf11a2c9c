"""Settings of a project with editors in its pages; see :mod:`tests.editor.site`."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DIRECTORY, INSTALLED_APPS, MIDDLEWARE

#: Of long documents.
PARAGRAPHS = 2000
DEBUG = True
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.staticfiles"]
MIDDLEWARE = [
    *MIDDLEWARE,
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "tests.editor.site.forbid_inline",
]
ROOT_URLCONF = "tests.editor.site"
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("COLLAB_TEST_MEDIA", DIRECTORY / "media")
