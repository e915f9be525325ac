# SPDX-License-Identifier: Apache-2.0
"""From route tables to an ASGI application; `Dispatcher.dispatch` is the life of a request."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import falcon
import falcon.asgi
import msgspec

from octostack.base import clock, ids, limits, log
from octostack.base.errors import Invalid, NotFound, OctoError, Timeout, TooLarge, Unauthorized
from octostack.contracts.identity import Caller
from octostack.runtime.http import access, body, faults, types
from octostack.runtime.http.api import Api
from octostack.runtime.http.request import JSON_TYPE, Query, Request, Response
from octostack.runtime.http.route import ANY, PUBLIC, Route

_log = log.get("http")
_PARAM = re.compile(r"\{(\w+)(:path)?\}")
_GLOBAL_ID = re.compile(r"req-[0-9a-f-]{36}")

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
# api, method, path template, status, seconds
Observer = Callable[[str, str, str, int, float], None]


class Authenticator(Protocol):
    """Who turns a token into a caller. Raises Unauthorized."""

    async def authenticate(self, token: str) -> Caller: ...


def asgi_app(
    apis: Iterable[Api], authenticator: Authenticator, observe: Observer | None = None
) -> Asgi:
    """One ASGI application for all `apis`, each under its prefix."""
    app = falcon.asgi.App()
    app.resp_options.default_media_type = None  # type: ignore[assignment] # an answer without a body has no type
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(falcon.HTTPError, _malformed)
    # The longest prefix is asked first; falcon tries the sink added last first.
    for api in sorted(apis, key=lambda a: len(a.prefix)):
        dispatcher = Dispatcher(api, authenticator, observe or _observe_nothing)
        app.add_sink(dispatcher.sink, re.compile(re.escape(api.prefix) + r"(/|$)"))
        for template, routes in _by_template(api).items():
            app.add_route(template, _Resource(dispatcher, routes))
    return _mark_disconnects(app)


class Dispatcher:
    """Runs the requests of one API."""

    def __init__(self, api: Api, authenticator: Authenticator, observe: Observer) -> None:
        self.api = api
        self._authenticator = authenticator
        self._observe = observe

    async def sink(self, req: Any, resp: Any, **_params: str) -> None:
        """A path under the prefix that no route has."""
        await self._answer(req, resp, (), {})

    async def run(
        self, req: Any, resp: Any, routes: tuple[Route, ...], params: Mapping[str, str]
    ) -> None:
        """A path that some route has."""
        path = req.scope["path"]
        if self.api.strict_slash and path.endswith("/") and len(path) > len(self.api.prefix) + 1:
            routes, params = (), {}
        await self._answer(req, resp, routes, params)

    async def _answer(
        self, req: Any, resp: Any, routes: tuple[Route, ...], params: Mapping[str, str]
    ) -> None:
        began = clock.monotonic()
        request_id = ids.new_request()
        mark = log.request_id.set(request_id)
        for name in self.api.request_id_headers:
            resp.set_header(name, request_id)
        for name, value in self.api.headers.items():
            resp.set_header(name, value)
        try:
            request = _request(req, self.api, request_id)
            await self._guarded(request, req, resp, (routes, params))
        except OctoError as e:
            self._fault(e, request_id, resp)
        finally:
            template = routes[0].path if routes else ""
            status = int(resp.status_code)
            took_s = clock.monotonic() - began
            self._observe(self.api.name, req.method, template, status, took_s)
            _log.debug("request", api=self.api.name, method=req.method, path=req.path,
                       status=status, took_ms=round(took_s * 1000, 1))  # fmt: skip
            log.request_id.reset(mark)

    async def _guarded(
        self,
        request: Request,
        req: Any,
        resp: Any,
        found: tuple[tuple[Route, ...], Mapping[str, str]],
    ) -> None:
        try:
            await self.dispatch(request, req, resp, found)
        except OctoError:
            raise
        except Exception as e:  # the supervisor of requests: a mistake of ours is one 500
            _log.exception("request failed", path=request.path, method=request.method)
            raise faults.internal(request.request_id) from e

    async def dispatch(
        self,
        request: Request,
        req: Any,
        resp: Any,
        found: tuple[tuple[Route, ...], Mapping[str, str]],
    ) -> None:
        """Version, route, caller, policy, body, handler, answer."""
        routes, params = found
        if self.api.microversions:
            request.version = self.api.microversions.negotiate(request.headers)
            for name, value in self.api.microversions.headers(request.version).items():
                resp.set_header(name, value)
        route = choose(routes, request)
        if route is None or route.rule != PUBLIC:
            request.caller = await self._authenticate(request)
        if route is None:
            raise not_there(routes, request)
        values = (params[f"p{i}"] for i in range(len(params)))
        names = (match[1] for match in _PARAM.finditer(route.path))
        request.params = dict(zip(names, values, strict=True))
        authorize(self.api, route, request)
        if self.api.strict_types:
            types.require_json(route, request, req.content_length)
        await _read(route, request, req)
        result = await handle(self.api, route, request)
        _write(route, request, resp, result)
        if resp.stream is not None:
            resp.stream = _while_there(resp.stream, req.scope)

    async def _authenticate(self, request: Request) -> Caller:
        token = request.headers.get("x-auth-token")
        if not token:
            raise Unauthorized("The request you have made requires authentication.")
        caller = await self._authenticator.authenticate(token)
        if caller.access_rules is not None:
            path = self.api.prefix + request.path
            if not access.allows(caller.access_rules, self.api.name, request.method, path):
                raise Unauthorized("The access rules of this token forbid the request.")
        return msgspec.structs.replace(caller, request_id=request.request_id)

    def _fault(self, error: OctoError, request_id: str, resp: Any) -> None:
        fault = self.api.faults(error, faults.status_of(error), request_id)
        resp.status = fault.status
        for name, value in fault.headers.items():
            resp.set_header(name, value)
        if "allow" in error.details:
            resp.set_header("Allow", error.details["allow"])
        if fault.status == 503:
            resp.set_header("Retry-After", "1")
        resp.content_type = fault.content_type
        resp.stream = None
        text = fault.body if isinstance(fault.body, str) else None
        resp.data = text.encode() if text is not None else msgspec.json.encode(fault.body)


class _Resource:
    """Falcon's idea of a path: every method comes to the dispatcher, which knows the table."""

    def __init__(self, dispatcher: Dispatcher, routes: tuple[Route, ...]) -> None:
        self._dispatcher = dispatcher
        self._routes = tuple(r for r in routes if r.method != "WEBSOCKET")
        self._sockets = [r for r in routes if r.method == "WEBSOCKET"]

    async def on_get(self, req: Any, resp: Any, **params: str) -> None:
        await self._dispatcher.run(req, resp, self._routes, params)

    on_head = on_post = on_put = on_patch = on_delete = on_options = on_get

    async def on_websocket(self, req: Any, ws: Any, **params: str) -> None:
        if not self._sockets:
            await ws.close()
            return
        route = self._sockets[0]
        request = _request(req, self._dispatcher.api, ids.new_request())
        names = [match[1] for match in _PARAM.finditer(route.path)]
        request.params = {name: params[f"p{i}"] for i, name in enumerate(names)}
        mark = log.request_id.set(request.request_id)
        try:
            await route.handler(self._dispatcher.api.app, request, ws)
        except falcon.WebSocketDisconnected:
            return
        finally:
            log.request_id.reset(mark)


