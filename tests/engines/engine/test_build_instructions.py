"""Instructions one by one: history, configuration and stream as dockerd 20.10.24 has them for the same Dockerfile."""

from __future__ import annotations

import docker
import pytest

from engines.engine.conftest import Running
from engines.engine.levels import isolated
from engines.engine.test_build import build, saved
from harness_images import symlink

pytestmark = pytest.mark.timeout(60)
BASE = "FROM kubelab/python\n"
HASHED = [
    "/bin/sh -c #(nop) COPY file:a47f9b7bd65d23cf37c63c2ca419cec8ec82aa8919d4091181cfc32fa32a848c in /f ",
    "/bin/sh -c #(nop) COPY dir:bc56ad9b3f30b960a0f75b507dbf275867154b51222fd37a35f31c84bf76e639 in /d ",
    "/bin/sh -c #(nop) COPY multi:4464fad9d470cc07420b0b3daf5381ec6f841d086fce0016b945a3c75458db67 in /m/ ",
]


def created_by(image) -> list[str]:
    """The history above the base image."""
    return [line["CreatedBy"] for line in reversed(image.history())][1:]


def test_shell_stands_before_every_shell_form_after_it(client):
    recipe = 'SHELL ["/bin/sh", "-e", "-c"]\nRUN echo hi\nCMD foo\nENTRYPOINT bar\n'
    image, _ = build(client, BASE + recipe, tag="shell")
    assert created_by(image) == [
        "/bin/sh -e -c #(nop)  SHELL [/bin/sh -e -c]",
        "/bin/sh -e -c echo hi",
        '/bin/sh -e -c #(nop)  CMD ["/bin/sh" "-e" "-c" "foo"]',
        '/bin/sh -e -c #(nop)  ENTRYPOINT ["/bin/sh" "-e" "-c" "bar"]',
    ]
    config = image.attrs["Config"]
    assert config["Shell"] == ["/bin/sh", "-e", "-c"]
    assert config["Entrypoint"] == ["/bin/sh", "-e", "-c", "bar"]


def test_stopsignal_volume_and_maintainer(client):
    recipe = 'STOPSIGNAL term\nVOLUME /b /a\nVOLUME ["/c d"]\nMAINTAINER Me <me@x>\nENV A=1\n'
    image, _ = build(client, BASE + recipe, tag="three")
    assert created_by(image) == [
        "/bin/sh -c #(nop)  STOPSIGNAL term",
        "/bin/sh -c #(nop)  VOLUME [/b /a]",
        "/bin/sh -c #(nop)  VOLUME [/c d]",
        "/bin/sh -c #(nop)  MAINTAINER Me <me@x>",
        "/bin/sh -c #(nop)  ENV A=1",
    ]
    assert image.attrs["Config"]["Volumes"] == {"/a": {}, "/b": {}, "/c d": {}}
    assert image.attrs["Config"]["StopSignal"] == "term"
    assert image.attrs["Author"] == "Me <me@x>"
    child, _ = build(client, "FROM three\nENV B=1\n", tag="child")
    assert child.attrs["Author"] == ""


@isolated
def test_what_run_writes_to_a_volume_is_gone(client):
    recipe = "COPY f /data/given\nVOLUME /data /new\nRUN cat /data/given; echo x > /data/x; echo y > /new/y\nRUN true\n"
    _, log = build(client, BASE + recipe, {"f": "from the image\n"}, tag="volume", nocache=True)
    assert "from the image\n" in log
    _, layers = saved(client, "volume")
    assert [[entry[0] for entry in layer] for layer in layers[-2:]] == [["data", "data/given"], ["new"]]


