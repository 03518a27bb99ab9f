"""The routes of the pages, and the server on one address.

Nothing of a request is ever a path: clips are named by id in the query, and an id is
looked up in the table.
"""

import json
import logging
import socket
from importlib import resources

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.versions.clips_table import TableError
from mindrecord_io.versions.manifests import ManifestError
from pipelines.browse import clip_pages, list_pages
from pipelines.browse.clip_table import ClipFilter, FilterError
from pipelines.browse.collection import Collection, NoFramesError
from pipelines.browse.corrections import CorrectionsError
from pipelines.browse.guard import App, Guard, GuardSettings
from pipelines.report.page_style import STYLE

__all__ = ["make_app", "serve"]

logger = logging.getLogger(__name__)

_MAX_BODY = 10_000
_MAX_NUMBER = 10**9
_SECONDS_TO_CLOSE = 1


def serve(app: App, listener: socket.socket) -> None:
    """Answers requests until a signal ends the process."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_SECONDS_TO_CLOSE,
    )
    uvicorn.Server(config).run(sockets=[listener])


def make_app(collection: Collection, settings: GuardSettings) -> App:
    """Returns the application that serves a version's pages."""
    pages = _Pages(collection)
    routes = [
        Route("/", pages.clips),
        Route("/clip", pages.clip),
        Route("/classes", pages.classes),
        Route("/class", pages.one_class),
        Route("/suspects", pages.suspects),
        Route("/frame", pages.frame),
        Route("/frames", pages.frames),
        Route("/corrections", pages.decide, methods=["POST"]),
        Route("/page.css", _style),
        Route("/page.js", _script),
    ]
    errors = {
        FilterError: _answer(400),
        CorrectionsError: _answer(400),
        NoFramesError: _answer(404),
        _NotThereError: _answer(404),
        ManifestError: _answer(404),
        StorageError: _answer(500),
        TableError: _answer(500),
        OSError: _answer(500),
    }
    return Guard(Starlette(routes=routes, exception_handlers=errors), settings)


class _NotThereError(ValueError):
    """A request names a clip, class or frame that there is not."""


class _Pages:
    """The handlers; those that read shards or filter run in threads."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def clips(self, request: Request) -> Response:
        chosen = ClipFilter.of(request.query_params)
        begin = _number(request, "begin")
        return HTMLResponse(list_pages.clips_page(self._collection, chosen, begin))

    def clip(self, request: Request) -> Response:
        chosen = ClipFilter.of(request.query_params)
        row = self._row(request.query_params.get("id", ""))
        return HTMLResponse(clip_pages.clip_page(self._collection, row, chosen))

    def classes(self, request: Request) -> Response:
        return HTMLResponse(list_pages.classes_page(self._collection))

    def one_class(self, request: Request) -> Response:
        label_id = _number(request, "label_id")
        if label_id >= len(self._collection.names):
            raise _NotThereError(f"there is no class {label_id}")
        return HTMLResponse(list_pages.class_page(self._collection, label_id))

    def suspects(self, request: Request) -> Response:
        place = _number(request, "place")
        return HTMLResponse(clip_pages.suspect_page(self._collection, place))

    def frame(self, request: Request) -> Response:
        clip = self._collection.stored(self._row(request.query_params.get("id", "")))
        index = _number(request, "index")
        if index >= len(clip.sizes):
            raise _NotThereError(f"the clip has {len(clip.sizes)} frames")
        jpeg = self._collection.frames(clip, index, index + 1)
        return Response(jpeg, media_type="image/jpeg")

    def frames(self, request: Request) -> Response:
        clip = self._collection.stored(self._row(request.query_params.get("id", "")))
        headers = {"x-frame-sizes": json.dumps(clip.sizes)}
        content = self._collection.frames(clip)
        return Response(content, headers=headers, media_type="application/octet-stream")

    async def decide(self, request: Request) -> Response:
        # Not a kind that another page's form can send.
        if request.headers.get("content-type") != "application/json":
            return PlainTextResponse("refused: send JSON\n", 415)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY:
                return PlainTextResponse("refused: too long\n", 413)
        try:
            fields = json.loads(body)
            clip_id, label = str(fields["clip_id"]), str(fields["label"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return PlainTextResponse("refused: send clip_id and label\n", 400)
        self._row(clip_id)
        self._collection.corrections.decide(clip_id, label)
        return JSONResponse({"num_decided": len(self._collection.corrections)})

    def _row(self, clip_id: str) -> int:
        row = self._collection.table.row_of(clip_id)
        if row is None:
            raise _NotThereError("there is no such clip")
        return row


def _number(request: Request, name: str) -> int:
    """Returns a whole number of the query, 0 where it has none."""
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MAX_NUMBER)):
        raise FilterError(f"{name} must be a whole number, got {text[:20]!r}")
    return int(text)


def _style(request: Request) -> Response:
    own = resources.files("pipelines.browse").joinpath("page.css").read_text("utf-8")
    return Response(STYLE + own, media_type="text/css")


def _script(request: Request) -> Response:
    own = resources.files("pipelines.browse").joinpath("page.js").read_text("utf-8")
    return Response(own, media_type="text/javascript")


def _answer(status: int):  # type: ignore[no-untyped-def]
    def answer(request: Request, error: Exception) -> Response:
        if status >= 500:
            logger.error("%s: %s", request.url.path, error)
        return PlainTextResponse(f"{error}\n", status)

    return answer
