"""A small file that stands for gigabytes is refused before it fills the memory."""

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from antibody_esm import DatasetError, limits, load_dataset
from antibody_esm.data.files import read_frames, read_table

VH = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.fasta", "a.parquet"])
def test_a_packed_file_that_unpacks_a_hundredfold_is_refused(
    tmp_path: Path, name: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FREE", 100_000)  # a smaller bomb is packed sooner
    path = tmp_path / f"{name}{end}"
    start = b">a\n" if "fasta" in name else b"heavy\n"
    path.write_bytes(PACK[end](start + b"EVQL\n" * 500_000))
    with pytest.raises(
        DatasetError, match=r"unpack to more than .*set the environment variable ANTIBODY_ESM_MAX_UNPACKED"
    ):
        for _ in read_frames(path):
            pass


def test_the_environment_variable_lets_a_packed_file_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"heavy,label\n" + b"EVQL,1\n" * 1000))
    monkeypatch.setenv("ANTIBODY_ESM_MAX_UNPACKED", "6000")
    with pytest.raises(DatasetError, match="unpack to more than 6 kB"):
        read_table(path)
    monkeypatch.setenv("ANTIBODY_ESM_MAX_UNPACKED", "10000")
    assert len(read_table(path)) == 1000
    monkeypatch.setenv("ANTIBODY_ESM_MAX_UNPACKED", "much")
    with pytest.raises(DatasetError, match="must be a number of bytes, not 'much'"):
        read_table(path)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("name", ["a.csv", "a.fasta"])
def test_a_line_of_more_than_16_megabytes_is_refused(tmp_path: Path, name: str, end: str) -> None:
    path = tmp_path / f"{name}{end}"
    content = b">a\nEVQL\n>" if "fasta" in name else b"heavy\nEVQL\n"
    content += b"EVQLAC" * (17 * 10**6 // 6)
    path.write_bytes(gzip.compress(content, 1) if end else content)
    with pytest.raises(DatasetError, match="a line has more than 16 MB"):
        read_table(path) if "csv" in name else list(read_frames(path))


@pytest.mark.parametrize("header", [b",".join(b"c%d" % i for i in range(10_001)), b'"c",' * 10_001, b"," * 10_000])
@pytest.mark.parametrize("start", [b"", b"#"])
def test_a_table_of_more_than_10000_columns_is_refused_from_its_header(
    tmp_path: Path, header: bytes, start: bytes
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(start + header + b"\n" + header + b"\n")
    with pytest.raises(DatasetError, match=r"has 10,00\d columns, more than 10,000"):
        read_table(path)


def test_a_table_of_10000_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    names = [f"c{i}" for i in range(9_999)]
    path.write_text(",".join(["heavy", *names]) + "\n" + ",".join(["EVQL", *["1"] * 9_999]) + "\n")
    assert read_table(path).shape == (1, 10_000)


def test_a_header_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'heavy,"' + (b'a\n","' + b"b" * 50_000) * 400)
    with pytest.raises(DatasetError, match=r"the header has more than 16 MB|has .* columns"):
        read_table(path)


def test_a_first_line_of_nested_json_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'{"a":' + b"[" * 100_000 + b"\nheavy\nEVQL\n")
    with pytest.raises(DatasetError):
        load_dataset(path)


def parquet(path: Path, table: pa.Table, **options: object) -> Path:
    pq.write_table(table, path, **options)
    return path


def categories(path: Path) -> Path:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), pa.array(["A" * 10**6]))
    return parquet(path, pa.table({"heavy": column}), compression="zstd")


