"""Settings of the example: a small Django project with collab in it.

What differs from a project without it is marked with "collab:".
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# Good enough on your own machine; a site in production sets them.
DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY", "example")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *os.environ.get("ALLOWED_HOSTS", "").split()]

INSTALLED_APPS = [
    # collab: the document server and its tables, an editor, rows in documents, live channels.
    "collab",
    "collab.editor",
    "collab.mirror",
    "collab.live",
    "collab_storage",
    "channels",
    "boards",
    "dashboard",
    # Before pages: the names of its documents match the pattern of theirs, too.
    "la_suite",
    "meetings",
    "pages",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", BASE_DIR / "db.sqlite3"),
        # collab: readers do not wait for writers, and writers wait for each other.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# collab: enough for one process; several need channels_redis.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# collab: every limit has a default; here users write no more than a page of text.
COLLAB = {
    "MAX_DOCUMENT_SIZE": 8 * 1024 * 1024,
    "MAX_ROOM_MEMBERS": 200,
    "LIVE_FRONTEND_DIR": BASE_DIR / "frontend" / "channels",
}

# The token that thermometers send with their readings.
SENSOR_TOKEN = os.environ.get("SENSOR_TOKEN", "example")

# The key that servers of a La Suite Docs send with their requests; see la_suite.
Y_PROVIDER_API_KEY = os.environ.get("Y_PROVIDER_API_KEY", "example")

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "pages"
LOGOUT_REDIRECT_URL = "login"

# The page of the admin by two has it in frames.
X_FRAME_OPTIONS = "SAMEORIGIN"

USE_TZ = True
TIME_ZONE = "UTC"

# collab: where images of pages are stored.
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("MEDIA", BASE_DIR / "media")

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
