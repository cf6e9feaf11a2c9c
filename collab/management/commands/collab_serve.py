from __future__ import annotations

import gc
from argparse import ArgumentParser
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from collab.conf import Settings, get_settings, get_storage, has_shared_layer

#: New objects before the garbage collector looks at them, and how much rarer it looks at older
#: ones: updates that wait to be stored are never garbage.
_GC_THRESHOLDS = 10_000, 5, 5

_LARGEST_PORT = 65535

#: Files of a project that are read once, beside its Python code.
_TEMPLATES = ["*.html"]

#: Makes the application of a project that has none of its own.
_MAKER = "collab.asgi:get_application"


class Command(BaseCommand):
    help = "Serve the project's ASGI application with uvicorn, set up for documents."
    # Warnings are shown as by runserver; an error ends the command.
    requires_system_checks = "__all__"
    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "address", nargs="?", default="127.0.0.1:8000", help="HOST:PORT, or PORT alone"
        )
        parser.add_argument(
            "--reload", action="store_true", help="start again when a file of the project changes"
        )
        parser.add_argument("--workers", type=int, default=1, help="number of processes")
        parser.add_argument(
            "--forwarded-allow-ips", help="addresses of proxies whose X-Forwarded-For is believed"
        )

        parser.add_argument(
            "--tune-gc",
            action="store_true",
            help="make garbage collections rarer, and leave out objects of the start",
        )

    def handle(self, **options: Any) -> None:
        try:
            import uvicorn
        except ImportError as error:
            raise CommandError(
                'uvicorn is not installed: pip install "django-collab[server]"'
            ) from error
        self._check(options["workers"], reload=options["reload"])
        if options["tune_gc"]:
            _tune_gc(has_one_process=options["workers"] == 1 and not options["reload"])
        host, port = _address(options["address"])
        application = _application()
        self.stdout.write(f"Serving documents at http://{host}:{port}/ (Ctrl+C ends).")
        uvicorn.run(
            application,
            factory=application == _MAKER,
            host=host,
            port=port,
            workers=options["workers"],
            reload=options["reload"],
            reload_includes=_TEMPLATES if options["reload"] and _has_watchfiles() else None,
            forwarded_allow_ips=options["forwarded_allow_ips"],
            http="collab.sockets:HttpProtocol",
            ws="collab.sockets:WebSocketProtocol",
            ws_max_size=_largest_frame(get_settings()),
            # Updates are too small for compression to be worth its time and memory.
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=15,
            lifespan="auto",
            log_level="info" if settings.DEBUG else "warning",
        )

    def _check(self, workers: int, *, reload: bool) -> None:
        if workers > 1 and reload:
            raise CommandError("--reload serves with one process: leave --workers out.")
        if reload and not _has_watchfiles():
            self.stdout.write(
                "watchfiles is not installed: --reload notices changed Python files only, and reads"
                ' the times of all of them four times a second: pip install "django-collab[server]"'
            )
        if workers > 1 and not has_shared_layer():
            raise CommandError(
                f"{workers} processes keep a document equal through a channel layer that they"
                " share: set CHANNEL_LAYERS to channels_redis, see docs/scaling.md."
            )
        if workers > 1 and not get_storage().shared:
            raise CommandError(
                f"{workers} processes would have documents of their own:"
                f" {type(get_storage()).__name__} is not shared by processes."
            )


def _has_watchfiles() -> bool:
    return find_spec("watchfiles") is not None


def _tune_gc(*, has_one_process: bool) -> None:
    """Load the application, exclude all that is there from collections, and make them rarer."""
    if not has_one_process:
        raise CommandError(
            "--tune-gc is for one process without --reload; others read it from asgi.py, see"
            ' "The garbage collector" in docs/deployment.md.'
        )
    import_module(_application().partition(":")[0])
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _largest_frame(limits: Settings) -> int:
    """Return the size of the largest frame: an update, or the answer with a whole document."""
    return max(limits.MAX_FRAME_SIZE, limits.MAX_DOCUMENT_SIZE + 1024)


def _application() -> str:
    """Return the project's application as uvicorn names it, or the maker of one for all types."""
    if not (path := getattr(settings, "ASGI_APPLICATION", None)):
        return _MAKER
    module, _, name = path.rpartition(".")
    return f"{module}:{name}"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise CommandError(f"{text!r} is not valid: write HOST:PORT, or PORT alone.")
    return host.strip("[]") or "127.0.0.1", int(port)
