"""A project with boards of tasks. What serves them is in the environment:

BENCH_SERVES      the name of a module beside this one, which tells clients of saved tasks
BENCH_DATABASE    DATABASES["default"], as JSON
"""

import json
import os

SERVES = os.environ["BENCH_SERVES"]
IS_COLLAB = SERVES == "by_collab"
IS_LIVE = SERVES.startswith("by_live")

SECRET_KEY = "bench"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "board.views"
ASGI_APPLICATION = "board.asgi.application"

INSTALLED_APPS = [
    "board",
    *(["collab", "collab.mirror", "collab_storage"] if IS_COLLAB else []),
    *(["collab", "collab.live", "collab_storage"] if IS_LIVE else []),
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]
MIDDLEWARE: list[str] = []
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
# In memory: what is sent through it costs no system call.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
COLLAB = {"DEFAULT_ACCESS": "write", **json.loads(os.environ.get("BENCH_COLLAB", "{}"))}
