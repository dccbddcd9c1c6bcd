"""Page of a panel in a browser: the profile of antibodies as a heat map, and explanations of one label."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.cli.web_design import liabilities_tab, proposals_tab
from antibody_esm.cli.web_input import antibodies_input, fill_examples, heading
from antibody_esm.cli.web_jobs import antibodies, explain_job, recognised_columns
from antibody_esm.cli.web_rows import table_html
from antibody_esm.cli.web_tables import KEPT, download_of, message_html
from antibody_esm.cli.web_worker import EXPECTED, reason
from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    from antibody_esm.panel import Panel
    from antibody_esm.score_tables import Scores


def profile_page(panel: "Panel", folder: Path, jobs: Callable[..., Any] | None = None, *, api: bool = False) -> Any:
    """Return the page of a panel as `gradio.Blocks`; parameters are those of `antibody_esm.cli.web.page`."""
    import gradio as gr

    from antibody_esm.profiles import flagged, profile_columns
    from antibody_esm.reports.profile_page import MOST, heat_map

    run = jobs or (lambda job, *arguments: job(panel, *arguments))

    def score(text: str, file: str | None) -> list[Any]:
        nothing = [gr.update(visible=False)] * 4
        try:
            # Gradio's path is a class of its own
            scores, columns, notice = run(_profile, text or "", None if file is None else str(file))
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing, None, None, gr.update()]
        good, bad = len(scores.table), len(scores.rejected)
        warned = flagged(scores.table, panel)
        more = f" The first {MOST:,} are shown." if good > MOST else ""
        summary = f"Antibodies scored: {good:,}; with a warning: {warned:,}; not scored: {bad:,}.{notice}{more}"
        refused = table_html(scores.rejected.astype(str), "Not scored") if bad else ""
        ids = _names(scores)
        picture = heat_map(scores.table.head(MOST), profile_columns(panel), style=True) if good else ""
        return [
            message_html(summary, "status"),
            gr.update(value=picture, visible=good > 0),
            gr.update(value=download_of(folder, "scores.csv", scores.table) if good else None, visible=good > 0),
            gr.update(value=f"<h3>Not scored</h3>{refused}" if bad else "", visible=bad > 0),
            gr.update(visible=good > 0),
            scores,
            columns,
            gr.update(choices=ids, value=ids[0] if ids else None),
        ]

    def explain(scores: Any, columns: Any, name: str, label: str, marked: bool = False) -> str:
        names = [] if scores is None else _names(scores)
        if name.strip() not in names:
            return message_html(f"There is no antibody {name.strip()!r}; choose one of the list.", "error")
        if label not in panel:
            return message_html(f"There is no label {label!r}.", "error")
        row = names.index(name.strip())
        antibody = BETWEEN.join(filter(None, scores.antibodies[row]))
        title = f"<h3>{html.escape(f'{name.strip()}, {label}')}</h3>"
        try:
            return title + str(run(_explain, label, antibody, columns[row], bool(marked)))
        except EXPECTED as error:
            return title + message_html(reason(error), "error")

    with gr.Blocks(title="antibody_esm", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        heading(_about(panel))
        scores, columns = gr.State(time_to_live=KEPT), gr.State(time_to_live=KEPT)
        text, file, example = antibodies_input()
        in_turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        private = in_turn | {"api_visibility": "private"}
        public = in_turn | {"api_visibility": "public", "api_name": "score"}
        with gr.Tab("Scores"):
            button = gr.Button("Score", variant="primary", elem_id="score")
            message = gr.HTML(elem_id="message")
            profile = gr.HTML(visible=False, elem_id="profile")
            download = gr.DownloadButton("Download the table", visible=False, elem_id="download")
            rejected = gr.HTML(visible=False, elem_id="rejected")
            with gr.Column(visible=False, elem_id="why") as why:
                with gr.Row(equal_height=True):
                    name = gr.Dropdown([], label="Antibody", allow_custom_value=True, elem_id="name", scale=2)
                    label = gr.Dropdown(list(panel), value=next(iter(panel)), label="Label", elem_id="label", scale=2)
                    explainer = gr.Button("Explain", variant="primary", elem_id="explain", scale=1, min_width=100)
                marked = gr.Checkbox(False, label="Mark medium and high liabilities", elem_id="marked")
                picture = gr.HTML(elem_id="picture")
            results = [message, profile, download, rejected, why, scores, columns, name]
            button.click(score, [text, file], results, **(public if api else private))
            explainer.click(explain, [scores, columns, name, label, marked], [picture], **private)
        with gr.Tab("Liabilities"):
            liabilities_tab(run, folder, text, file, private)
        with gr.Tab("Proposals"):
            proposals_tab(run, folder, None, private, list(panel))
        fill_examples(example, text, file, panel.first, private)
    return blocks


def _profile(panel: "Panel", text: str, file: str | None) -> "tuple[Scores, list[dict[str, Any]], str]":
    """Return the scores, the columns that the models read for each scored antibody, and which were recognised."""
    from antibody_esm.data.antibodies import cells_of
    from antibody_esm.data.antibody_tables import table_of
    from antibody_esm.profiles import profile_frame

    reading = panel.first.reading
    frame = antibodies(text, file, reading.chain)
    scores = profile_frame(frame, panel)
    cells = cells_of(table_of(frame, species=reading.species).frame, reading) if reading.columns else {}
    columns = [{name: values[row] for name, values in cells.items()} for row in scores.table["row"]]
    return scores, columns, recognised_columns(frame)


def _names(scores: "Scores") -> list[str]:
    """Return a distinct name for each scored antibody: its id, after the number of its row if ids are equal."""
    ids = [str(name).strip() for name in scores.table["id"]]
    if len(set(ids)) == len(ids):
        return ids
    return [f"{row + 1}: {name}" for row, name in zip(scores.table["row"], ids, strict=True)]


def _explain(panel: "Panel", label: str, antibody: str, columns: dict[str, Any], marked: bool = False) -> str:
    return explain_job(panel[label], antibody, columns, marked)


def _about(panel: "Panel") -> str:
    reads = str(panel.first.reading)
    both = len(panel.first.reading.chains) == 2
    pair = f", written heavy{BETWEEN}light or in columns heavy and light" if both else ""
    labels = ", ".join(f"{label} ({model.data.antibodies:,} antibodies)" for label, model in panel.items())
    again = [f" {label} was {model.recalibration}." for label, model in panel.items() if model.recalibration]
    source = panel.first.data.source
    return f"These models read {reads} sequences{pair}. They were trained on {source}: {labels}.{''.join(again)}"
