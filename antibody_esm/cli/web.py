"""Page of a model in a browser: scores and explanations of antibodies, as Gradio's blocks."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.cli.web_design import heading, liabilities_tab, proposals_tab
from antibody_esm.cli.web_design_jobs import names_of
from antibody_esm.cli.web_jobs import LARGEST, explain_job, scan_job, score_job
from antibody_esm.cli.web_tables import KEPT, download_of, message_html, shown
from antibody_esm.cli.web_worker import EXPECTED, reason
from antibody_esm.sequences import BETWEEN
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from antibody_esm.data.reading import Chains
    from antibody_esm.predictor import Predictor

_WIDTHS = {"row": 50, "id": 160, "calibrated": 150, "warning": 330}
"""Widths of columns in pixels; other columns have 105."""


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
        path = download_of(folder, "scores.csv", scores.table)
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

    def explain(scores: Any, columns: Any, event: gr.SelectData, marked: bool = False) -> list[Any]:
        row = str(event.row_value[0]) if event.row_value else ""
        here = [] if scores is None else [i for i, value in enumerate(scores.table["row"]) if str(value) == row]
        if not here:
            return [gr.update(visible=False), "", "", None, None, None]
        (i,) = here
        antibody = _antibody(scores.antibodies[i]), columns[i], str(scores.table["id"].iloc[i])
        hidden = [gr.update(visible=False)] * 2
        return [gr.update(visible=True), picture_of(antibody, marked), "", *hidden, antibody]

    def picture_of(antibody: Any, marked: bool) -> str:
        if antibody is None:
            return ""
        text, cells, name = antibody
        title = f"<h3>{html.escape(name)}</h3>"
        try:
            return title + str(run(explain_job, text, cells, bool(marked)))
        except EXPECTED as error:
            return title + message_html(reason(error), "error")

    def scan(antibody: Any, positions: str, marked: bool = False) -> list[Any]:
        nothing = [gr.update(visible=False)] * 2
        if antibody is None:
            return [message_html("Click an antibody in the table first.", "error"), *nothing]
        try:
            result = run(scan_job, *antibody[:2], names_of(positions) or None, bool(marked))
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
        heading(_about(predictor))
        scores, chosen, columns = (gr.State(time_to_live=KEPT) for _ in range(3))
        with gr.Row():
            text = gr.Textbox(
                label="Sequences: FASTA, or one per line", lines=8, max_lines=8, elem_id="text", min_width=280
            )
            file = gr.File(
                label=f"Or a file: FASTA, CSV, TSV, Excel; at most {LARGEST // 10**6} MB", elem_id="file", min_width=280
            )
        in_turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        private = in_turn | {"api_visibility": "private"}
        public = in_turn | {"api_visibility": "public", "api_name": "score"}
        with gr.Tab("Scores"):
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
                marked = gr.Checkbox(False, label="Mark medium and high liabilities", elem_id="marked")
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
            results = [message, table, download, rejected, why, scores, chosen, columns]
            button.click(score, [text, file], results, **(public if api else private))
            clicked = table.select(
                explain, [scores, columns, marked], [why, picture, scanned, heat, best, chosen], **private
            )
            scanner.click(scan, [chosen, positions, marked], [scanned, heat, best], **private)
            marked.change(picture_of, [chosen, marked], [picture], **private)
        with gr.Tab("Liabilities"):
            liabilities_tab(run, folder, text, file, private)
        with gr.Tab("Proposals"):
            parent = proposals_tab(run, folder, chosen, private)
        clicked.then(lambda antibody: antibody[0] if antibody else "", [chosen], [parent], **private)
    return blocks


def _antibody(chains: "Chains") -> str:
    """Return an antibody as text that the model reads as it read the row of the table."""
    return BETWEEN.join(filter(None, chains))


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
