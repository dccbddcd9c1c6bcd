"""``antibody-esm app``: scores and pictures of antibodies in a web page, on this computer only."""

import html
import math
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from antibody_esm.cli.errors import reported
from antibody_esm.cli.gate import Gate
from antibody_esm.data.parts import Chain
from antibody_esm.errors import AntibodyESMError, DatasetError
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import RuntimeSpec

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.reading import Chains
    from antibody_esm.predictor import Predictor

LARGEST = 5_000_000
"""Bytes of an upload, at most."""
MOST = 2_000
"""Antibodies at a time, at most."""
LONGEST = 2_000
"""Residues of a sequence, at most."""
_LOOPBACK = ("127.0.0.1", "localhost")
_TEXT = (".csv", ".tsv", ".tab", ".fasta", ".fa", ".faa", ".fas")
"""Files that are what they weigh; a small packed one may unpack to more than memory."""
_WIDTHS = {"row": 50, "id": 160, "calibrated": 150, "warning": 330}
"""Of columns, in pixels; 105 is that of the others."""
_EXPECTED = (AntibodyESMError, OSError, ValueError)


def app_command(
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")] = Path(
        "embeddings"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Open a web page to score antibodies and see why; needs the extra [app]. Ctrl-C ends it."""
    with reported(), tempfile.TemporaryDirectory(prefix="antibody_esm-app-") as folder:
        # Gradio reads these when it is imported: it calls nobody, serves nothing but what it made, and keeps it there.
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_ALLOWED_PATHS": "",
            "GRADIO_TEMP_DIR": folder,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        from antibody_esm.predictor import Predictor

        try:
            import gradio as gr
        except ImportError as error:
            raise ValueError("the web page needs Gradio: pip install 'antibody_esm[app]'") from error
        from starlette.middleware import Middleware

        for one in (DeprecationWarning, FutureWarning, ResourceWarning):  # Gradio's own, of each request
            warnings.simplefilter("ignore", one)

        blocks = page(Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers)), Path(folder))
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
            app_kwargs={
                "middleware": [
                    Middleware(Gate, hosts=_LOOPBACK if host in _LOOPBACK else (), largest=LARGEST + 65_536),
                ]
            },
        )
        print(f"http://{host}:{port} (Ctrl-C ends it)", flush=True)  # noqa: T201
        blocks.block_thread()


def page(predictor: "Predictor", folder: Path) -> Any:
    """Return the page of a model, as `gradio.Blocks`; tables to be downloaded are written to `folder`."""
    import gradio as gr
    from matplotlib.figure import Figure

    from antibody_esm.explain import mutational_scan, residue_contributions
    from antibody_esm.explain.picture import fragment
    from antibody_esm.scoring import score_frame

    def score(text: str, file: str | None) -> list[Any]:
        nothing = [gr.update(visible=False)] * 4
        try:
            rows = antibodies(text or "", file, predictor.reading.chain)
            scores = score_frame(rows, predictor)
        except _EXPECTED as error:
            return [said(_reason(error), "error"), *nothing, None, None]
        path = Path(tempfile.mkdtemp(dir=folder)) / "scores.csv"
        scores.table.to_csv(path, index=False)
        readable = shown(scores.table)
        widths = [_WIDTHS.get(str(one), 105) for one in readable.columns]
        good, bad = len(scores.table), len(scores.rejected)
        flagged = int((scores.table["warning"] != "").sum())
        told_ = f"Antibodies scored: {good:,}; with a warning: {flagged:,}; that cannot be scored: {bad:,}."
        return [
            said(told_ + (" Click one to see why." if good else ""), "status"),
            gr.update(value=readable, visible=good > 0, column_widths=widths),
            gr.update(value=str(path), visible=good > 0),
            gr.update(value=scores.rejected.astype(str), visible=bad > 0),
            gr.update(visible=False),
            scores,
            None,
        ]

    def explain(scores: Any, event: gr.SelectData) -> list[Any]:
        row = str(event.row_value[0]) if event.row_value else ""
        here = [] if scores is None else [i for i, one in enumerate(scores.table["row"]) if str(one) == row]
        if not here:
            return [gr.update(visible=False), "", "", None, None, None]
        (i,) = here
        antibody = _antibody(scores.antibodies[i])
        title = f"<h3>{html.escape(str(scores.table['id'].iloc[i]))}</h3>"
        try:
            found = title + fragment(residue_contributions(predictor, antibody))
        except _EXPECTED as error:
            found = title + said(_reason(error), "error")
        return [gr.update(visible=True), found, "", gr.update(visible=False), gr.update(visible=False), antibody]

    def scan(sequence: str | None, positions: str) -> list[Any]:
        nothing = [gr.update(visible=False)] * 2
        if sequence is None:
            return [said("Click an antibody in the table first.", "error"), *nothing]
        try:
            found = mutational_scan(predictor, sequence, positions.strip() or None)
        except _EXPECTED as error:
            return [said(_reason(error), "error"), *nothing]
        figure = Figure(figsize=(max(5.0, 1.6 + 0.17 * len(found.sites)), 4.2), layout="constrained")
        found.plot(figure.subplots())
        mutations = found.to_frame()
        absent = "".join(f" No {name}: {why}." for name, why in found.absent.items())
        text = f"Mutations tried: {len(mutations):,}. Those that lower the score most are below.{absent}"
        table = gr.update(value=shown(mutations.head(20)), visible=True)
        return [said(text, "status"), gr.update(value=figure, visible=True), table]

    with gr.Blocks(title="antibody_esm", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.HTML(f"<h1>antibody_esm</h1><p>{html.escape(_about(predictor))}</p>")
        scores, chosen = gr.State(time_to_live=3600), gr.State(time_to_live=3600)
        with gr.Row():
            text = gr.Textbox(label="Sequences: FASTA, or one a line", lines=8, max_lines=8, elem_id="text")
            file = gr.File(label=f"Or a file: FASTA, CSV, TSV; at most {LARGEST // 10**6} MB", elem_id="file")
        button = gr.Button("Score", variant="primary", elem_id="score")
        message = gr.HTML(elem_id="message")
        table = gr.Dataframe(
            interactive=False, visible=False, datatype="str", wrap=True, label="Scores", elem_id="scores"
        )
        download = gr.DownloadButton("Download the table", visible=False, elem_id="download")
        rejected = gr.Dataframe(
            interactive=False, visible=False, datatype="str", wrap=True, label="Not scored", elem_id="rejected"
        )
        with gr.Column(visible=False, elem_id="why") as why:
            picture = gr.HTML(elem_id="picture")
            with gr.Row():
                positions = gr.Textbox(
                    "CDR3",
                    label="Mutate (IMGT positions, regions; every residue if empty)",
                    elem_id="positions",
                    max_lines=1,
                )
                scanner = gr.Button("Scan", elem_id="scan")
            scanned = gr.HTML(elem_id="scanned")
            heat = gr.Plot(visible=False, format="png", show_label=False, elem_id="heat")
            best = gr.Dataframe(
                interactive=False, visible=False, datatype="str", label="Mutations", elem_id="mutations"
            )
        one_at_a_time: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
        button.click(score, [text, file], [message, table, download, rejected, why, scores, chosen], **one_at_a_time)
        table.select(explain, [scores], [why, picture, scanned, heat, best, chosen], **one_at_a_time)
        scanner.click(scan, [chosen, positions], [scanned, heat, best], **one_at_a_time)
    return blocks


def antibodies(text: str, file: str | None, chain: Chain) -> "pd.DataFrame":
    """Return a table of what was pasted, or else of the uploaded file.

    Raises
    ------
    DatasetError
        If there is nothing, or too much, or the file cannot be read.
    """
    import pandas as pd

    from antibody_esm.data.files import places, read_frames
    from antibody_esm.data.tables import chain_columns, ids_of, pasted

    if len(text.encode()) > LARGEST or (file is not None and Path(file).stat().st_size > LARGEST):
        raise DatasetError(f"at most {LARGEST:,} bytes at a time")
    if text.strip() and file is not None:
        raise DatasetError("there are pasted sequences and a file; remove one of them")
    if text.strip():
        frame = pasted(text)
    elif file is None:
        raise DatasetError("paste sequences or choose a file first")
    elif Path(file).suffix.lower() not in _TEXT:
        raise DatasetError(f"names of files end in {', '.join(_TEXT)}")
    else:
        frames = []
        for one in read_frames(Path(file)):
            frames.append(one)
            if sum(map(len, frames)) > MOST:
                break
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if not len(frame):
        raise DatasetError("there are no antibodies")
    if len(frame) > MOST:
        raise DatasetError(f"at most {MOST:,} antibodies at a time; `antibody-esm predict` takes any number")
    for column in chain_columns(frame, chain).values():
        long = [row for row, cell in enumerate(column) if len(str(cell)) > LONGEST]
        if long:
            where = places(None if file is None else Path(file), long[:1], {long[0]: ids_of(frame)[long[0]]})
            raise DatasetError(f"{where[long[0]]}: at most {LONGEST:,} residues a sequence")
    return frame


def _antibody(chains: "Chains") -> str:
    """Return an antibody as text, of which the model reads what it read in the table."""
    return BETWEEN.join(filter(None, chains))


def shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table as text to be read: three decimals, each interval beside its middle, and no column of unknowns."""
    import pandas as pd

    text = pd.DataFrame({name: list(map(_cell, column)) for name, column in table.items()}, dtype=object)
    for middle, low, high in (("calibrated", "calibrated_low", "calibrated_high"), ("prediction", "low", "high")):
        if low in text:
            ends = zip(text[middle], text.pop(low), text.pop(high), strict=True)
            text[middle] = [f"{at} ({a} to {b})" if a else at for at, a, b in ends]
    known = text.loc[:, [name in ("id", "warning") or bool((text[name] != "").any()) for name in text]]
    return known.rename(columns=lambda name: str(name).replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def said(text: str, role: Literal["status", "error"]) -> str:
    """Return a message as HTML, in which whatever users named is text."""
    return f'<p role="{"alert" if role == "error" else "status"}">{html.escape(text)}</p>'


def _reason(error: Exception) -> str:
    """Return what is wrong, without the place where the server keeps an uploaded file."""
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ") if isinstance(error, DatasetError) else str(error)


def _about(predictor: "Predictor") -> str:
    data = predictor.data
    reads = str(predictor.reading)
    both = len(predictor.reading.chains) == 2
    pair = f", written heavy{BETWEEN}light or in columns heavy and light" if both else ""
    source = f"It was trained on {data['antibodies']:,} antibodies: {data['source']}."
    unknown = predictor.uncertainty
    intervals = f" Intervals are not known: {unknown}." if isinstance(unknown, str) else ""
    return f"This model reads {reads} sequences{pair}. {source}{intervals}"