def _by_template(api: Api) -> dict[str, tuple[Route, ...]]:
    """Routes by falcon template; parameters are numbered, since falcon wants one name a place."""
    templates: dict[str, list[Route]] = defaultdict(list)
    for route in api.routes:
        counter = iter(range(100))
        numbered = _PARAM.sub(lambda m: f"{{p{next(counter)}{m[2] or ''}}}", route.path)  # noqa: B023
        templates[(api.prefix + numbered).rstrip("/") or "/"].append(route)
    return {template: tuple(routes) for template, routes in templates.items()}


def _request(req: Any, api: Api, request_id: str) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in req.scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    path = req.path.removeprefix(api.prefix)
    request = Request(req.method, path, Query(req.query_string), headers)
    request.host_url = req.prefix
    request.base_url = req.prefix + api.prefix
    request.request_id = request_id
    request.client_address = req.remote_addr
    given = headers.get("x-openstack-request-id", "")
    if _GLOBAL_ID.fullmatch(given):
        _log.debug("request of another service", global_request_id=given)
    return request


def authorize(api: Api, route: Route, request: Request) -> None:
    """Give the request its policy; check the route's rule where the caller is the target."""
    request.policy = api.policy
    if route.rule in (PUBLIC, ANY):
        return
    request.rule = route.rule
    if route.target == "caller":
        caller = request.caller
        request.authorize(
            {
                "project_id": caller.project_id,
                "tenant_id": caller.project_id,
                "user_id": caller.user_id,
                "domain_id": caller.domain_id,
            }
        )


async def handle(api: Api, route: Route, request: Request) -> Any:
    """What the handler answers, which must have checked its rule if that was left to it."""
    result = await route.handler(api.app, request)
    if route.target == "handler" and route.rule not in (PUBLIC, ANY):
        assert request.authorized, f"{route.method} {route.path} did not authorize"
    return result


def choose(routes: tuple[Route, ...], request: Request) -> Route | None:
    """The route for the method at the version; a GET also answers HEAD."""
    wanted = [r for r in routes if r.serves(request.version)]
    for method in (request.method, "GET" if request.method == "HEAD" else ""):
        for route in wanted:
            if route.method == method:
                return route
    return None


def not_there(routes: tuple[Route, ...], request: Request) -> OctoError:
    """405 where the path has other methods, else 404."""
    methods = sorted({r.method for r in routes})
    if methods and request.method not in methods:
        return faults.method_not_allowed(request.method, methods)
    return NotFound("The resource could not be found.", code="route")


