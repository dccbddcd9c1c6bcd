"""``antibody-esm liabilities``: residues of the antibodies in a file that are known to cause trouble."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import (
    ChainChoice,
    HeavyColumn,
    IdColumn,
    InputFile,
    LayoutName,
    LiabilityRules,
    LightColumn,
    SheetName,
    SpeciesNames,
    Strict,
    output,
    table_path,
)
from antibody_esm.cli.table_files import SUFFIXES, rejected_file, writing
from antibody_esm.errors import DatasetError, listed

if TYPE_CHECKING:
    from antibody_esm.design.panel import LiabilityPanel


def liabilities_command(
    file: InputFile,
    out: Annotated[Path, output("a table, .csv, .tsv or .parquet.")],
    panel: LiabilityRules = None,
    chain: ChainChoice = None,
    species: SpeciesNames = None,
    strict: Strict = False,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
) -> None:
    """Write liabilities by sequence: motif, IMGT position, region, severity, germline or not, and source.

    Rows that cannot be numbered are written, with the reason, to a second file beside the output.

    Examples
    --------
    antibody-esm liabilities antibodies.csv -o liabilities.csv
    antibody-esm liabilities p.xlsx --heavy VH --light VL -o l.parquet
    """
    with reported():
        check_suffix(out, *SUFFIXES)
        apart = rejected_file(out)
        check_outputs([out, apart], [file, panel])
        if not file.exists():
            raise DatasetError("there is no such file", file)

        from antibody_esm.data.files import places
        from antibody_esm.design.screening import screen_parts

        path = table_path(file, sheet)
        rules = None if panel is None else _panel(panel)
        counts = {"searched": 0, "liabilities": 0, "high": 0, "rejected": 0}
        with writing(out) as add, writing(apart) as reject:
            for table, rejected, antibodies, *_ in screen_parts(
                path,
                panel=rules,
                chain=chain,
                species=species or None,
                id=id_column,
                heavy=heavy,
                light=light,
                layout=layout,
            ):
                if strict and len(rejected):
                    row, name, reason = rejected[["row", "id", "reason"]].iloc[0]
                    raise DatasetError(f"{places(path, [row], {row: name})[row]}: {reason}", file, int(row))
                add(table)
                if len(rejected):
                    reject(rejected)
                counts["searched"] += antibodies
                counts["liabilities"] += len(table)
                counts["high"] += int((table["severity"] == "high").sum())
                counts["rejected"] += len(rejected)
        if not counts["rejected"]:
            apart.unlink(missing_ok=True)  # of an earlier run
        chains = "antibody" if counts["searched"] == 1 else "antibodies"
        marks = "liability" if counts["liabilities"] == 1 else "liabilities"
        print(  # noqa: T201
            f"{counts['searched']:,} {chains}, {counts['liabilities']:,} {marks}, {counts['high']:,} of them "
            f"high, written to {out}"
        )
        if counts["rejected"]:
            single = counts["rejected"] == 1
            rows, they = ("row", "it and the reason") if single else ("rows", "they and the reasons")
            print(f"{counts['rejected']:,} {rows} cannot be searched; {they} are in {apart}")  # noqa: T201
        if not counts["searched"]:
            raise typer.Exit(1)


def _panel(path: Path) -> "LiabilityPanel":
    """Return the panel of a file; what is wrong with it is an error that names the fields."""
    from pydantic import ValidationError

    from antibody_esm.design.panel import LiabilityPanel

    try:
        return LiabilityPanel.read(path)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise DatasetError(f"no panel of liabilities: {listed(problems, len(problems), '; ')}", path) from error
