"""``antibody-esm app``: the server of a local web page, in which jobs run in a process of their own."""

import os
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
from antibody_esm.cli.options import CheckpointFolders
from antibody_esm.cli.web import page
from antibody_esm.cli.web_folder import temporary_folder
from antibody_esm.cli.web_jobs import LARGEST
from antibody_esm.cli.web_profile import profile_page
from antibody_esm.cli.web_security import Gate
from antibody_esm.cli.web_worker import Worker

if TYPE_CHECKING:
    from antibody_esm.panel import Panel
    from antibody_esm.predictor import Predictor

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def app_command(
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model or panel.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 allows other computers.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    checkpoint: CheckpointFolders = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
    time_limit: Annotated[float, typer.Option(min=1, help="Time limit of a job, in seconds.")] = 300,
    api: Annotated[bool, typer.Option("--api", help="Allow programs to call the page's function `score`.")] = False,
) -> None:
    """Open a web page that scores and explains antibodies; needs the extra [app]. Ctrl-C ends it."""
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
            raise ValueError("the web page needs Gradio: pip install 'antibody_esm[app]'") from error

        for category in (DeprecationWarning, FutureWarning, ResourceWarning):  # Gradio's own, of each request
            warnings.simplefilter("ignore", category)

        load = partial(_load, model, store, workers, tuple(checkpoint or ()))
        loaded = load()
        with Worker(load, time_limit) as jobs:
            blocks = _page(loaded, folder, jobs, api)
            try:
                _open(blocks, host.lower(), port, api)
                print(f"http://{host}:{port} (Ctrl-C ends it)", flush=True)  # noqa: T201
                while blocks.is_running:
                    time.sleep(0.1)
            except KeyboardInterrupt as end:
                if getattr(end, "number", SIGINT) != SIGINT:
                    raise
            finally:
                blocks.close(verbose=False)


def _load(model: Path, store: Path, workers: int | None, checkpoint: tuple[Path, ...] = ()) -> "Predictor | Panel":
    from antibody_esm.panel import Panel
    from antibody_esm.panel_files import is_panel
    from antibody_esm.predictor import Predictor
    from antibody_esm.specs import RuntimeSpec

    loaded = Panel if is_panel(model) else Predictor
    return loaded.load(model, store=store, runtime=RuntimeSpec(workers=workers), checkpoint=checkpoint)


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
    import gradio as gr
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
                theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
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
