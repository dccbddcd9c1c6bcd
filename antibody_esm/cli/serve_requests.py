"""Requests and answers of ``antibody-esm serve``, as pydantic models, of which its OpenAPI description is made."""

from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from antibody_esm.cli.web_design_jobs import LONGEST_NAMES
from antibody_esm.cli.web_jobs import MOST
from antibody_esm.evaluation.conformal import CONFIDENCE

Cell = str | int | float | bool | None
JsonAntibody = Annotated[
    dict[str, Cell],
    Field(
        description="Cells of one antibody by column, as in a table of `antibody-esm predict`: id, heavy and light (or "
        "sequence), and the columns that the model reads.",
        examples=[{"id": "trastuzumab", "heavy": "EVQLVESGGGLVQPGGSLRLSCAAS", "light": "DIQMTQSPSSLSASVGDRVTITC"}],
    ),
]
Name = Annotated[str, Field(max_length=200)]
PositionNames = Annotated[str, Field(max_length=LONGEST_NAMES)]

COLUMNS: Any = Field(default_factory=dict, description="Values of columns for all antibodies, in place of a table's.")
CHECK: Any = Field(None, description="False also reads sequences without a recognised antibody chain.")
LABEL: Any = Field(None, description="Label of a panel; required there, and absent elsewhere.")


class Call(NamedTuple):
    """A request as it came."""

    endpoint: str
    """``score``, ``explain`` or ``scan``."""
    media: str
    """Type of the body, without parameters and in lower case."""
    body: bytes
    query: dict[str, str]


class Answer(NamedTuple):
    """Status and JSON of an answer."""

    status: int
    body: bytes


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TableOptions(_Request):
    """Options of a score; in a query of a table as text, and beside the antibodies in JSON."""

    threshold: float | None = Field(None, ge=0, le=1, description="Lowest probability of class 1.")
    assay: Name | None = Field(None, description="elisa or psr: threshold of earlier work.")
    confidence: float = Field(CONFIDENCE, gt=0, lt=1, description="Confidence of conformal sets and intervals.")
    check: bool | None = CHECK
    liabilities: bool = Field(False, description="Add the number and the sites of liabilities by sequence.")
    id: Name | None = Field(None, description="Column of the ids; recognised if absent.")
    heavy: Name | None = Field(None, description="Column of the heavy chains; recognised if absent.")
    light: Name | None = Field(None, description="Column of the light chains; recognised if absent.")
    layout: Name | None = Field(None, description="airr, oas, 10x, imgt, plain, ...; recognised if absent.")


class ScoreRequest(TableOptions):
    """Antibodies to score."""

    antibodies: list[JsonAntibody] = Field(min_length=1, max_length=MOST)
    columns: dict[str, Cell] = COLUMNS


class ExplainRequest(_Request):
    """An antibody whose score is explained."""

    antibody: JsonAntibody
    method: Literal["auto", "exact", "occlusion"] = Field("auto", description="auto is exact if possible.")
    check: bool | None = CHECK
    columns: dict[str, Cell] = COLUMNS
    label: Name | None = LABEL


class ScanRequest(_Request):
    """An antibody whose single mutants are predicted."""

    antibody: JsonAntibody
    positions: PositionNames | None = Field(None, description="CDR3, 105-117, H:111A, ...; by commas. All if absent.")
    protect: PositionNames | None = Field(None, description="Positions that are not mutated, in the same form.")
    plausibility: bool = Field(True, description="Also compute the language model's log-odds.")
    liabilities: bool = Field(False, description="Also count liabilities that each mutant clears and adds.")
    check: bool | None = CHECK
    columns: dict[str, Cell] = COLUMNS
    label: Name | None = LABEL


JsonRow = dict[str, Any]


class RejectedRow(BaseModel):
    """An antibody that cannot be scored."""

    row: int = Field(description="Index, from 0.")
    id: str
    reason: str = Field(description="Positions in it count from 1.")


class ScoreAnswer(BaseModel):
    """Scores; every antibody is in one of the two lists."""

    antibodies: list[JsonRow] = Field(description="Rows of the table of `antibody-esm predict`, with the same numbers.")
    rejected: list[RejectedRow]


class ExplainAnswer(BaseModel):
    """Contributions of residues, see `antibody-esm explain`."""

    id: str
    sequence: str = Field(description="The part of the antibody that the model reads.")
    score: float
    unit: str = Field(description="logit, raw_logit, value or probability.")
    method: str
    intercept: float | None = Field(description="Score without any residue; null if contributions do not sum to it.")
    residues: list[JsonRow] = Field(description="chain, index, position, region, residue, contribution.")


class ScanAnswer(BaseModel):
    """Single mutants, see `antibody-esm scan`."""

    id: str
    sequence: str = Field(description="The part of the antibody that the model reads.")
    score: float
    prediction: float = Field(description="Probability of class 1, or a regressor's value.")
    unit: str
    mutants: list[JsonRow] = Field(description="Rows of the table of `antibody-esm scan -o`, best mutants first.")
    absent: dict[str, str] = Field(description="Reasons of absent columns.")


class ModelAnswer(BaseModel):
    """Facts of the model."""

    reads: str = Field(description="Chain and fragment.")
    chains: list[str]
    labels: list[str] = Field(description="Labels of a panel; empty for one model.")
    columns: list[str] = Field(description="Columns that the model reads beside the sequences.")
    antibodies: int = Field(description="Most antibodies of a request.")
    residues: int = Field(description="Most residues of a sequence.")
    bytes: int = Field(description="Most bytes of a request.")
    version: str = Field(description="Version of antibody_esm.")


class HealthAnswer(BaseModel):
    """State of the server."""

    status: Literal["ok", "stopping"]


class ErrorAnswer(BaseModel):
    """Reason of a refusal."""

    error: str


REQUESTS: dict[str, type[_Request]] = {"score": ScoreRequest, "explain": ExplainRequest, "scan": ScanRequest}
"""Requests by endpoint."""
ANSWERS: dict[str, type[BaseModel]] = {"score": ScoreAnswer, "explain": ExplainAnswer, "scan": ScanAnswer}
"""Answers by endpoint."""

_Model = TypeVar("_Model", bound=BaseModel)


def valid(model: type[_Model], value: object) -> _Model:
    """Return a request from JSON values. Raises ValueError, with the first problems, if they are none."""
    from pydantic import ValidationError

    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        texts = [": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"]])) for each in problems[:3]]
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError("; ".join(texts) + more) from None
