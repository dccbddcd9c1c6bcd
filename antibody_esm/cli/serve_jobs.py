"""Jobs of ``antibody-esm serve``, which parse a request and answer it in a process of their own."""

import json
import logging
import math
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.cli.arguments import antibodies_in
from antibody_esm.cli.errors import complain
from antibody_esm.cli.serve_requests import (
    REQUESTS,
    Answer,
    Call,
    Cell,
    ExplainRequest,
    JsonAntibody,
    ScanRequest,
    ScoreRequest,
    TableOptions,
    valid,
)
from antibody_esm.cli.web_jobs import WIDEST, refuse_long, uploaded
from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.limits import parse_json

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.layouts import Columns
    from antibody_esm.panel import Panel
    from antibody_esm.predictor import Predictor
    from antibody_esm.score_tables import Scores

MEDIA = {"text/csv": ".csv", "text/tab-separated-values": ".tsv", "text/x-fasta": ".fasta"}
"""Suffixes of files by the type of a body that is a table as text."""
JSON = "application/json"
"""Type of a body that is JSON."""
_VALUES = 200_000
"""Most values of a JSON body."""
_REHEARSAL: JsonAntibody = {
    "id": "trastuzumab",
    "heavy": "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS",
    "light": "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQ"
    "HYTTPPTFGQGTKVEIK",
}
_INTERNAL = "the server cannot answer this request; its log has the kind of the error"


def prepare(loaded: "Predictor | Panel", verbose: bool = False) -> None:
    """Read the language model before the first request, and silence notes and warnings, which may hold sequences.

    An antibody is scored, so that the first request does not wait for libraries.

    Parameters
    ----------
    loaded
        The model or panel.
    verbose
        True silences nothing.
    """
    from antibody_esm.features.chains import ChainExtractor
    from antibody_esm.features.sources import Ensemble
    from antibody_esm.plm.extractor import Extractor

    for source in {id(model.extractor): model.extractor for model in _models(loaded)}.values():
        if isinstance(source, Ensemble):  # its models are in memory one at a time
            source.check()
            continue
        readers = source.readers if isinstance(source, ChainExtractor) else (source,)
        for reader in readers:
            if isinstance(reader, Extractor):
                reader.warm_up()
    with suppress(DatasetError):  # the model reads other molecules, or columns
        _score(loaded, Call("score", JSON, _json({"antibodies": [_REHEARSAL]}), {}))
    _forget(loaded)
    if not verbose:
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")


def answer(loaded: "Predictor | Panel", call: Call, verbose: bool = False) -> Answer:
    """Return the answer to a request; errors are answers too, without paths and tracebacks.

    Parameters
    ----------
    loaded
        The model or panel.
    call
        The request.
    verbose
        True prints the whole traceback of an unexpected error, which may hold sequences; False its kind and place.
    """
    try:
        return Answer(200, _json(_ENDPOINTS[call.endpoint](loaded, call)))
    except (DatasetError, SequenceError) as error:
        return refusal(422, _reason(error))
    except ValueError as error:
        if _of_options(error):
            return refusal(422, str(error))
        return _unexpected(error, verbose)
    except Exception as error:  # noqa: BLE001  the next request must be answered too
        return _unexpected(error, verbose)
    finally:
        _forget(loaded)


def _forget(loaded: "Predictor | Panel") -> None:
    """Remove vectors of a request from memory, unless they are stored in a folder."""
    from antibody_esm.store.store import MemoryStore

    for store in {id(model.store): model.store for model in _models(loaded)}.values():
        if isinstance(store, MemoryStore):
            store.clear()


def refusal(status: int, reason: str) -> Answer:
    """Return the answer to a request that is refused."""
    return Answer(status, _json({"error": reason}))


def _score(loaded: "Predictor | Panel", call: Call) -> dict[str, Any]:
    from antibody_esm.data.layouts import Columns

    fixed: dict[str, Cell] = {}
    if call.media in MEDIA:
        options = valid(TableOptions, call.query)
        frame = _text_frame(call.body, MEDIA[call.media])
    else:
        request = _request(ScoreRequest, call)
        options, fixed, frame = request, request.columns, _frame(request.antibodies)
    columns = Columns(options.id, options.heavy, options.light, None, options.layout)
    refuse_long(frame, _models(loaded)[0].reading.chain, columns)
    scores = _scored(loaded.with_columns(fixed), frame, columns, options)
    return {"antibodies": _records(scores.table), "rejected": _records(scores.rejected)}


def _scored(loaded: "Predictor | Panel", frame: "pd.DataFrame", columns: "Columns", options: TableOptions) -> "Scores":
    from antibody_esm.predictor import Predictor
    from antibody_esm.profiles import profile_frame
    from antibody_esm.score_tables import score_frame

    chosen: dict[str, Any] = {
        "threshold": options.threshold,
        "assay": options.assay,
        "confidence": options.confidence,
        "check": options.check,
        "liabilities": options.liabilities,
    }
    if isinstance(loaded, Predictor):
        return score_frame(frame, loaded, columns, **chosen)
    return profile_frame(frame, loaded, columns, **chosen)


