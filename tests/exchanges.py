"""Golden recordings: what clients sent to the API server, and what they got, without what differs from run to run.

`tools/record_golden.py` writes them to tests/golden/CLIENT.json; a unit test replays them on an API server alone.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kubelab.clock import RealClock
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.server import APIServer
from kubelab.cluster.controlplane import api_server
from kubelab.home import Home
from kubelab.settings import files

FOLDER = Path(__file__).parent / "golden"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
GENERATED = re.compile(r"kube-api-access-\w{5}")
AGE = re.compile(r"\d+[smhd](\d+[smh])?|<unknown>|<invalid>")
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
VARYING = {"resourceVersion": "RV", "nodePort": 0, "token": "TOKEN"}


@dataclass
class Exchange:
    """A request, and the answer it must get. `body` is text; `binary` base64 (protobuf)."""

    command: str
    method: str
    path: str  # with its query
    accept: str
    content_type: str
    body: str
    binary: str
    status: int
    answer: Any


@asynccontextmanager
async def serving(home: Home) -> AsyncIterator[tuple[APIServer, str]]:
    """An API server alone, and its administrator's token."""
    settings = files.write(home, "process", "upstream")
    config = Config.load(home.component_config("kube-apiserver"))
    async with api_server(config, home.store, RealClock()) as server:
        yield server, settings.tokens["admin"]


def load(path: Path) -> list[Exchange]:
    stored = json.loads(path.read_text())
    return [Exchange(**{**entry, "answer": stored["answers"][entry["answer"]]}) for entry in stored["exchanges"]]


def save(path: Path, exchanges: list[Exchange]) -> None:
    """One line an exchange; answers that are the same are there once."""
    answers: list[str] = []
    lines = []
    for exchange in exchanges:
        text = json.dumps(exchange.answer, sort_keys=True, separators=(",", ":"))
        if text not in answers:
            answers.append(text)
        lines.append(json.dumps({**asdict(exchange), "answer": answers.index(text)}, separators=(",", ":")))
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"answers":[\n' + ",\n".join(answers) + '\n],"exchanges":[\n' + ",\n".join(lines) + "\n]}\n")


def request_body(body: bytes, content_type: str) -> tuple[str, str]:
    """Text and base64 of a body, one of them empty. A resourceVersion that was read before is left out."""
    if not body:
        return "", ""
    if "protobuf" in content_type:
        return "", base64.b64encode(body).decode()
    text = body.decode()
    if '"resourceVersion"' in text:
        sent = json.loads(text)
        sent["metadata"].pop("resourceVersion", None)
        text = json.dumps(sent, separators=(",", ":"))
    return text, ""


def normalised(value: Any, key: str = "") -> Any:
    """An answer without times, identifiers, addresses and ages; whose fields are whose, in no order of time."""
    if key in VARYING and value not in ("", None):
        return VARYING[key]
    if isinstance(value, dict):
        return {name: normalised(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [normalised(item, key) for item in value]
        return sorted(items, key=_manager) if key == "managedFields" else items
    if not isinstance(value, str):
        return value
    if key == "cells" and AGE.fullmatch(value):
        return "AGE"
    value = GENERATED.sub("kube-api-access-x", UID.sub("UID", TIME.sub("TIME", value)))
    if key == "cells" or key.lower().endswith(("ip", "ips")):
        value = re.sub(r":3\d{4}/", ":PORT/", ADDRESS.sub("IP", value))
    return value


def _manager(entry: dict[str, Any]) -> tuple[str, ...]:
    """What tells an entry from others. Entries are ordered by time, in seconds: which come first is chance here."""
    return tuple(entry.get(name, "") for name in ("operation", "manager", "apiVersion", "subresource"))
