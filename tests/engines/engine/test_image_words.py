"""Looking at, naming, removing and pruning images: what both engines answer to the same requests, word for word.

Where the two differ by version, what is compared leaves that out: the status of a bad name (`dockerd` answered 500 up
to version 24), the capital letter of "invalid filter" (25), `<none>` for a name (the API's 1.43).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import docker
import pytest

pytestmark = [pytest.mark.timeout(180), pytest.mark.requires("dockerd")]
BASE = "kl/base"
NOWHERE = "0" * 64
BAD = ["nosuch", "nosuch:1", f"sha256:{NOWHERE}", NOWHERE, "NOSUCH", "a b", "x@sha256:12"]


class Asked:
    """One engine, and what it answers; `images` are the names that IDs are shown by."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.api, self.images = client.api, {}
        self.answers: dict[str, str] = {}

    def build(self, tag: str, *lines: str) -> str:
        text = "\n".join((f"FROM {BASE}", *lines)).encode()
        list(self.api.build(fileobj=io.BytesIO(text), tag=tag, rm=True, decode=True))
        self.images[tag] = self.api.inspect_image(tag)["Id"]
        return self.images[tag]

    def ask(self, what: str, question: Callable[[], object]) -> None:
        try:
            answer = str(question())
        except docker.errors.APIError as error:
            answer = error.explanation
        for name, identifier in self.images.items():
            digits = identifier.removeprefix("sha256:")
            answer = answer.replace(digits, f"<{name}>").replace(digits[:12], f"<{name} short>")
        answer = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "<id>", answer)
        answer = answer.replace("repository name must", "repository name () must")  # which one, 25 says
        self.answers[what] = re.sub(r"name \([^)]*\) must", "name (NAME) must", answer)

    def names(self, **options: object) -> list[str]:
        found = [name for image in self.api.images(**options) for name in image["RepoTags"] or []]
        return sorted(name for name in found if not name.startswith(("kubelab/", "<none>")))


@pytest.fixture
def compared(both_engines):
    """Give a function that asks each engine the same; then what they said is compared."""

    def compare(questions: Callable[[Asked], None]) -> dict[str, str]:
        said = {}
        for name, client in both_engines.items():
            asked = Asked(client)
            questions(asked)
            said[name] = {
                what: re.sub(r"name \([^)]*\) must", "name (NAME) must", a) for what, a in asked.answers.items()
            }
        assert said["embedded"] == said["host"]
        return said["embedded"]

    return compare


def test_names_that_lead_to_no_image(compared):
    def questions(asked: Asked) -> None:
        api = asked.api
        for name in BAD:
            asked.ask(f"rmi {name}", lambda name=name: api.remove_image(name))
            asked.ask(f"history {name}", lambda name=name: api.history(name))
            asked.ask(f"tag {name}", lambda name=name: api.tag(name, "words/t"))
        for name in ("nosuch:1", "NOSUCH", "a b"):
            asked.ask(f"save {name}", lambda name=name: len(b"".join(api.get_image(name))))
        asked.ask("push", lambda: list(api.push("words/nosuch", stream=True, decode=True)))
        asked.ask("push a tag", lambda: list(api.push("words/nosuch", "9", stream=True, decode=True)))
        asked.ask("create", lambda: api.create_container("nosuch", ["x"]))
        asked.ask("commit", lambda: api.commit("nosuch"))

    said = compared(questions)
    assert said["rmi NOSUCH"] == "invalid reference format: repository name (NAME) must be lowercase"
    assert said["save nosuch:1"] == "reference does not exist"
    assert said["history nosuch"] == "No such image: nosuch:latest"


def test_names_that_may_not_be_given(compared):
    names = [
        ("UPPER", None), ("a b", None), ("words/t", "-x"), ("words/t", "x" * 129),
        (f"words/t@sha256:{NOWHERE}", None), (NOWHERE, None), ("", None), ("words/t:3", None),
    ]  # fmt: skip

    def questions(asked: Asked) -> None:
        for repository, tag in names:
            asked.ask(f"{repository} {tag}", lambda r=repository, t=tag: asked.api.tag(BASE, r, t))

    said = compared(questions)
    assert said["words/t -x"] == "invalid tag format" and said["words/t:3 None"] == "True"