def test_containers_of_an_image_with_healthcheck_and_volumes_get_both(running: Running, client):
    build(client, BASE + "HEALTHCHECK CMD true\nVOLUME /a /b\n", tag="both")
    created = client.api.create_container("both", ["true"])
    found = client.api.inspect_container(created["Id"])
    client.api.remove_container(created["Id"], v=True)
    assert not created["Warnings"]
    assert sorted(mount["Destination"] for mount in found["Mounts"]) == ["/a", "/b"]
    assert found["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]


def test_healthcheck_and_the_one_before(client):
    recipe = (
        "HEALTHCHECK --interval=1h1m1.5s --retries=10 CMD x\n"
        "HEALTHCHECK --timeout=90s --retries=100 cmd z\n"
        'HEALTHCHECK --interval=1500us CMD ["q", "r"]\n'
    )
    image, log = build(client, BASE + recipe, tag="health")
    assert created_by(image) == [
        '/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "x"] "1h1m1.5s" "0s" "0s" \'\\n\'}',
        '/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "z"] "0s" "1m30s" "0s" \'d\'}',
        '/bin/sh -c #(nop)  HEALTHCHECK &{["CMD" "q" "r"] "1.5ms" "0s" "0s" \'\\x00\'}',
    ]
    assert "Note: overriding previous HEALTHCHECK: [CMD-SHELL x]\n" in log
    assert image.attrs["Config"]["Healthcheck"] == {
        "Test": ["CMD", "q", "r"],
        "Interval": 1_500_000,
        "Timeout": 90_000_000_000,
        "Retries": 100,
    }


@isolated
def test_onbuild_waits_for_the_next_build(client):
    recipe = "ONBUILD RUN echo triggered\nONBUILD COPY f /f\nONBUILD   env A=b\n"
    image, _ = build(client, BASE + recipe, tag="onbuild")
    assert created_by(image)[2] == "/bin/sh -c #(nop)  ONBUILD env A=b"
    assert image.attrs["Config"]["OnBuild"] == ["RUN echo triggered", "COPY f /f", "env A=b"]
    image, log = build(client, "FROM onbuild\nENV Z=1\n", {"f": "x"}, tag="triggered", nocache=True)
    assert "Step 1/2 : FROM onbuild\n# Executing 3 build triggers\n ---> Running in " in log
    assert "triggered\n" in log
    assert created_by(image)[3] == "/bin/sh -c echo triggered"
    assert image.attrs["Config"]["OnBuild"] is None
    assert {"A=b", "Z=1"} <= set(image.attrs["Config"]["Env"])


STAGES = """\
FROM scratch AS files
COPY --chown=5:6 . /o/
FROM scratch AS one
COPY --from=files /o/app.py /p/x
COPY --from=0 /o /q
COPY --from=FILES o/app.py o/sub/a.txt /r/
COPY --from=files --chown=7:8 /o/sub /s/
COPY --from=files /o/*.py /w/
COPY --from=files /o/link.py /l
"""


@isolated
def test_copy_from_a_stage_keeps_owners_and_follows_links(client):
    files = {
        "./": b"",
        "./app.py": "hello\n",
        "./sub/": b"",
        "./sub/a.txt": ("data\n", 0o600),
        "./link.py": symlink("app.py"),
        "./.dockerignore": "Dockerfile\n.dockerignore\n",
    }
    image, _ = build(client, STAGES, files, tag="stages", nocache=True)
    _, layers = saved(client, "stages")
    assert [line["Size"] for line in reversed(image.history())] == [6, 17, 11, 5, 12, 6]
    shown = [[(name, oct(mode), uid, link) for name, mode, uid, _, _, link in layer] for layer in layers]
    assert shown[0] == [("p", "0o755", 0, ""), ("p/x", "0o644", 5, "")]
    assert shown[1] == [
        ("q", "0o755", 0, ""),
        ("q/app.py", "0o644", 5, ""),
        ("q/link.py", "0o777", 5, "app.py"),
        ("q/sub", "0o755", 5, ""),
        ("q/sub/a.txt", "0o600", 5, ""),
    ]
    assert shown[3] == [("s", "0o755", 7, ""), ("s/a.txt", "0o600", 7, "")]
    assert shown[4] == [("w", "0o755", 0, ""), ("w/app.py", "0o644", 5, ""), ("w/link.py", "0o644", 5, "")]
    assert shown[5] == [("l", "0o644", 5, "")]


@isolated
def test_copy_from_an_image_has_dockerds_hashes(client):
    build(client, "FROM scratch\nCOPY d /d\n", {"d/": b"", "d/f": "content", "d/no": symlink("nowhere")}, tag="files")
    recipe = "FROM scratch\nCOPY --from=files /d/f /f\nCOPY --from=files /d /d\nCOPY --from=files /d/f d/f /m/\n"
    image, _ = build(client, recipe, tag="copied", nocache=True)
    assert [line["CreatedBy"] for line in reversed(image.history())] == HASHED


@isolated
def test_hard_links_stay_links(client):
    recipe = BASE.replace("\n", " AS one\n") + "RUN mkdir /tmp/h && echo g > /tmp/h/a && ln /tmp/h/a /tmp/h/b\n"
    image, _ = build(client, recipe + "FROM scratch\nCOPY --from=one /tmp/h /h\n", tag="hard")
    assert image.attrs["Size"] == 2


def test_target_is_the_last_stage_built(client):
    recipe = "FROM kubelab/python AS one\nENV A=1\nFROM one AS two\nENV B=1\nFROM two\nENV C=1\n"
    image, log = build(client, recipe, tag="target", target="TWO")
    assert "Step 4/4 : ENV B=1\n" in log
    assert image.attrs["Config"]["Env"][-2:] == ["A=1", "B=1"]
    with pytest.raises(docker.errors.APIError, match="failed to reach build target 0 in Dockerfile"):
        build(client, recipe, target="0")


def test_arguments_before_from(client):
    recipe = "ARG V=python\nARG W\nFROM kubelab/${V:-x}\nARG V\nRUN echo [$V$W]\n"
    image, log = build(client, recipe, tag="argued", buildargs={"W": "w"})
    assert log.startswith("Step 1/5 : ARG V=python\nStep 2/5 : ARG W\nStep 3/5 : FROM kubelab/${V:-x}\n ---> ")
    assert "[python]\n" in log
    assert created_by(image) == ["/bin/sh -c #(nop)  ARG V", "|1 V=python /bin/sh -c echo [$V$W]"]