def _explain(loaded: "Predictor | Panel", call: Call) -> dict[str, Any]:
    from antibody_esm.explain import residue_contributions

    request = _request(ExplainRequest, call)
    model, name, antibody = _one(loaded, request)
    explained = residue_contributions(model, antibody, method=request.method, check=request.check)
    return {
        "id": name,
        "sequence": explained.sequence,
        "score": _value(explained.score),
        "unit": explained.unit,
        "method": explained.method,
        "intercept": _value(explained.intercept),
        "residues": _records(explained.to_frame()),
    }


def _scan(loaded: "Predictor | Panel", call: Call) -> dict[str, Any]:
    from antibody_esm.design import with_liabilities
    from antibody_esm.explain import mutational_scan

    request = _request(ScanRequest, call)
    model, name, antibody = _one(loaded, request)
    scan = mutational_scan(
        model,
        antibody,
        request.positions or None,
        protect=request.protect or (),
        plausibility=request.plausibility,
        check=request.check,
    )
    scan = with_liabilities(scan) if request.liabilities else scan
    return {
        "id": name,
        "sequence": scan.sequence,
        "score": _value(scan.score),
        "prediction": _value(scan.prediction),
        "unit": scan.unit,
        "mutants": _records(scan.to_frame()),
        "absent": scan.absent,
    }


_ENDPOINTS = {"score": _score, "explain": _explain, "scan": _scan}


def _request(kind: Any, call: Call) -> Any:
    if call.query:
        raise ValueError("a query is allowed beside a table as text only; write options into the JSON")
    assert REQUESTS[call.endpoint] is kind  # noqa: S101  as the description of the server has it
    return valid(kind, parse_json(call.body, _VALUES, strict=True))


def _one(
    loaded: "Predictor | Panel", request: ExplainRequest | ScanRequest
) -> "tuple[Predictor, str, str | tuple[str, str]]":
    """Return the model of a request with the columns of its antibody fixed, and the antibody's id and text."""
    from antibody_esm.data.antibody_tables import table_of
    from antibody_esm.predictor import Predictor
    from antibody_esm.sequences import normalise

    if isinstance(loaded, Predictor):
        if request.label is not None:
            raise ValueError("this is one model, without labels; leave out label")
        model = loaded
    elif request.label in loaded:
        model = loaded[str(request.label)]
    else:
        raise ValueError(f"label: one of {', '.join(loaded)}")
    model = model.with_columns(request.columns)
    frame = _frame([request.antibody])
    refuse_long(frame, model.reading.chain)
    ((name, text, cells),) = antibodies_in(table_of(frame, species=model.reading.species), model.reading)
    (antibody,) = normalise([text], pairs=True)
    return model.with_columns(cells), name, antibody


def _frame(antibodies: list[JsonAntibody]) -> "pd.DataFrame":
    """Return antibodies as the table of text that a CSV file with the same cells gives."""
    import pandas as pd

    names = list(dict.fromkeys(name for antibody in antibodies for name in antibody))
    if len(names) > WIDEST:
        raise DatasetError(f"at most {WIDEST:,} columns are allowed")
    if not names:
        raise DatasetError("the antibodies have no cells; write id and heavy, light or sequence")
    return pd.DataFrame({name: [_text(antibody.get(name)) for antibody in antibodies] for name in names}, dtype=object)


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def _text_frame(body: bytes, suffix: str) -> "pd.DataFrame":
    with tempfile.TemporaryDirectory(prefix="antibody_esm-serve-") as folder:
        path = Path(folder) / f"antibodies{suffix}"
        path.write_bytes(body)
        try:
            return uploaded("", str(path))
        except DatasetError as error:
            raise DatasetError(str(error).removeprefix(f"{path}: "), reasons=error.reasons) from None


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values; numbers are those of its CSV, and missing cells are null."""
    columns = [[_value(cell) for cell in table[name]] for name in table]
    return [dict(zip(map(str, table.columns), row, strict=True)) for row in zip(*columns, strict=True)]


def _value(cell: Any) -> Any:
    import numpy as np
    import pandas as pd

    if cell is None or cell is pd.NA:
        return None
    if isinstance(cell, np.floating) and not isinstance(cell, float):
        cell = float(str(cell))  # the digits of a float32, as in a CSV file
    elif isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, float) and not math.isfinite(cell):
        return None if math.isnan(cell) else str(cell)
    return cell


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _models(loaded: "Predictor | Panel") -> "list[Predictor]":
    from antibody_esm.predictor import Predictor

    return [loaded] if isinstance(loaded, Predictor) else list(loaded.values())


def _reason(error: DatasetError | SequenceError) -> str:
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ")


def _of_options(error: ValueError) -> bool:
    """Return True for an error that this package raises of its own accord, about the request."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__module__.startswith("antibody_esm") or "antibody_esm" in Path(frames[-1].filename).parts


def _unexpected(error: Exception, verbose: bool) -> Answer:
    """Log an error, without its message unless verbose, and return its answer."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    complain(f"error: {type(error).__name__} at {Path(frame.filename).name}, line {frame.lineno}")
    if verbose:
        complain("".join(traceback.format_exception(error)))
    return refusal(500, _INTERNAL)
