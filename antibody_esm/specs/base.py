"""Frozen specs, each with a stable fingerprint."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from antibody_esm.spelling import did_you_mean

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, le=1)]


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # its name is private, and it is public as the type of models


class _Advising(ModelMetaclass):
    """Type of settings, whose errors name the nearest field or choice when they are constructed in Python."""

    model_fields: dict[str, Any]

    def __call__(self, *args: Any, **fields: Any) -> Any:
        try:
            return super().__call__(*args, **fields)
        except ValidationError as error:
            advised = with_advice(error, self.model_fields)
            if advised is error:
                raise
            raise advised from None


def with_advice(error: ValidationError, fields: Iterable[str] = ()) -> ValidationError:
    """Return an error with the nearest name behind each unknown field or choice; itself if no name is near.

    Parameters
    ----------
    error
        Error of a model.
    fields
        Names of its fields.
    """
    fields = list(fields)
    lines: list[InitErrorDetails] = []
    changed = False
    for line in error.errors(include_url=False):
        kind, place, meant = line["type"], line["loc"], ""
        if kind == "extra_forbidden" and len(place) == 1:
            meant = did_you_mean(place[-1], fields)
        elif kind == "literal_error":
            meant = did_you_mean(line["input"], re.findall("'([^']*)'", str(line["ctx"]["expected"])))
        changed = changed or bool(meant)
        # A message as it is, since braces of a template would be read as fields.
        custom = PydanticCustomError(kind, "{message}", {"message": line["msg"] + meant, **line.get("ctx", {})})
        lines.append(InitErrorDetails(type=custom, loc=place, input=line["input"]))
    return ValidationError.from_exception_data(error.title, lines) if changed else error


class Frozen(BaseModel, metaclass=_Advising):
    """Immutable settings: fields are validated strictly, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def __repr_args__(self) -> Any:
        # Only fields that differ from the default, as in scikit-learn: short, and evaluates to an equal spec.
        fields = type(self).model_fields
        return [(name, value) for name, value in self if fields[name].is_required() or value != fields[name].default]

    def __str__(self) -> str:
        return repr(self)  # pydantic's str() does not evaluate to an equal spec


class Spec(Frozen):
    """Identity of a computation: two equal specs give equal numbers.

    Specs are immutable and hashable, refuse unknown fields, and can be evaluated: ``eval(repr(spec)) == spec``.
    """

    format: Literal[1] = 1
    """Version of the algorithm behind the spec. Raise it when the same fields give other numbers: every fingerprint of
    the type then changes, and earlier stored results are not used."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that were added after fingerprints had been stored. A later field with its default value is left out of
    the hashed text, so that earlier stored results stay valid."""

    @property
    def canonical_json(self) -> str:
        """Text whose hash is the fingerprint: type and all fields, sorted, without white space, in ASCII."""
        fields = self.model_dump(mode="json")
        _drop_later_defaults(self, fields)
        return json.dumps(
            {"type": type(self).__name__, **_canonical(fields)},
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `canonical_json`, 64 hexadecimal digits; reads no file, and is the same on all platforms."""
        return hashlib.sha256(self.canonical_json.encode("ascii")).hexdigest()

    def with_fields(self, fields: Mapping[str, Any]) -> Self:
        """Return the spec with other values of these fields. Raises pydantic.ValidationError if they are not valid."""
        return type(self).model_validate({**dict(self), **fields})


def _drop_later_defaults(spec: Spec, fields: dict[str, Any]) -> None:
    """Remove later fields that have their default values, also from nested specs."""
    for name, value in spec:
        if name in spec.later and value == type(spec).model_fields[name].default:
            del fields[name]
        elif isinstance(value, Spec):
            _drop_later_defaults(value, fields[name])
        elif isinstance(value, tuple):
            for member, of_member in zip(value, fields[name], strict=True):
                if isinstance(member, Spec):
                    _drop_later_defaults(member, of_member)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0, so both must print alike