def repeated(path: Path) -> Path:
    """4,096 rows of one text of a megabyte, of whose dictionary the Arrow schema says nothing."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), pa.array(["A" * 10**6]))
    return parquet(path, pa.table({"heavy": column}), compression="zstd", store_schema=False)


def prefixes(path: Path) -> Path:
    """Texts of which each repeats the one before it, so that only their lengths are stored."""
    table = pa.table({"heavy": ["A" * 500_000] * 200})
    options = {"use_dictionary": False, "column_encoding": {"heavy": "DELTA_BYTE_ARRAY"}, "compression": "zstd"}
    return parquet(path, table, **options)


def numbers(path: Path) -> Path:
    """Many rows of one number."""
    return parquet(path, pa.table({"label": pa.array([7] * 9_000_000, pa.int8())}), compression="zstd")


def page(path: Path) -> Path:
    """A page that is packed ten thousandfold."""
    return parquet(path, pa.table({"heavy": ["A" * 70_000_000]}), use_dictionary=False, compression="zstd")


@pytest.mark.parametrize("make", [categories, repeated, prefixes, numbers, page])
def test_a_small_parquet_file_that_stands_for_much_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "a.parquet")
    assert path.stat().st_size < 100_000
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="unpack to more than"):
            for _ in read_frames(path):
                pass
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert pa.default_memory_pool().max_memory() <= max(before, 200 * 2**20)


def error_of(path: Path) -> DatasetError | None:
    try:
        for _ in read_frames(path):
            pass
    except DatasetError as error:
        return error
    return None


@pytest.mark.parametrize("end", ["", ".gz"])
def test_every_damage_of_a_parquet_file_is_an_error_without_its_content(tmp_path: Path, end: str) -> None:
    whole = io.BytesIO()
    pd.DataFrame({"id": ["a"], "heavy": [VH], "label": [1]}).to_parquet(whole)
    content = whole.getvalue()
    path = tmp_path / f"a.parquet{end}"
    for at in range(0, len(content), 13):
        damaged = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
        path.write_bytes(gzip.compress(damaged, 1) if end else damaged)
        error = error_of(path)
        assert error is None or VH[:20] not in f"{error}{error.__cause__}"


def test_columns_that_are_no_text_or_number_are_left_out(tmp_path: Path) -> None:
    columns = {
        "heavy": ["EVQL", "QVQL"],
        "label": [0, 1],
        "kind": pa.array(["a", "a"]).dictionary_encode(),
        "vector": [[1.0], [2.0]],
        "blob": [b"a", b"b"],
        "part": [{"a": 1}, {"a": 2}],
    }
    frame = read_table(parquet(tmp_path / "a.parquet", pa.table(columns)))
    assert list(frame) == ["heavy", "label", "kind"]
    assert frame["heavy"].tolist() == ["EVQL", "QVQL"]
    assert frame["kind"].dtype == "category"


def test_a_parquet_file_with_missing_values_and_many_row_groups_is_read_as_before(tmp_path: Path) -> None:
    table = pd.DataFrame({"heavy": ["EVQL", None, "QVQL"] * 50, "label": [0.0, 1.0, None] * 50})
    path = tmp_path / "a.parquet"
    table.to_parquet(path, row_group_size=7)
    pd.testing.assert_frame_equal(read_table(path), pd.read_parquet(path))


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["EVQL"]), pa.array(["QVQL"])], names=["heavy", "heavy"])
    with pytest.raises(DatasetError, match="2 columns named 'heavy'"):
        read_table(parquet(tmp_path / "a.parquet", table))


def workbook(path: Path, sheet: str) -> Path:
    """Write a workbook whose sheet is this XML."""
    openpyxl.Workbook().save(path)
    files = limits.unzip(path.read_bytes(), 10**7)
    files["xl/worksheets/sheet1.xml"] = (
        f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{sheet}</worksheet>'.encode()
    )
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def cells(*values: tuple[str, str]) -> str:
    rows = (
        f'<row r="{place.lstrip("ABCDEFX")}"><c r="{place}" t="inlineStr"><is><t>{text}</t></is></c></row>'
        for place, text in values
    )
    return f'<dimension ref="A1"/><sheetData>{"".join(rows)}</sheetData>'


def test_a_workbook_that_unpacks_to_more_than_its_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FREE", 100_000)
    path = workbook(tmp_path / "a.xlsx", cells(("A1", "heavy"), ("A2", "EVQL" * 10**6)))
    with pytest.raises(DatasetError, match=r"unpack to more than .*ANTIBODY_ESM_MAX_UNPACKED"):
        read_table(path)


def test_a_cell_at_the_far_end_of_a_sheet_takes_no_memory(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", cells(("A1", "heavy"), ("A2", "EVQL"), ("A200000", "QVQL")))
    tracemalloc.start()
    frame = read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(frame["heavy"]) == ["EVQL", "QVQL"]
    assert peak < 20 * 10**6
    far = workbook(tmp_path / "b.xlsx", cells(("A1", "heavy"), ("XFD2", "EVQL")))
    with pytest.raises(DatasetError, match=r"more than 10,000 columns"):
        read_table(far)


def test_xml_that_refers_to_itself_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", cells(("A1", "heavy")))
    files = limits.unzip(path.read_bytes(), 10**7)
    doubled = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(30))
    bomb = f'<!DOCTYPE w [<!ENTITY e0 "EVQL">{doubled}]>'.encode() + cells(("A1", "&e30;")).encode()
    files["xl/worksheets/sheet1.xml"] = bomb.replace(b"<sheetData>", b"<worksheet><sheetData>") + b"</worksheet>"
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(DatasetError):
        read_table(path)
