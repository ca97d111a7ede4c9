"""One method a verb: from a request on objects to its answer.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/{get,create,update,patch,delete,watch}.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from kubelab.cluster.apiserver import (
    apply,
    body,
    deletion,
    errors,
    listing,
    noderestriction,
    patch,
    query,
    reviews,
    subresources,
)
from kubelab.cluster.apiserver import eventconversion as conversion
from kubelab.cluster.apiserver.authentication import Authenticator, User, current_user
from kubelab.cluster.apiserver.authorization import Attributes
from kubelab.cluster.apiserver.registry import Options, Registry
from kubelab.cluster.apiserver.render import Renderer, negotiate
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.apiserver.schema import types
from kubelab.cluster.apiserver.watching import Watch
from kubelab.cluster.resources import REVIEWS

Object = dict[str, Any]
JSON = "application/json"
# The texts for the Warning headers of the answer to the request that is being handled.
warnings_of_request: ContextVar[list[str]] = ContextVar("warnings_of_request")
ADMISSION_TRIES, ADMISSION_WAIT = 30, 0.05  # seconds


class Handlers:
    """The verbs over a registry; reviews ask the authenticator."""

    def __init__(self, registry: Registry, authenticator: Authenticator) -> None:
        self._registry, self._authenticator = registry, authenticator
        self._verbs: dict[str, Callable[[web.Request, RequestInfo], Awaitable[web.StreamResponse]]] = {
            "get": self._get,
            "list": self._list,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def handle(self, request: web.Request, info: RequestInfo, user: User) -> web.StreamResponse:
        """Raises StatusError."""
        if info.resource.deprecation:
            warnings_of_request.get().append(info.resource.deprecation)
        if info.subresource:
            sub = info.resource.subresource(info.subresource)
            if sub is None:
                raise errors.no_such_path()
            allowed = sub.verbs
        else:
            allowed = info.resource.verbs
        misplaced = bool(info.name) if info.verb == "create" else not info.name and info.verb in ("update", "patch")
        if misplaced and not info.subresource:
            raise errors.method_not_allowed()
        if info.verb not in allowed:
            raise errors.method_not_supported(info.resource, info.verb)
        if info.resource in REVIEWS:
            return await self._review(request, info, user)
        return await self._verbs[info.verb](request, info)

    # -- reads

    async def _get(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        record = self._registry.record(info.stored, info.name, info.namespace)
        if info.subresource == "scale":
            return _answer(subresources.scale_of(info.resource, record.load()))
        return web.Response(body=self._renderer(request, info).one(record.value), content_type=JSON)

    async def _list(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = self._list_options(request, info)
        renderer = self._renderer(request, info)
        if options.watch:
            return await self._watch(request, info, options, renderer)
        page = listing.page(self._registry, info.stored, info.namespace, options)
        return web.Response(body=renderer.many([r.value for r in page.records], page.meta), content_type=JSON)

    def _list_options(self, request: web.Request, info: RequestInfo) -> query.ListOptions:
        options = query.list_options(request.query, self._registry.config.gate("WatchList"))
        return replace(options, field_selector=conversion.field_selector(info.resource, options.field_selector))

    async def _watch(
        self, request: web.Request, info: RequestInfo, options: query.ListOptions, renderer: Renderer
    ) -> web.StreamResponse:
        watch = Watch(self._registry, info.stored, info.namespace, options, renderer)
        try:
            response = web.StreamResponse(headers={"Content-Type": JSON})
            await response.prepare(request)
            async for chunk in watch.chunks():
                await response.write(chunk)
            await response.write_eof()
            return response
        finally:
            watch.close()

    def _renderer(self, request: web.Request, info: RequestInfo) -> Renderer:
        form = negotiate(request.headers.get("Accept", ""))
        include = request.query.get("includeObject", "")
        convert = conversion.bytes_from_stored if info.stored is not info.resource else None
        return Renderer(info.resource, form, include, lambda: self._registry.clock.now().timestamp(), convert)

    # -- writes

    def _options(self, request: web.Request, info: RequestInfo) -> Options:
        """What the query says; the warnings are shared with the answer, whether it is a success or an error."""
        is_apply = info.verb == "patch" and request.content_type == patch.APPLY_PATCH
        options = query.write_options(request.query, f"{info.verb.capitalize()}Options", is_apply)
        options.warnings = warnings_of_request.get()
        options.field_manager = options.field_manager or request.headers.get("User-Agent", "").partition("/")[0]
        options.subresource = info.subresource
        return options

    async def _create(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = self._options(request, info)
        version, kind = info.resource.api_version, info.resource.kind
        if info.subresource:
            version, kind = subresources.kind_of(info.resource, info.subresource)
        obj = await self._object(request, version, kind, options)
        noderestriction.check(self._registry, info, obj)
        conversion.check_new(info.resource, obj)
        obj = conversion.to_stored(info.resource, obj)
        if info.subresource:
            result = subresources.create(self._registry, info, obj, options)
        else:
            result = await self._admitted(info, obj, options)
        return _answer(conversion.from_stored(info.resource, result), 201)

    async def _review(self, request: web.Request, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await self._object(
            request, info.resource.api_version, info.resource.kind, self._options(request, info)
        )
        return _answer(reviews.answer(info, review, user, self._authenticator, self._registry.authorizer), 201)

    async def _admitted(self, info: RequestInfo, obj: Object, options: Options) -> Object:
        """Create, waiting a moment for what a new namespace is about to get (plugin ServiceAccount waits as long)."""
        draft = orjson.dumps(obj)
        for _ in range(ADMISSION_TRIES):
            try:
                return self._registry.create(info.stored, orjson.loads(draft), info.namespace, options)
            except errors.RetryableError:
                await self._registry.clock.sleep(ADMISSION_WAIT)
        return self._registry.create(info.stored, obj, info.namespace, options)

    async def _update(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = self._options(request, info)
        version, kind = subresources.kind_of(info.resource, info.subresource)
        obj = await self._object(request, version, kind, options)
        noderestriction.check(self._registry, info)
        if not info.subresource and self._registry.strategy(info.stored).create_on_update:
            self._may_create(info)
        return _answer(self._write(info, obj, options))

    def _may_create(self, info: RequestInfo) -> None:
        """An update or an apply that makes the object needs the right to create it, too."""
        resource, user = info.resource, current_user.get()
        if user is None or self._registry.store.get(self._registry.key(info.stored, info.namespace, info.name)):
            return
        fields = (resource.group, resource.version, resource.plural, "", info.namespace, info.name)
        self._registry.authorizer.check(Attributes(user, "create", *fields))

    def _write(self, info: RequestInfo, obj: Object, options: Options) -> Object:
        """`obj` and what is returned are in the version that was asked for."""
        if info.subresource == "scale":
            return subresources.update_scale(self._registry, info, obj, options)
        if info.subresource == "finalize":
            return subresources.finalize(self._registry, info, obj, options)
        obj = conversion.to_stored(info.resource, obj)
        written = self._registry.update(info.stored, info.name, obj, info.namespace, options, info.subresource)
        return conversion.from_stored(info.resource, written)

    async def _patch(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = self._options(request, info)
        media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media not in patch.MEDIA_TYPES:
            raise errors.unsupported_media_type(patch.MEDIA_TYPES)
        data = body.parse(await request.read(), media)
        noderestriction.check(self._registry, info)
        version, kind = subresources.kind_of(info.resource, info.subresource)
        if media == patch.APPLY_PATCH:
            return self._apply(request, info, data, options)
        current = conversion.from_stored(info.resource, self._registry.get(info.stored, info.name, info.namespace))
        if info.subresource == "scale":
            current = subresources.scale_of(info.resource, current)
        patched = patch.apply(current, data, media, types().of_kind(version, kind))
        mode = request.query.get("fieldValidation", "Warn")
        obj = body.to_object(patched, version, kind, field_validation=mode, warn=options.warnings)
        return _answer(self._write(info, obj, options))

    def _apply(self, request: web.Request, info: RequestInfo, data: Any, options: Options) -> web.Response:
        """Server-side apply, to an object or its status; an object that is not there is made."""
        if info.subresource not in ("", "status"):
            raise errors.unsupported_media_type(patch.MEDIA_TYPES[:3])
        resource = info.resource
        version, kind = resource.api_version, resource.kind
        mode = request.query.get("fieldValidation", "Strict")
        config = body.to_object(data, version, kind, field_validation=mode, warn=options.warnings)
        record = self._registry.store.get(self._registry.key(info.stored, info.namespace, info.name))
        current = conversion.from_stored(resource, record.load()) if record is not None else None
        struct = types().of_kind(version, kind)
        applied = apply.apply(current, config, struct, options.field_manager, self._registry.now(), info.subresource)
        if applied.conflicts and not query.flag(request.query, "force"):
            raise apply.conflict(applied.conflicts)
        options.applied = True
        obj = body.to_object(applied.obj, version, kind, field_validation="Ignore", warn=[])
        if current is None and not info.subresource:
            self._may_create(info)
            obj["metadata"]["name"] = info.name
            made = self._registry.create(info.stored, conversion.to_stored(resource, obj), info.namespace, options)
            return _answer(conversion.from_stored(resource, made), 201)
        return _answer(self._write(info, obj, options))

    async def _object(self, request: web.Request, version: str, kind: str, options: Options) -> Object:
        raw = await request.read()
        data = body.parse(raw, request.headers.get("Content-Type", ""))
        mode = request.query.get("fieldValidation", "Warn")
        return body.to_object(data, version, kind, field_validation=mode, warn=options.warnings, body=raw)

    # -- deletes

    async def _delete(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = await self._delete_options(request)
        noderestriction.check(self._registry, info)
        warning = self._registry.strategy(info.stored).default_propagation_warning
        if warning and not options.propagation:
            warnings_of_request.get().append(warning)
        obj, gone = deletion.delete(self._registry, info.stored, info.name, info.namespace, options)
        obj = conversion.from_stored(info.resource, obj)
        if not gone or self._registry.strategy(info.stored).returns_deleted_object:
            accepted = not gone and options.propagation in (deletion.BACKGROUND, deletion.FOREGROUND)
            return _answer(obj, 202 if accepted and obj["metadata"].get("finalizers") else 200)
        meta = obj["metadata"]
        details = {"name": meta["name"], "group": info.resource.group, "kind": info.resource.plural, "uid": meta["uid"]}
        return _answer(errors.status(200, "", "", details, success=True))

    async def _delete_collection(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        options = await self._delete_options(request)
        page = listing.page(self._registry, info.stored, info.namespace, self._list_options(request, info))
        results = []
        for record in page.records:
            meta = record.load()["metadata"]
            namespace = meta.get("namespace", "")
            obj, _ = deletion.delete(self._registry, info.stored, meta["name"], namespace, options)
            results.append(orjson.dumps(obj))
        return web.Response(body=self._renderer(request, info).many(results, page.meta), content_type=JSON)

    async def _delete_options(self, request: web.Request) -> deletion.DeleteOptions:
        """From the body, or where there is none from the query."""
        raw = await request.read()
        if raw:
            data = body.parse(raw, request.headers.get("Content-Type", ""))
            version = data.get("apiVersion", "v1") if isinstance(data, dict) else "v1"
            data = {**data, "apiVersion": "v1"} if isinstance(data, dict) and version else data
            mode = request.query.get("fieldValidation", "Ignore")
            return deletion.parse(body.to_object(data, "v1", "DeleteOptions", field_validation=mode, warn=[]))
        given: Object = {}
        if "gracePeriodSeconds" in request.query:
            given["gracePeriodSeconds"] = query.number(request.query["gracePeriodSeconds"], "gracePeriodSeconds")
        if "propagationPolicy" in request.query:
            given["propagationPolicy"] = request.query["propagationPolicy"]
        if "orphanDependents" in request.query:
            given["orphanDependents"] = query.flag(request.query, "orphanDependents")
        if "dryRun" in request.query:
            given["dryRun"] = [request.query["dryRun"]]
        return deletion.parse(given)


def _answer(obj: Object, code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(obj), status=code, content_type=JSON)
