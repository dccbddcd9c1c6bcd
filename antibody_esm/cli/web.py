"""Page of a model in a browser: scores and explanations of antibodies, as Gradio's blocks."""

import html
import math
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from antibody_esm.cli.web_folder import TABLE, remove_old
from antibody_esm.cli.web_jobs import LARGEST, explain_job, scan_job, score_job
from antibody_esm.cli.web_worker import EXPECTED, reason
from antibody_esm.sequences import BETWEEN
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.reading import Chains
    from antibody_esm.predictor import Predictor

_WIDTHS = {"row": 50, "id": 160, "calibrated": 150, "warning": 330}
"""Widths of columns in pixels; other columns have 105."""
KEPT = 3600
"""Seconds for which uploads, tables and scores of a session are kept."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a cell that spreadsheets read as a formula; the last four are wide forms of the first four."""


def page(predictor: "Predictor", folder: Path, jobs: Callable[..., Any] | None = None, *, api: bool = False) -> Any:
    """Return the page of a model as `gradio.Blocks`.

    Parameters
    ----------
    predictor
        The model.
    folder
        Folder of tables to download.
    jobs
        Runner of jobs, such as a `Worker`; None runs them in this process.
    api
        True allows programs to call `score`.
    """
    import gradio as gr
    from matplotlib.figure import Figure

    run = jobs or (lambda job, *arguments: job(predictor, *arguments))

    def score(text: str, file: str | None) -> list[Any]:
        nothing = [gr.update(visible=False)] * 4
        try:
            # Gradio's path is a class of its own
            scores, columns, notice = run(score_job, text or "", None if file is None else str(file))
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing, None, None, None]
        path = downloadable(scores.table, folder)
        readable = shown(scores.table)
        widths = [_WIDTHS.get(str(column), 105) for column in readable.columns]
        good, bad = len(scores.table), len(scores.rejected)
        flagged = int((scores.table["warning"] != "").sum())
        summary = f"Antibodies scored: {good:,}; with a warning: {flagged:,}; not scored: {bad:,}.{notice}"
        return [
            message_html(summary + (" Click an antibody to explain its score." if good else ""), "status"),
            gr.update(value=readable, visible=good > 0, column_widths=widths),
            gr.update(value=path, visible=good > 0),
            gr.update(value=scores.rejected.astype(str), visible=bad > 0),
            gr.update(visible=False),
            scores,
            None,
            columns,
        ]

    def explain(scores: Any, columns: Any, event: gr.SelectData) -> list[Any]:
        row = str(event.row_value[0]) if event.row_value else ""
        here = [] if scores is None else [i for i, value in enumerate(scores.table["row"]) if str(value) == row]
        if not here:
            return [gr.update(visible=False), "", "", None, None, None]
        (i,) = here
        antibody = _antibody(scores.antibodies[i]), columns[i]
        title = f"<h3>{html.escape(str(scores.table['id'].iloc[i]))}</h3>"
        try:
            content = title + run(explain_job, *antibody)
        except EXPECTED as error:
            content = title + message_html(reason(error), "error")
        return [gr.update(visible=True), content, "", gr.update(visible=False), gr.update(visible=False), antibody]

    def scan(antibody: Any, positions: str) -> list[Any]:
        nothing = [gr.update(visible=False)] * 2
        if antibody is None:
            return [message_html("Click an antibody in the table first.", "error"), *nothing]
        try:
            result = run(scan_job, *antibody, positions.strip() or None)
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing]
        figure = Figure(figsize=(max(5.0, 1.6 + 0.17 * len(result.sites)), 4.2), layout="constrained")
        result.plot(figure.subplots())
        mutations = result.to_frame()
        absent = "".join(f" No {name}: {why}." for name, why in result.absent.items())
        side = "raise" if predictor.data.higher_is_better else "lower"
        text = f"Mutations tried: {len(mutations):,}. Those that {side} the score most are below.{absent}"
        table = gr.update(value=shown(mutations.head(20)), visible=True)
        return [message_html(text, "status"), gr.update(value=figure, visible=True), table]

    with gr.Blocks(title="antibody_esm", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.HTML(f"<h1>antibody_esm</h1><p>{html.escape(_about(predictor))}</p>")
        scores, chosen, columns = (gr.State(time_to_live=KEPT) for _ in range(3))
        with gr.Row():
            text = gr.Textbox(label="Sequences: FASTA, or one per line", lines=8, max_lines=8, elem_id="text")
            file = gr.File(label=f"Or a file: FASTA, CSV, TSV, Excel; at most {LARGEST // 10**6} MB", elem_id="file")
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
                    label="Mutate (IMGT positions or regions; all residues if empty)",
                    elem_id="positions",
                    max_lines=1,
                )
                scanner = gr.Button("Scan", elem_id="scan")
            scanned = gr.HTML(elem_id="scanned")
            heat = gr.Plot(visible=False, format="png", show_label=False, elem_id="heat")
            best = gr.Dataframe(
                interactive=False, visible=False, datatype="str", label="Mutations", elem_id="mutations"
            )
        in_turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        private = in_turn | {"api_visibility": "private"}
        public = in_turn | {"api_visibility": "public", "api_name": "score"}
        results = [message, table, download, rejected, why, scores, chosen, columns]
        button.click(score, [text, file], results, **(public if api else private))
        table.select(explain, [scores, columns], [why, picture, scanned, heat, best, chosen], **private)
        scanner.click(scan, [chosen, positions], [scanned, heat, best], **private)
    return blocks


