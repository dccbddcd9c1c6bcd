"""Page of a model in a browser: scores and explanations of antibodies, as Gradio's blocks."""

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.cli.web_design import liabilities_tab, proposals_tab
from antibody_esm.cli.web_design_jobs import names_of
from antibody_esm.cli.web_input import antibodies_input, fill_examples, heading
from antibody_esm.cli.web_jobs import explain_job, scan_job, score_job
from antibody_esm.cli.web_rows import CLICKS, table_html
from antibody_esm.cli.web_tables import KEPT, download_of, message_html, shown
from antibody_esm.cli.web_words import MUTATION_MEANINGS, badge, class_names, in_front, legend, with_class_names
from antibody_esm.cli.web_worker import EXPECTED, reason
from antibody_esm.sequences import BETWEEN
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.reading import Chains
    from antibody_esm.predictor import Predictor


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
        nothing = [gr.update(visible=False)] * 5
        try:
            # Gradio's path is a class of its own
            scores, columns, notice = run(score_job, text or "", None if file is None else str(file))
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing, gr.update(visible=False), None, None, None]
        path = download_of(folder, "scores.csv", scores.table)
        good, bad = len(scores.table), len(scores.rejected)
        flagged = int((scores.table["warning"] != "").sum())
        summary = f"Antibodies scored: {good:,}; with a warning: {flagged:,}; not scored: {bad:,}.{notice}"
        refused = table_html(scores.rejected.astype(str), "Not scored") if bad else ""
        return [
            message_html(summary, "status"),
            gr.update(value=rows(scores.table, raw=False) if good else "", visible=good > 0),
            gr.update(value=False, visible=good > 0),
            gr.update(visible=good > 0),
            gr.update(value=path, visible=good > 0),
            gr.update(value=f"<h3>Not scored</h3>{refused}" if bad else "", visible=bad > 0),
            gr.update(visible=False),
            scores,
            None,
            columns,
        ]

    def rows(table: "pd.DataFrame", *, raw: bool) -> str:
        return _rows(predictor, table, raw=raw)

    def show(scores: Any, raw: bool) -> Any:
        return gr.update() if scores is None else gr.update(value=rows(scores.table, raw=bool(raw)))

    def act(scores: Any, columns: Any, marked: bool, positions: str, event: gr.EventData) -> Iterator[list[Any]]:
        row = str(getattr(event, "row", ""))
        here = [] if scores is None else [i for i, value in enumerate(scores.table["row"]) if str(value) == row]
        hidden = [gr.update(visible=False)] * 2
        if not here:
            yield [gr.update(visible=False), "", "", *hidden, None]
            return
        (i,) = here
        antibody = _antibody(scores.antibodies[i]), columns[i], str(scores.table["id"].iloc[i])
        picture = picture_of(antibody, marked)
        yield [gr.update(visible=True), picture, "", *hidden, antibody]
        if getattr(event, "scan", False) is True:
            yield [gr.update(), gr.update(), *scan(antibody, positions, marked), gr.update()]

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
        table = gr.update(
            value=table_html(shown(mutations.head(20)), "Mutations", meanings=MUTATION_MEANINGS), visible=True
        )
        return [message_html(text, "status"), gr.update(value=figure, visible=True), table]

    with gr.Blocks(title="antibody_esm", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        heading(_about(predictor))
        scores, chosen, columns = (gr.State(time_to_live=KEPT) for _ in range(3))
        text, file, example = antibodies_input()
        in_turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        private = in_turn | {"api_visibility": "private"}
        public = in_turn | {"api_visibility": "public", "api_name": "score"}
        with gr.Tab("Scores"):
            button = gr.Button("Score", variant="primary", elem_id="score")
            message = gr.HTML(elem_id="message")
            table = gr.HTML(visible=False, elem_id="scores", js_on_load=CLICKS)
            raw = gr.Checkbox(False, label="All columns, with the raw probability", visible=False, elem_id="raw")
            about = gr.HTML(legend(predictor), visible=False, elem_id="legend")
            download = gr.DownloadButton("Download the table", visible=False, elem_id="download")
            rejected = gr.HTML(visible=False, elem_id="rejected")
            with gr.Column(visible=False, elem_id="why") as why:
                picture = gr.HTML(elem_id="picture")
                marked = gr.Checkbox(False, label="Mark medium and high liabilities", elem_id="marked")
                with gr.Row(equal_height=True):
                    positions = gr.Textbox(
                        "CDR3",
                        label="Mutate (IMGT positions or regions; all residues if empty)",
                        elem_id="positions",
                        max_lines=1,
                        scale=4,
                    )
                    scanner = gr.Button("Scan", elem_id="scan", scale=1, min_width=100)
                scanned = gr.HTML(elem_id="scanned")
                heat = gr.Plot(visible=False, format="png", show_label=False, elem_id="heat")
                best = gr.HTML(visible=False, elem_id="mutations")
            results = [message, table, raw, about, download, rejected, why, scores, chosen, columns]
            button.click(score, [text, file], results, **(public if api else private))
            acted = [why, picture, scanned, heat, best, chosen]
            clicked = table.click(act, [scores, columns, marked, positions], acted, **private)
            raw.change(show, [scores, raw], [table], **private)
            scanner.click(scan, [chosen, positions, marked], [scanned, heat, best], **private)
            marked.change(picture_of, [chosen, marked], [picture], **private)
        with gr.Tab("Liabilities"):
            liabilities_tab(run, folder, text, file, private)
        with gr.Tab("Proposals"):
            parent = proposals_tab(run, folder, chosen, private)
        clicked.then(lambda antibody: antibody[0] if antibody else "", [chosen], [parent], **private)
        fill_examples(example, text, file, predictor, private)
    return blocks


def _rows(predictor: "Predictor", table: "pd.DataFrame", *, raw: bool) -> str:
    """Return the table of scores as HTML, with the columns that a reader needs first, or with all of them."""
    names = class_names(predictor.data)
    wanted = 1 if predictor.data.higher_is_better else 0
    badges = {name: badge(name, good=number == wanted) for number, name in enumerate(names)}
    readable = shown(with_class_names(table, names) if raw else in_front(table, names))
    return table_html(readable, "Scores", badges=badges, actions=("explain", "scan"))


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
