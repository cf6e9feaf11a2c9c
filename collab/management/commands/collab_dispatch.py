from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from collab.documents.changes.deliverer import Deliverer
from collab.documents.changes.dispatcher import Dispatcher
from collab.management.selection import DocumentsCommand

#: Seconds that running receivers may take after SIGINT or SIGTERM.
_STOP_TIMEOUT = 30.0


class Command(DocumentsCommand):
    help = (
        "Call changed() and the other handlers of document types for changes that are due. Needed"
        " only where no ASGI server of this project runs, which does the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loop", action="store_true", help="go on until SIGINT or SIGTERM arrives"
        )
        parser.add_argument(
            "--now", action="store_true", help="do not wait for the pause after the last change"
        )

    def run(self, **options: Any) -> None:
        if not apps.is_installed("collab_storage"):
            raise CommandError(
                "Changes are recorded in a table of collab_storage: add it to INSTALLED_APPS."
            )
        if options["loop"]:
            self._loop()
        else:
            delivered = Deliverer().deliver_all(wait=not options["now"])
            self.stdout.write(f"Changes of {delivered} documents delivered.")

    def _loop(self) -> None:
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: ended.set())
        dispatcher = Dispatcher()
        dispatcher.start()
        self.stdout.write("Changes are delivered as they become due; Ctrl+C ends.")
        ended.wait()
        dispatcher.stop(_STOP_TIMEOUT)
