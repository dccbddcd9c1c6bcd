"""``antibody-esm card``: the card of a saved model or panel."""

from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import output


def card_command(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model or panel, also of an earlier version.")],
    out: Annotated[Path | None, output("file, such as model/README.md; printed if absent.")] = None,
) -> None:
    """Print or write the card of a model: data, scores with baselines, limits, licences, and how to load it.

    The card follows from the manifest, which is checked first. A file that was edited is overwritten.

    Examples
    --------
    antibody-esm card model/
    antibody-esm card model/ -o model/README.md
    """
    with reported():
        from antibody_esm.card_files import CARD
        from antibody_esm.cards.card import model_card, panel_card
        from antibody_esm.files import write
        from antibody_esm.model_files import facts_of
        from antibody_esm.panel_files import facts_of_panel, is_panel

        check_suffix(out, ".md")
        if out is None or out.resolve() != (model / CARD).resolve():
            check_outputs([out], model=model)
        content = panel_card(facts_of_panel(model)) if is_panel(model) else model_card(facts_of(model))
        if out is None:
            print(content.decode(), end="")  # noqa: T201
        else:
            write(out, content)
            print(f"written to {out}")  # noqa: T201
