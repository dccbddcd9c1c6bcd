"""Lines of Python in a card that load a model and predict a table; names of columns are ASCII, so nothing is hidden."""

from antibody_esm.model_facts import ModelFacts

TABLE = "antibodies.csv"
"""Name of the reader's table."""


def lines(facts: ModelFacts, kind: str = "Predictor", method: str = "score_table") -> list[str]:
    """Return the lines of a model; those of a panel have another class and method."""
    chains = {"heavy": ["heavy"], "light": ["light"]}.get(facts.reading.chain, ["heavy", "light"])
    names = [*chains, *facts.reading.columns.names]
    columns = f"column{'s' * (len(names) > 1)} {', '.join(ascii(name) for name in names)}"
    name = kind.lower()
    return [
        "import pandas as pd",
        f"from antibody_esm import {kind}",
        "",
        f'{name} = {kind}.load("model")  # this folder; from the hub: {kind}.from_hub("ORGANISATION/NAME")',
        f'antibodies = pd.read_csv("{TABLE}")  # with the {columns}',
        f'{name}.{method}(antibodies).to_csv("scores.csv", index=False)',
    ]
