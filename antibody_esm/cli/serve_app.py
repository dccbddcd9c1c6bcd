"""Endpoints of ``antibody-esm serve`` and their OpenAPI description, as a FastAPI application."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from antibody_esm.cli.serve_gate import media_type
from antibody_esm.cli.serve_jobs import JSON, MEDIA, refusal
from antibody_esm.cli.serve_requests import ANSWERS, REQUESTS, Answer, Call, ErrorAnswer, HealthAnswer, ModelAnswer
from antibody_esm.cli.serve_turns import RequestTurns

_SUMMARIES = {
    "score": "Predictions of antibodies, with their uncertainty, as `antibody-esm predict` writes them",
    "explain": "Contribution of each residue of an antibody to its score",
    "scan": "Predictions of the single mutants of an antibody",
}
_ERRORS = {404: "there is no such path", 405: "this path is not called by this method"}
_REASONS = {
    401: "The token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "The request cannot be answered; the error has the reason.",
    503: "The server is busy or stopping; Retry-After has seconds.",
    504: "The request took too long.",
}


def application(turns: RequestTurns, facts: ModelAnswer, *, secured: bool) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    turns
        Turns of requests on the model.
    facts
        Facts of the model.
    secured
        True if requests need a token, which the description names.
    """
    app = FastAPI(
        title="antibody_esm",
        version=version("antibody_esm"),
        summary="Predictions of a model of antibodies",
        description=f"The model reads {facts.reads} sequences.",
        docs_url=None,  # these pages load scripts of other hosts
        redoc_url=None,
        redirect_slashes=False,
    )

    @app.get(
        "/health",
        summary="State of the server; needs no token",
        response_class=Response,
        responses={200: {"model": HealthAnswer}, 503: {"model": HealthAnswer}},
    )
    async def health() -> Response:
        state = HealthAnswer(status="stopping" if turns.stopping else "ok")
        return _response(Answer(503 if turns.stopping else 200, state.model_dump_json().encode()))

    security: list[dict[str, list[str]]] = [{"token": []}] if secured else []

    @app.get("/model", summary="Facts of the model", openapi_extra={"security": security})
    async def model() -> ModelAnswer:
        return facts

    for name, request in REQUESTS.items():
        content: dict[str, Any] = {JSON: {"schema": request.model_json_schema()}}
        if name == "score":
            content |= {media: {"schema": {"type": "string"}} for media in MEDIA}
        app.add_api_route(
            f"/{name}",
            _endpoint(name, turns),
            methods=["POST"],
            name=name,
            summary=_SUMMARIES[name],
            response_class=Response,
            responses={
                200: {"model": ANSWERS[name], "description": "The answer."},
                **{status: {"model": ErrorAnswer, "description": text} for status, text in _REASONS.items()},
            },
            openapi_extra={"requestBody": {"required": True, "content": content}, "security": security},
        )

    async def as_json(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _response(refusal(status, _ERRORS.get(status, "the server cannot answer this request")))

    app.add_exception_handler(HTTPException, as_json)
    app.add_exception_handler(Exception, as_json)
    if secured:
        _describe_token(app)
    return app


def _endpoint(name: str, turns: RequestTurns) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        media = media_type(dict(request.scope["headers"]))
        if media != JSON and name != "score":
            return _response(refusal(415, f"the content type of a body is {JSON}"))
        call = Call(name, media, await request.body(), dict(request.query_params))
        refused = await turns.run(call, request.is_disconnected)
        return _response(refused.answer, refused.retry)

    return endpoint


def _response(answer: Answer, retry: int | None = None) -> Response:
    headers = {"retry-after": str(retry)} if retry else None
    return Response(answer.body, answer.status, headers, media_type=JSON)


def _describe_token(app: FastAPI) -> None:
    """Add the token to the description, which FastAPI makes once."""
    description = app.openapi()
    description.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
