"""``antibody-esm app``: the server of a local web page, in which jobs run in a process of their own."""

import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import (
    STORE,
    CheckpointFolders,
    Device,
    HostName,
    PortNumber,
    SavedModel,
    StoreFolder,
    TimeLimit,
    Workers,
    runtime,
)
from antibody_esm.cli.web import page
from antibody_esm.cli.web_folder import temporary_folder
from antibody_esm.cli.web_jobs import LARGEST
from antibody_esm.cli.web_profile import profile_page
from antibody_esm.cli.web_rows import STYLE
from antibody_esm.cli.web_security import Gate
from antibody_esm.cli.web_worker import Worker
from antibody_esm.progress import step

if TYPE_CHECKING:
    from antibody_esm.panel import Panel
    from antibody_esm.predictor import Predictor

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def app_command(
    model: SavedModel,
    host: HostName = "127.0.0.1",
    port: PortNumber = 7860,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
    time_limit: TimeLimit = 300,
    api: Annotated[bool, typer.Option("--api", help="Allow programs to call the page's function `score`.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
) -> None:
    r"""Open a web page that scores and explains antibodies; needs the extra \[app]. Ctrl-C ends it.

    Examples
    --------
    antibody-esm app --model model/
    antibody-esm app -m run/model --port 7861 --no-browser
    """
    with reported(), temporary_folder() as folder:
        # Gradio reads these on import: no calls to other hosts, and only files of its own folder are served.
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_ALLOWED_PATHS": "",
            "GRADIO_TEMP_DIR": str(folder),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        try:
            with _without_proxies():  # with a SOCKS proxy, the import of Gradio fails
                import gradio  # noqa: F401
        except ImportError as error:
            raise ValueError("the web page needs Gradio: pip install '.[app]' in a checkout of antibody_esm") from error

        for category in (DeprecationWarning, FutureWarning, ResourceWarning):  # Gradio's own, of each request
            warnings.simplefilter("ignore", category)

        load = partial(_load, model, store, workers, device, tuple(checkpoint or ()))
        loaded = load()
        with Worker(load, time_limit) as jobs, step("", announced=False):  # a page that waits has no lines
            blocks = _page(loaded, folder, jobs, api)
            try:
                port = port or _free_port()
                _open(blocks, host.lower(), port, api)
                address = _address(host, port)
                print(f"{address} (Ctrl-C ends it)", flush=True)  # noqa: T201
                if not no_browser and sys.stdout.isatty():
                    _show(address)
                while blocks.is_running:
                    time.sleep(0.1)
            except KeyboardInterrupt as end:
                if getattr(end, "number", SIGINT) != SIGINT:
                    raise
            finally:
                blocks.close(verbose=False)


def _free_port() -> int:
    """Return the number of a port on which nothing listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _address(host: str, port: int) -> str:
    """Return the address of the page for a browser on this computer.

    Examples
    --------
    >>> _address("0.0.0.0", 7860), _address("::1", 80)
    ('http://127.0.0.1:7860', 'http://[::1]:80')
    """
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)  # noqa: S104  not a place to listen
    return f"http://[{here}]:{port}" if ":" in here and not here.startswith("[") else f"http://{here}:{port}"


def _show(address: str) -> None:
    """Open the page in the user's browser, in a thread, since some browsers return when they are closed."""
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), name="antibody_esm-browser", daemon=True).start()


def _load(
    model: Path, store: Path, workers: int | None, device: str, checkpoint: tuple[Path, ...] = ()
) -> "Predictor | Panel":
    from antibody_esm.panel import Panel
    from antibody_esm.panel_files import is_panel
    from antibody_esm.predictor import Predictor

    loaded = Panel if is_panel(model) else Predictor
    return loaded.load(model, store=store, runtime=runtime(workers, device), checkpoint=checkpoint)


def _page(loaded: "Predictor | Panel", folder: Path, jobs: Worker, api: bool) -> Any:
    from antibody_esm.predictor import Predictor

    if isinstance(loaded, Predictor):
        return page(loaded, folder, jobs, api=api)
    return profile_page(loaded, folder, jobs, api=api)


def _open(blocks: Any, host: str, port: int, api: bool) -> None:
    """Start the server in its own threads.

    Raises
    ------
    ValueError
        If the server cannot listen, or does not answer. Gradio's own messages advise a public link.
    """
    from starlette.middleware import Middleware

    hosts = _LOOPBACK if host in _LOOPBACK else ()
    gate = Middleware(Gate, hosts=hosts, largest=LARGEST + 65_536, api=api)
    try:
        with _without_proxies():
            blocks.queue(max_size=20, api_open=False).launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                share=False,
                inbrowser=False,
                show_error=False,
                quiet=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                mcp_server=False,
                pwa=False,
                ssr_mode=False,
                allowed_paths=[],
                max_file_size=LARGEST,
                state_session_capacity=100,
                css=STYLE,
                theme=_theme(),
                app_kwargs={"middleware": [gate]},
            )
    except OSError:
        raise ValueError(
            f"cannot listen on {host}, port {port}: the port is in use, or the address is not of this computer; "
            "choose another --port or --host"
        ) from None
    except Exception as error:  # Gradio raises a plain Exception, or a ValueError whose message advises share=True
        if type(error) not in (Exception, ValueError):  # other errors are not hidden
            raise
        raise ValueError(f"the page does not answer at {host}, port {port}; choose another --host or --port") from None


def _theme() -> Any:
    """Return the theme: fonts of the computer, and colours with enough contrast for small text."""
    import gradio as gr

    theme = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        color_accent="*primary_700",
        color_accent_soft="*primary_50",
    )


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Hide proxies from Gradio, whose request to its own server must not go through a proxy."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    for name in proxies:
        del os.environ[name]
    os.environ["NO_PROXY"] = "*"  # also those of the system
    try:
        yield
    finally:
        del os.environ["NO_PROXY"]
        os.environ |= proxies