def _antibody(chains: "Chains") -> str:
    """Return an antibody as text that the model reads as it read the row of the table."""
    return BETWEEN.join(filter(None, chains))


def shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table as text for display: three decimals, intervals beside their values, and no empty column."""
    import pandas as pd

    text = pd.DataFrame({name: list(map(_cell, column)) for name, column in table.items()}, dtype=object)
    for middle, low, high in (("calibrated", "calibrated_low", "calibrated_high"), ("prediction", "low", "high")):
        if low in text:
            ends = zip(text[middle], text.pop(low), text.pop(high), strict=True)
            text[middle] = [f"{at} ({a} to {b})" if a else at for at, a, b in ends]
    kept = text.loc[:, [name in ("id", "warning") or bool((text[name] != "").any()) for name in text]]
    return kept.rename(columns=lambda name: str(name).replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def downloadable(table: "pd.DataFrame", folder: Path) -> str:
    """Write a table as CSV to a folder of its own under `folder`, without formulas, and return its path."""
    remove_old(folder, KEPT)
    path = Path(tempfile.mkdtemp(prefix=TABLE, dir=folder)) / "scores.csv"
    without_formulas(table).to_csv(path, index=False)
    return str(path)


def message_html(text: str, role: Literal["status", "error"]) -> str:
    """Return a message as HTML, with escaped text."""
    return f'<p role="{"alert" if role == "error" else "status"}">{html.escape(text)}</p>'


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table without formulas: ``'`` is put before a text that spreadsheets would read as a formula.

    Line breaks within a text become spaces. Numbers stay as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> without_formulas(pd.DataFrame({"id": ["=1+1", "a"], "score": [-1, 1]})).to_csv(index=False).split()
    ['id,score', "'=1+1,-1", 'a,1']
    """

    def plain(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        risky = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
        return risky * "'" + re.sub(r"[\r\n]+", " ", cell)

    return table.map(plain)


def _about(predictor: "Predictor") -> str:
    data = predictor.data
    reads = str(predictor.reading)
    both = len(predictor.reading.chains) == 2
    pair = f", written heavy{BETWEEN}light or in columns heavy and light" if both else ""
    columns = f", and the columns {predictor.reading.columns} of a table" if predictor.reading.columns else ""
    source = f"It was trained on {data.antibodies:,} antibodies: {data.source}."
    source += f" It was {data.recalibration}." if data.recalibration else ""
    uncertainty = predictor.uncertainty
    intervals = f" There are no intervals: {uncertainty}." if isinstance(uncertainty, Unknown) else ""
    return f"This model reads {reads} sequences{pair}{columns}. {source}{intervals}"
