"""One build, told so that two engines' can be compared: what may differ (times, IDs) is taken out, all else stays."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from engines.engine import corpus_context

CORPUS = Path(__file__).parent / "corpus"
NOW = 1_700_000_000  # whatever is younger was made by the build
_ID = re.compile(r"\b(sha256:)?([0-9a-f]{64}|[0-9a-f]{12})\b")
_COLOUR = re.compile("\x1b\\[(91|0)m")  # around each piece of stderr, however it was cut
_HASH = re.compile(r"\b(file|dir|multi):[0-9a-f]{64}")
_OPTION = re.compile(r"^#(?P<name>build-arg|target|label|ignore) (?P<value>.*)\n", re.MULTILINE)


@dataclass
class Case:
    """A Dockerfile of the corpus, and the options that its last lines give (`#build-arg A=b`, `#target`, `#label`)."""

    dockerfile: str
    query: dict[str, str] = field(default_factory=dict)
    ignore: str = ""

    @classmethod
    def read(cls, path: Path) -> Case:
        text = path.read_text()
        options = [(match["name"], match["value"]) for match in _OPTION.finditer(text)]
        pairs = {kind: dict(v.split("=", 1) for k, v in options if k == kind) for kind in ("build-arg", "label")}
        query = {"buildargs": json.dumps(pairs["build-arg"]), "labels": json.dumps(pairs["label"])}
        target = {kind: value for kind, value in options if kind == "target"}
        ignore = "".join(f"{value}\n" for kind, value in options if kind == "ignore")
        return cls(_OPTION.sub("", text), query | target, ignore)


def post_build(client: docker.DockerClient, context: bytes, **query: str) -> tuple[int, list[dict[str, Any]]]:
    """POST /build: the status, and the stream's lines (or the error's message)."""
    api = client.api
    headers = {"Content-Type": "application/x-tar"}
    answer = api._post(api._url("/build"), params={"rm": "1", **query}, data=context, headers=headers)
    return answer.status_code, [json.loads(line) for line in answer.text.split("\r\n" if answer.ok else "\n") if line]


def told(lines: list[dict[str, Any]]) -> list[Any]:
    """The stream without what differs from engine to engine: IDs, and how output was cut into lines."""
    text: list[Any] = [""]
    for line in lines:
        if "stream" in line:
            text[-1] += _COLOUR.sub("", without_ids(line["stream"]))
        elif "aux" in line and not line["aux"].get("ID"):
            continue
        else:
            text += [json.loads(without_ids(json.dumps(line))), ""]
    return [each for each in text if each]


def without_ids(text: str) -> str:
    """IDs become <id>; hashes of what COPY takes stay, they must be equal."""
    kept: dict[str, str] = {}

    def keep(match: re.Match[str]) -> str:
        return kept.setdefault(match[0], f"<kept {len(kept)}>")

    text = _ID.sub(lambda match: "<id>", _HASH.sub(keep, text))
    for original, placeholder in kept.items():
        text = text.replace(placeholder, original)
    return text


@dataclass
class Built:
    """What there is to compare of an image."""

    inspect: dict[str, Any]
    config: dict[str, Any]
    history: list[tuple]
    layers: list[list[dict[str, Any]]]
    diff_ids: list[str]


def look_at(client: docker.DockerClient, name: str) -> Built:
    image = client.images.get(name)
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.api.get_image(name)))) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = json.load(archive.extractfile(manifest["Config"]))
        layers = [members(archive.extractfile(layer)) for layer in manifest["Layers"]]
    history = [(line["CreatedBy"], line["Size"], line["Comment"]) for line in image.history()]
    attrs = image.attrs
    diff_ids = attrs["RootFS"]["Layers"]
    return Built(_neutral_inspect(attrs), _neutral_config(config), history, layers, diff_ids)


def _neutral_inspect(attrs: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in attrs.items() if name not in ("GraphDriver", "Metadata", "RootFS", "Id")}
    kept |= {"layers": len(attrs["RootFS"]["Layers"]), "DockerVersion": "", "Created": "", "VirtualSize": 0}
    return json.loads(without_ids(json.dumps(_without_hosts(kept))))


def _without_hosts(value: Any) -> Any:
    """Image IDs and host names of containers differ with the times in them."""
    if isinstance(value, dict):
        return {key: "*" if key == "Hostname" and each else _without_hosts(each) for key, each in value.items()}
    return value


def _neutral_config(config: dict[str, Any]) -> dict[str, Any]:
    history = [{key: value for key, value in entry.items() if key != "created"} for entry in config["history"]]
    rest = {**config, "created": "", "docker_version": "", "rootfs": len(config["rootfs"]["diff_ids"])}
    return json.loads(without_ids(json.dumps(_without_hosts({**rest, "history": history}))))


def members(file) -> list[dict[str, Any]]:
    """Every entry of a layer, as it stands in the tar."""
    found = []
    with tarfile.open(fileobj=file) as tar:
        for info in tar:
            entry = {
                key: getattr(info, key)
                for key in ("name", "mode", "uid", "gid", "uname", "gname", "size", "linkname", "devmajor", "devminor")
            }
            content = tar.extractfile(info) if info.isreg() else None
            entry["type"] = info.type
            entry["mtime"] = info.mtime if info.mtime < NOW else "now"
            entry["pax"] = {key: value for key, value in info.pax_headers.items() if "xattr" in key}
            entry["content"] = hashlib.sha256(content.read()).hexdigest()[:8] if content else ""
            found.append(entry)
    return found


def timeless(layer: list[dict[str, Any]]) -> bool:
    """Whether nothing in the layer carries the time at which it was built."""
    return all(entry["mtime"] != "now" for entry in layer)


def context_of(case: Case) -> bytes:
    return corpus_context.context(case.dockerfile, case.ignore)
