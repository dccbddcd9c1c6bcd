"""Faults that were found where two parts meet, each as a test of its kind."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

from antibody_esm import Benchmark, Dataset, DatasetError, DescriptorSpec, SplitSpec, Trainer, load_dataset
from antibody_esm.column_encoder import ColumnEncoder
from antibody_esm.data.column_reading import category
from antibody_esm.specs import RidgeSpec

GENERATOR = np.random.default_rng(0)
N = 36
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 12)) for _ in range(N)]
LABEL = [i % 2 for i in range(N)]
CHARGE = DescriptorSpec(descriptors=("net_charge", "length"))


def dataset(**fields: object) -> Dataset:
    return Dataset(
        **{"ids": [f"a{i}" for i in range(N)], "heavy": SEQUENCES, "label": LABEL, "fragment": "H-CDR3"} | fields
    )


@pytest.mark.parametrize("value", [0.1, 7.2, 7.4, 37.0, 1e-9, -1e12])
@pytest.mark.parametrize("rows", [20, 36, 63, 137])
def test_a_number_that_is_always_the_same_is_not_scaled_by_its_rounding(value: float, rows: int) -> None:
    encoder = ColumnEncoder(("number",)).fit(np.full((rows, 1), value))
    assert encoder.scale_.tolist() == [1.0]
    assert abs(encoder.transform(np.array([[value + 0.1]]))[0, 0]) < 0.2 + abs(value) * 1e-9


def test_a_column_of_numbers_and_one_of_the_same_text_are_two_data_sets() -> None:
    numbers = [float(i % 3) for i in range(N)]
    first = dataset(columns={"ph": np.array(numbers)})
    second = dataset(columns={"ph": tuple(map(repr, numbers))})
    assert first.digest != second.digest


def test_no_two_categories_become_one() -> None:
    lots = ["1234567890123", "1234567890124", "12345678901234567", "12345678901234568", "1E5", "100000", "007", "7"]
    assert len(set(map(category, lots))) == len(lots)
    assert category(4) == category(4.0) == category("4") == category("4.0") == category(np.float64(4))
    assert category(4.5) == category("4.5") == category("4.50")
    assert category(True) == category("TRUE") == category(1.0)


def test_a_benchmark_never_gives_results_of_another_split_or_of_other_antibodies_between_the_classes(
    tmp_path: Path,
) -> None:
    numbers = dataset(label=GENERATOR.normal(size=N))
    Benchmark([CHARGE], [RidgeSpec()], numbers, output=tmp_path / "split", check=False).run()
    named = Benchmark([CHARGE], [RidgeSpec()], numbers, split=SplitSpec(), output=tmp_path / "split", check=False)
    assert named.finished() is None
    assert named.run().reports[0].design == "10 folds stratified by the median"

    def graded(sequences: list[str]) -> Dataset:
        between = Dataset(
            [f"u{i}" for i in range(len(sequences))],
            sequences,
            fragment="H-CDR3",
            measurements={"g": [1.0] * len(sequences)},
        )
        return dataset(measurements={"g": np.array(LABEL) * 4.0}, grade="g", ungraded=between)

    scores = []
    for sequences in (["ACDEFGHIKLMN", "WWYYACDEFGHI"], ["KKRRSTVWYACD", "DDEEGHIKLMNP", "KKKKSTVWYACD"]):
        grid = Benchmark([CHARGE], ["logreg"], graded(sequences), output=tmp_path / "between", check=False)
        assert grid.finished() is None
        (report,) = grid.run().reports
        assert report.ungraded is not None
        scores.append(len(report.ungraded.score))
    assert scores == [2, 3]


def test_families_of_one_antibody_each_are_an_error_that_names_the_split() -> None:
    for data, classifier, advice in (
        (dataset(groups=SEQUENCES), "logreg", "no fold could be scored"),
        (dataset(groups=SEQUENCES, label=np.arange(N) / 7), "ridge", "split.by=leave_one_out"),
    ):
        with pytest.raises(DatasetError, match=advice):
            Trainer(CHARGE, classifier, SplitSpec(by="family")).cross_validate(data, check=False)


def test_other_fixed_columns_are_another_opening_of_a_test_set() -> None:
    ph = GENERATOR.normal(7, 1, N)
    predictor = Trainer(CHARGE, "logreg").fit(dataset(columns={"ph": ph}), check=False, uncertainty=False)
    tested = replace(dataset(columns={"ph": ph}), ids=[f"t{i}" for i in range(N)])
    counted = [
        predictor.with_columns({"ph": value}).evaluate(tested, check=False).openings for value in (5.0, 9.0, 5.0)
    ]
    assert counted == [1, 2, 2], "the same values are the same model"


def test_a_row_number_beyond_those_of_a_workbook_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["id", "heavy", "label"], ["a", "QVQL", 1]):
        sheet.append(row)
    book.save(tmp_path / "plain.xlsx")
    far = b'<row r="2000000000"><c r="A2000000000"><v>1</v></c></row></sheetData>'
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as there, zipfile.ZipFile(tmp_path / "far.xlsx", "w") as crafted:
        for name in there.namelist():
            crafted.writestr(name, there.read(name).replace(b"</sheetData>", far))
    with pytest.raises(DatasetError, match="rows beyond 1,048,576"):
        load_dataset(tmp_path / "far.xlsx")
    assert len(pd.read_excel(tmp_path / "plain.xlsx")) == 1
