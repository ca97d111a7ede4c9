"""Exercises of chapter 2: images, looked at layer by layer as `docker save` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ContainerError, ImageNotFound

from kubelab.course import layers
from kubelab.course.exercise import Exercise, Finding

if TYPE_CHECKING:
    from kubelab.course.lab import Lab

BASE = "kubelab/python"
GREETER = 'print("good morning")\n'
SECRET = "the password is swordfish\n"


def _image(lab: Lab, name: str) -> Any:
    try:
        return lab.docker.images.get(name)
    except ImageNotFound:
        return None


def _exists(lab: Lab, name: str) -> Finding:
    ours = [tag for image in lab.docker.images.list() for tag in image.tags if tag.startswith("kubelab/ex")]
    return Finding(
        _image(lab, name) is not None,
        f"there is an image {name}",
        ", ".join(sorted(ours)) or "no image of an exercise",
        name,
        f"`docker build -t {name} FOLDER` names what it builds; without -t the image has no name.",
    )


def _added(lab: Lab, name: str) -> list[list[tuple[str, str, int]]]:
    """What each layer above the base image does: (mark, path, bytes)."""
    below = len(lab.docker.images.get(BASE).attrs["RootFS"]["Layers"])
    seen: set[str] = set()
    return [layers.changes(layer, seen) for layer in layers.saved_layers(_image(lab, name))][below:]


def _from_base(lab: Lab, name: str) -> Finding:
    below = lab.docker.images.get(BASE).attrs["RootFS"]["Layers"]
    ours = _image(lab, name).attrs["RootFS"]["Layers"]
    return Finding(
        ours[: len(below)] == below,
        f"it is built on {BASE}",
        "another base image, or none",
        f"FROM {BASE}",
        "the first line of the Dockerfile names the base image.",
    )


def _output(lab: Lab, name: str) -> str:
    try:
        return lab.docker.containers.run(name, remove=True, labels=lab.labels).decode().strip()
    except (ContainerError, APIError) as error:
        return f"it failed: {getattr(error, 'stderr', None) or error}"[:200]


def _prints(lab: Lab, name: str, expected: str, hint: str) -> Finding:
    found = _output(lab, name)
    return Finding(found == expected, f"`docker run {name}` prints it", found or "nothing", expected, hint)


def check_greeter(lab: Lab) -> Iterator[Finding]:
    name = "kubelab/ex21:1"
    yield _exists(lab, name)
    yield _from_base(lab, name)
    paths = [path for layer in _added(lab, name) for _, path, _ in layer]
    yield Finding(
        any(path.endswith("/greet.py") for path in paths),
        "greet.py is in it",
        ", ".join(paths) or "no file of yours",
        "greet.py",
        "COPY takes files from the build context into the image.",
    )
    yield _prints(
        lab, name, "good morning", "which command does a container of it run? CMD says so; paths begin at WORKDIR."
    )


def check_secret(lab: Lab) -> Iterator[Finding]:
    name = "kubelab/ex22:1"
    yield _exists(lab, name)
    yield _from_base(lab, name)
    added = _added(lab, name)
    paths = {path.rpartition("/")[2] for layer in added for mark, path, _ in layer if mark != "D"}
    removed = {path.rpartition("/")[2] for layer in added for mark, path, _ in layer if mark == "D"}
    yield Finding(
        {"greet.py", "words.txt"} <= paths,
        "greet.py and words.txt are in it",
        ", ".join(sorted(paths)) or "no file of yours",
        "greet.py and words.txt",
        "what .dockerignore names is not sent: does it name too much?",
    )
    yield Finding(
        "secret.txt" not in paths,
        "secret.txt is in no layer",
        "in a lower layer; a later one hides it" if "secret.txt" in removed else "in a layer",
        "in none",
        "a layer is never changed by a later one, and `docker save` gives all of them to whoever has the image."
        if "secret.txt" in removed
        else "whatever is copied is in the image. What is not sent to the engine cannot be: .dockerignore.",
    )
    yield _prints(lab, name, "good morning", "the program has to run as before.")


def check_cache(lab: Lab) -> Iterator[Finding]:
    name = "kubelab/ex23:1"
    yield _exists(lab, name)
    yield _from_base(lab, name)
    layer_of = {
        path.rpartition("/")[2]: number
        for number, layer in enumerate(_added(lab, name))
        for mark, path, _ in layer
        if mark == "A"
    }
    yield Finding(
        "library.txt" in layer_of,
        "the library is installed",
        ", ".join(layer_of) or "nothing",
        "library.txt",
        "RUN sh install.sh makes library.txt, in the folder where it runs.",
    )
    yield Finding(
        layer_of.get("greet.py", -1) > layer_of["library.txt"],
        "the program's layer is above the library's",
        f"greet.py in layer {layer_of.get('greet.py', 'none')}, library.txt in layer {layer_of['library.txt']}",
        "greet.py above library.txt",
        "a change in a step makes all steps after it run again. What changes often belongs at the end; copy first only "
        "what the installation needs.",
    )
    yield _prints(lab, name, "good morning", "the program has to run as before.")


def check_thin(lab: Lab) -> Iterator[Finding]:
    name = "kubelab/ex24:1"
    yield _exists(lab, name)
    yield _from_base(lab, name)
    yield _prints(lab, name, "2000000", "the container prints the content of result.txt, which make.py writes.")
    weight = sum(size for layer in _added(lab, name) for _, _, size in layer)
    deleted = any(mark == "D" and path.endswith("big.bin") for layer in _added(lab, name) for mark, path, _ in layer)
    yield Finding(
        weight <= 100_000,
        "it weighs little more than its base",
        f"{layers.size(weight)} in layers of its own",
        "100kB at most",
        "a file that a later layer deletes still weighs: make it, use it and delete it in one RUN, or in another stage."
        if deleted
        else "which file is large, and does whoever runs the image need it?",
    )


MAKE = """from pathlib import Path
# A step as in many builds: it needs much room for a moment, and little for its result.
Path("big.bin").write_bytes(bytes(2_000_000))
Path("result.txt").write_text(str(Path("big.bin").stat().st_size))
"""
EXERCISES = [
    Exercise(
        "2.1",
        check_greeter,
        files={"greet.py": GREETER},
        images=("kubelab/ex21:1",),
    ),
    Exercise(
        "2.2",
        check_secret,
        files={
            "greet.py": 'print(open("words.txt").read().strip())\n',
            "words.txt": "good morning\n",
            "secret.txt": SECRET,
            "Dockerfile": f'FROM {BASE}\nWORKDIR /app\nCOPY . .\nCMD ["python", "greet.py"]\n',
        },
        images=("kubelab/ex22:1",),
    ),
    Exercise(
        "2.3",
        check_cache,
        files={
            "greet.py": GREETER,
            "install.sh": "echo a big library > library.txt\n",
            "Dockerfile": f'FROM {BASE}\nWORKDIR /app\nCOPY . .\nRUN sh install.sh\nCMD ["python", "greet.py"]\n',
        },
        images=("kubelab/ex23:1",),
    ),
    Exercise(
        "2.4",
        check_thin,
        files={
            "make.py": MAKE,
            "Dockerfile": f'FROM {BASE}\nWORKDIR /app\nCOPY make.py .\nRUN python make.py\nCMD ["cat", "result.txt"]\n',
        },
        images=("kubelab/ex24:1",),
    ),
]  # fmt: skip