async def _read(route: Route, request: Request, req: Any) -> None:
    query = body.at(route.query, request.version)
    if query is not None:
        query.check(request.query.lists())
    if route.raw:
        request.stream = _chunks(req)
        return
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    data = await _whole(req)
    if data:
        _check_type(route, request)
        request.body = decode(data)
    check(route, request, given=bool(data))


def check(route: Route, request: Request, *, given: bool) -> None:
    """The body against the route's schema of the version. Raises Invalid."""
    wanted = body.at(route.body, request.version)
    if wanted is not None:
        if not given:
            raise Invalid("The request body is missing.", code="body.missing", field="body")
        wanted.check(request.body)


def _check_type(route: Route, request: Request) -> None:
    given = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    if given not in (JSON_TYPE, "", *route.content_types):
        raise faults.unsupported_media_type(given)


def decode(data: bytes) -> Any:
    """A body as JSON. Raises Invalid."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise Invalid(
            f"The request body is not well-formed JSON: {e}", code="body.json", field="body"
        ) from e


async def _whole(req: Any) -> bytes:
    if (req.content_length or 0) > limits.BODY_BYTES_MAX:
        raise TooLarge(f"The request body is larger than {limits.BODY_BYTES_MAX} bytes.")
    data = bytearray()
    try:
        async with asyncio.timeout(limits.READ_TIMEOUT_S):
            async for chunk in _chunks(req):
                data += chunk
                if len(data) > limits.BODY_BYTES_MAX:
                    raise TooLarge(
                        f"The request body is larger than {limits.BODY_BYTES_MAX} bytes."
                    )
    except TimeoutError as e:
        raise _too_slow() from e
    return bytes(data)


async def _chunks(req: Any) -> AsyncIterator[bytes]:
    """The body as it comes; one that ends early, stalls or trickles raises, and looks not whole."""
    received, window = 0, 0
    source = aiter(req.stream)
    loop = asyncio.get_running_loop()
    give_up = loop.time() + limits.READ_TIMEOUT_S
    while True:
        try:
            # Not `wait_for`, which makes a task for every chunk: a third of an upload's time.
            async with asyncio.timeout_at(give_up):
                chunk = await anext(source)
        except StopAsyncIteration:
            break
        except TimeoutError as e:
            raise _too_slow() from e
        received += len(chunk)
        window += len(chunk)
        if window >= limits.READ_BYTES_MIN:
            window, give_up = 0, loop.time() + limits.READ_TIMEOUT_S
        handed = loop.time()
        yield chunk
        give_up += loop.time() - handed  # what the reader took is not the sender's fault
    short = req.content_length is not None and received < req.content_length
    if short or req.scope.get("octostack.disconnected"):
        raise Invalid("The request body ended early.", code="body.truncated", field="body")


def _too_slow() -> Timeout:
    return Timeout("The request body did not arrive in time.", code="body.slow", status=408)


def _write(route: Route, request: Request, resp: Any, result: Any) -> None:
    answer = result if isinstance(result, Response) else Response(result)
    resp.status = answer.status or route.status
    for name, value in answer.headers.items():
        resp.set_header(name, value)
    if answer.stream is not None:
        resp.content_type = answer.content_type or "application/octet-stream"
        if request.method != "HEAD":
            resp.stream = answer.stream
        return
    if isinstance(answer.body, bytes | str):
        resp.content_type = answer.content_type or "text/plain; charset=utf-8"
        resp.data = answer.body.encode() if isinstance(answer.body, str) else answer.body
    elif answer.body is not None:
        resp.content_type = answer.content_type or JSON_TYPE
        resp.data = msgspec.json.encode(answer.body)
    elif answer.content_type:
        resp.content_type = answer.content_type


async def _malformed(_req: Any, resp: Any, error: falcon.HTTPError, _params: Any) -> None:
    """What falcon itself refuses: outside every prefix, or not HTTP as we know it."""
    code = int(error.status.split(" ", 1)[0]) if isinstance(error.status, str) else error.status
    resp.status = code
    resp.content_type = JSON_TYPE
    title = faults.TITLES.get(int(code), "Error")
    resp.data = msgspec.json.encode({"error": {"code": int(code), "title": title,
                                               "message": error.description or title}})  # fmt: skip


_BEGINNING = {"type": "http.request", "body": b"", "more_body": True}


def _mark_disconnects(app: Asgi) -> Asgi:
    """Note a client that goes away while it sends: falcon ends the body without a word.

    And begin at once: falcon would wait, without a bound, for the first piece of the body.
    """

    async def marked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        begun = False

        async def noting() -> Any:
            nonlocal begun
            if not begun:
                begun = True
                return _BEGINNING
            event = await receive()
            if event["type"] == "http.disconnect":
                scope["octostack.disconnected"] = True
            return event

        await app(scope, noting, send)

    return marked


async def _while_there(stream: AsyncIterator[bytes], scope: Any) -> AsyncIterator[bytes]:
    """The stream until the client has gone: nothing else ends what nobody takes."""
    async for chunk in stream:
        if scope.get("octostack.disconnected"):
            return
        yield chunk


def _observe_nothing(_api: str, _method: str, _path: str, _status: int, _took_s: float) -> None:
    return None
