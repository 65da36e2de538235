"""`nst-tf studio`: a page to paint with, on this machine."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import webbrowser
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from nst_tf import files, locks
from nst_tf.apps import command, run_flags
from nst_tf.errors import NSTError
from nst_tf.pictures import folders
from nst_tf.recipe import presets

USAGE = """
nst-tf studio [flags]

Serves a page to paint with, prints its address and opens it in the browser: choose a photo and
paintings, watch, stop, go on, compare, keep. Pictures and results stay in a folder of this machine,
--dir, and are there again at the next time. Ctrl-C ends it; what is being painted is put aside.

    nst-tf studio --gallery=photos/,paintings/ --weights=vgg19.h5,mini
"""

#: Names that this machine has for itself.
_OWN = frozenset({"127.0.0.1", "localhost", "::1"})


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)
    listed = partial(flags.DEFINE_list, flag_values=values)
    text("dir", "studio", "The folder for pictures and results.")
    listed("gallery", [], "Folders or files of sample pictures, beside the bundled ones.")
    listed(
        "weights",
        ["auto"],
        "The networks to choose from, as nst-tf stylize takes them; the first is the default.",
    )
    listed("stylizers", [], "Files of nst-tf train, to begin with what they paint in one pass.")
    text("host", "127.0.0.1", "The address to listen to: another than this lets others in.")
    listed(
        "names",
        [],
        "Names of this machine that the page may be asked under, too, such as that of a proxy "
        "before it, which may put a path before all addresses.",
    )
    flags.DEFINE_integer(
        "port", 8732, "The port; 0 for any that is free.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_boolean("browser", True, "Open the page in the browser.", flag_values=values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    command.parse(values, USAGE, argv, required=0, most=0)
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise NSTError(
            "the studio needs starlette and uvicorn: pip install 'nst_tf[studio]'"
        ) from error
    samples = _samples(values.gallery)
    listening = _listening(values.host, values.port)
    folder = Path(values.dir)
    files.make_folder(folder)
    with listening, locks.alone(folder):
        return _serve(values, listening, folder, samples, uvicorn)


def _serve(
    values: flags.FlagValues,
    listening: socket.socket,
    folder: Path,
    samples: list[Path],
    uvicorn: Any,
) -> int:
    """Serves until it is ended."""
    from nst_tf.studio.desk import Desk
    from nst_tf.studio.server import Crowd, make_app
    from nst_tf.studio.shelf import Shelf

    crowd, shelf = Crowd(), Shelf(folder, samples)
    networks = {Path(source).stem: source for source in values.weights}
    stylizers = {Path(source).stem: source for source in values.stylizers}
    desk = Desk(
        shelf, networks, stylizers, run_flags.settings_of, crowd.tell, command.import_tensorflow
    )
    token = secrets.token_urlsafe(16)
    port = listening.getsockname()[1]
    own = values.host in _OWN
    known = _OWN | {name.lower() for name in values.names} if own else frozenset()
    app = make_app(desk, crowd, token, known, _words(networks, stylizers))
    name = values.host if own else socket.gethostname()
    address = f"http://{name}:{port}/{token}/"
    print(f"the studio: {address}", flush=True)
    if not own:
        print(
            f"it listens to {values.host}: whoever has the address can paint here and see all "
            "pictures, and the connection is not encrypted"
        )
    threading.Thread(target=shelf.open_samples, args=(crowd.tell,), daemon=True).start()
    if values.browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
    )
    try:
        with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again at its end
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        desk.close()
        shelf.close()
    print(f"ended; pictures and results are in {folder}")
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """The socket to listen to.

    Raises:
      UsageError: there is no such address, or somebody else has the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # who comes before all is there waits a moment
    except (OSError, OverflowError) as error:
        listening.close()
        raise command.UsageError(
            f"cannot listen to {host}, port {port}: {error}; --port=0 takes one that is free"
        ) from error
    return listening


def _samples(patterns: list[str]) -> list[Path]:
    """The pictures of folders, and files."""
    found: list[Path] = []
    for pattern in patterns:
        whole = Path(pattern)
        found += folders.pictures(whole) if whole.is_dir() else map(Path, folders.files(pattern))
    return found


def _words(networks: dict[str, str], stylizers: dict[str, str]) -> dict[str, Any]:
    """What the page knows of settings."""
    return {
        "presets": list(presets.PRESETS),
        "preset": presets.DEFAULT,
        "fields": run_flags.described(),
        "networks": list(networks),
        "begins": list(stylizers),
    }
