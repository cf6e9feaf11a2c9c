"""Compiles the modules of the hot path with mypyc: for a platform wheel, or into a tree of its own.

A wheel is pure Python unless ``COLLAB_COMPILE`` is set; the same modules run both ways.

    COLLAB_COMPILE=1 python -m build --wheel    a wheel for this machine's Python
    python hatch_build.py build/compiled        a copy of the project that tests and bench run
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The modules through which an update goes. Classes of exceptions stay interpreted: compiled ones
#: end the process when a property of one is read.
COMPILED = (
    "collab.access",
    "collab.engine.connections.fast_path",
    "collab.engine.connections.frame_writer",
    "collab.engine.connections.refused_answers",
    "collab.engine.connections.shared_timers",
    "collab.engine.connections.throttle",
    "collab.engine.hub.addresses",
    "collab.engine.hub.admission",
    "collab.engine.hub.live_rooms",
    "collab.engine.rooms.delivery",
    "collab.engine.rooms.encoded_document",
    "collab.engine.rooms.integrator",
    "collab.engine.rooms.live_document",
    "collab.engine.rooms.member",
    "collab.engine.rooms.outbox",
    "collab.engine.rooms.pending",
    "collab.engine.rooms.presence_broadcast",
    "collab.engine.rooms.room",
    "collab.engine.runtime.counters",
    "collab.engine.runtime.per_loop",
    "collab.engine.runtime.token_bucket",
    "collab.engine.serving.frame_intake",
    "collab.engine.serving.overrides",
    "collab.engine.serving.served_consumer",
    "collab.engine.sockets.addresses",
    "collab.engine.sockets.inbox",
    "collab.engine.sockets.join_queue",
    "collab.engine.sockets.request_head",
    "collab.engine.storing.unsaved",
    "collab.engine.storing.writer",
    "collab.hocuspocus.address",
    "collab.hocuspocus.connection",
    "collab.hocuspocus.credentials",
    "collab.hocuspocus.frames",
    "collab.hocuspocus.member",
    "collab.hocuspocus.outbox",
    "collab.hocuspocus.session",
    "collab.protocol.effects",
    "collab.protocol.frames",
    "collab.protocol.json_frames",
    "collab.protocol.session",
    "collab.protocol.websocket_frames",
    "collab.protocol.yjs.nesting",
    "collab.protocol.yjs.partial",
    "collab.protocol.yjs.typed_effects",
    "collab.protocol.yjs.updates",
    "collab.protocol.yjs.validation",
    "collab.wire",
    "collab_storage.structs",
    "collab_storage.surrogates",
    "collab_storage.updates",
)

_PACKAGES = {"collab": Path("collab"), "collab_storage": Path("storage/collab_storage")}
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", "*.so")

_MYPY = """[mypy]
explicit_package_bases = true
follow_imports = silent
ignore_missing_imports = true
"""
_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

target, level, *files = sys.argv[1:]
setup(
    name="django-collab-compiled",
    packages=[],
    script_args=["build_ext", "--build-lib", target, "--build-temp", target + ".temp"],
    ext_modules=mypycify(
        ["--config-file", "mypy.ini", *files],
        opt_level=level,
        target_dir=target + ".c",
        group_name="django_collab",
    ),
)
"""


def compile_modules(root: Path, work: Path, level: str = "3") -> Path:
    """Return the folder of the extension modules, which lie there as in ``site-packages``.

    Args:
        root: of the project.
        work: an empty folder.
        level: of the C compiler's optimization.
    """
    for package, path in _PACKAGES.items():
        shutil.copytree(root / path, work / package, ignore=_NOT_COPIED)
    (work / "mypy.ini").write_text(_MYPY)
    files = [f"{name.replace('.', '/')}.py" for name in COMPILED]
    done = subprocess.run(
        [sys.executable, "-c", _SETUP, str(work / "lib"), level, *files],
        cwd=work,
        env={**os.environ, "MYPYPATH": str(work)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        # What has failed is among the last lines.
        sys.exit(f"The modules cannot be compiled:\n{done.stdout[-5000:]}")
    return work / "lib"


def make_tree(root: Path, tree: Path) -> None:
    """Make ``tree`` a copy of the project in which the modules are compiled."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    copied = {"collab", "storage", "tests", "bench"}
    for name in copied:
        shutil.copytree(root / name, tree / name, ignore=_NOT_COPIED)
    for path in root.iterdir():
        if path.name not in copied | {"build", ".git"}:
            (tree / path.name).symlink_to(path)
    with tempfile.TemporaryDirectory() as work:
        library = compile_modules(root, Path(work))
        for file in library.rglob("*.so"):
            package, *_ = file.relative_to(library).parts
            folder = _PACKAGES[package].parent if package in _PACKAGES else Path()
            shutil.copy(file, tree / folder / file.relative_to(library))


class CompilingHook(BuildHookInterface[Any]):
    """Adds the extension modules to the wheel if ``COLLAB_COMPILE`` is set."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the needs of this build besides those of any other."""
        if not os.environ.get("COLLAB_COMPILE"):
            return []
        # The types of pycrdt are those of many variables.
        return ["mypy>=1.17", "setuptools>=77", "pycrdt>=0.14.10"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the modules, unless the wheel is to be pure Python."""
        if not os.environ.get("COLLAB_COMPILE"):
            return
        self._work = tempfile.mkdtemp()
        library = compile_modules(Path(self.root), Path(self._work))
        for file in library.rglob("*.so"):
            build_data["force_include"][str(file)] = str(file.relative_to(library))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete what the compiler has left."""
        if os.environ.get("COLLAB_COMPILE"):
            shutil.rmtree(self._work)


if __name__ == "__main__":
    make_tree(Path(__file__).parent, Path(sys.argv[1]))