def test_images_that_may_not_go(compared):
    def questions(asked: Asked) -> None:
        api = asked.api
        first = asked.build("words/a:1", "LABEL x=1", "ENV A=1")
        second = asked.build("words/b:1", "LABEL x=1", "ENV A=1", "ENV B=2")
        api.tag("words/a:1", "words/a", "2")
        api.tag("words/a:1", "other/a", "1")
        asked.ask("by ID, several names", lambda: api.remove_image(first))
        asked.ask("by short ID", lambda: api.remove_image(first[7:19]))
        asked.ask("one name", lambda: api.remove_image("words/a:2"))
        asked.ask("a parent", lambda: api.remove_image(first, force=True))
        container = api.create_container("words/b:1", ["sleep", "60"], name="words")
        asked.images["container"] = container["Id"]
        asked.ask("with a container", lambda: api.remove_image("words/b:1"))
        asked.ask("with a container, by ID", lambda: api.remove_image(second))
        api.start(container)
        asked.ask("in use", lambda: api.remove_image("words/b:1"))
        asked.ask("in use, by ID", lambda: api.remove_image(second))
        asked.ask("in use, by ID, forced", lambda: api.remove_image(second, force=True))
        asked.ask("in use, forced", lambda: api.remove_image("words/b:1", force=True))
        asked.ask("names that are left", lambda: asked.names())
        asked.ask("a container whose image has lost its name", lambda: api.containers()[0]["Image"])
        api.remove_container(container, force=True)

    said = compared(questions)
    assert said["a container whose image has lost its name"] == "sha256:<words/b:1>"


def test_filters(compared):
    filters = [
        {"dangling": False}, {"label": "x"}, {"label": "x=1"}, {"label": "x=2"}, {"label": ["x=1", "y"]},
        {"reference": "words/*"}, {"reference": "*/a:1"}, {"reference": "a"}, {"before": "words/b:1"},
        {"since": "words/a:1"}, {"before": "nosuch"},
    ]  # fmt: skip

    def questions(asked: Asked) -> None:
        api = asked.api
        asked.build("words/a:1", "LABEL x=1", "ENV A=1")
        asked.build("words/b:1", "LABEL x=1", "ENV A=1", "ENV B=2")
        asked.build("words/c:1", "LABEL x=1", "ENV A=1", "ENV C=3")  # whichever goes first, its parent loses a name
        for each in filters:
            asked.ask(f"images {each}", lambda each=each: asked.names(filters=each))
        for name in ("words/a", "words/a:1", "a"):
            asked.ask(f"images {name}", lambda name=name: asked.names(name=name))
        for prune in (api.prune_images, api.prune_containers, api.prune_volumes, api.prune_networks):
            asked.ask(f"{prune.__name__} by label", lambda prune=prune: prune(filters={"label": "nosuch"}))
        asked.ask("what is not used", lambda: sorted(
            each["Untagged"] for each in api.prune_images(filters={"dangling": False, "label": "x=1"})["ImagesDeleted"]
            if "Untagged" in each
        ))  # fmt: skip
        asked.ask("then", lambda: asked.names())

    said = compared(questions)
    assert said["images {'before': 'words/b:1'}"] == "['kl/base:latest', 'words/a:1']"
    assert said["what is not used"] == "['words/a:1', 'words/b:1', 'words/c:1']"


def test_others_that_are_not_there(compared):
    def questions(asked: Asked) -> None:
        api = asked.api
        asked.ask("export", lambda: b"".join(api.export("nosuch")))
        asked.ask("logs", lambda: api.logs("nosuch"))
        asked.ask("start", lambda: api.start("nosuch"))
        asked.ask("a container's name", lambda: api.create_container(BASE, ["x"], name="a b"))
        asked.ask("volume", lambda: api.inspect_volume("nosuch"))
        asked.ask("rm volume", lambda: api.remove_volume("nosuch"))
        asked.ask("a volume's name", lambda: api.create_volume("a b"))
        asked.ask("a volume's driver", lambda: api.create_volume("v", driver="nosuch"))
        asked.ask("network", lambda: api.inspect_network("nosuch"))
        asked.ask("rm network", lambda: api.remove_network("nosuch"))
        asked.ask("rm bridge", lambda: api.remove_network("bridge"))
        asked.ask("a network's driver", lambda: api.create_network("n", driver="nosuch"))
        asked.ask("a network's type", lambda: api.networks(filters={"type": ["x"]}))

    compared(questions)
