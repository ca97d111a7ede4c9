"""The runtime's parts that need no container: users, addresses, programs, levels, merged images."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab.home import Home
from kubelab.images import whiteout
from kubelab.runtime import addresses, levels, plain, rootcopy
from kubelab.runtime.addresses import Addresses
from kubelab.runtime.api import Level, Mount, RuntimeServiceError
from kubelab.runtime.containers import signal_number
from kubelab.runtime.network import AddressPool
from kubelab.runtime.process import StartError, find_program
from kubelab.runtime.users import User, lookup


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\napp:x:1001:\nextra:x:2000:other,app\n")
    return tmp_path


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", User(0, 0, (), "/root")),
        ("app", User(1000, 1001, (2000,), "/home/app")),
        ("1000", User(1000, 1001, (2000,), "/home/app")),
        ("app:extra", User(1000, 2000, (), "/home/app")),
        ("1234", User(1234, 0, (), "/")),
        ("1234:5678", User(1234, 5678, (), "/")),
    ],
)
def test_users_are_looked_up_in_the_image(image: Path, user: str, expected: User) -> None:
    assert lookup(user, image) == expected


@pytest.mark.parametrize("user", ["ghost", "app:ghosts"])
def test_an_unknown_name_is_an_error(image: Path, user: str) -> None:
    with pytest.raises(ValueError, match=r"no matching entries in (passwd|group) file"):
        lookup(user, image)


def test_a_pool_hands_out_every_address_but_the_gateways_once() -> None:
    pool = AddressPool("10.0.0.0/29")
    assert pool.gateway == "10.0.0.1"
    assert sorted(pool.take() for _ in range(5)) == [f"10.0.0.{number}" for number in range(2, 7)]
    with pytest.raises(RuntimeServiceError, match="no IP addresses available"):
        pool.take()
    pool.give_back("10.0.0.4")
    assert pool.take() == "10.0.0.4"


def test_a_pool_gives_the_last_one_back_last() -> None:
    pool = AddressPool("10.0.0.0/29")
    first = pool.take()
    pool.give_back(first)
    assert [pool.take() for _ in range(5)][-1] == first


def test_in_a_network_of_ones_own_addresses_mean_themselves() -> None:
    assert Addresses().translate("localhost", 80) == ("127.0.0.1", 80)
    assert Addresses().translate("10.0.0.1", 80) == ("10.0.0.1", 80)


def test_in_a_shared_network_the_pods_address_stands_for_localhost_and_any() -> None:
    shared = Addresses("127.1.2.3", "127.1.2.3", 20000)
    assert shared.translate("localhost", 8080) == ("127.1.2.3", 8080)
    assert shared.translate("0.0.0.0", 80) == ("127.1.2.3", 20080)
    assert shared.translate("127.9.9.9", 0) == ("127.9.9.9", 0)


def test_programs_are_found_as_go_finds_them(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    program = tmp_path / "program"
    program.touch(0o755)
    assert find_program("program", f"/nowhere:{tmp_path}") == str(program)
    assert find_program(str(program), "") == str(program)
    for name, reason in [
        ("absent", "executable file not found in $PATH"),
        ("plain", "permission denied"),
        (str(tmp_path), "is a directory"),
        (f"{tmp_path}/absent", f"stat {tmp_path}/absent: no such file or directory"),
    ]:
        with pytest.raises(StartError) as raised:
            find_program(name, str(tmp_path))
        assert str(raised.value) == f'exec: "{name}": {reason}'


@pytest.mark.parametrize(("name", "number"), [("SIGTERM", 15), ("TERM", 15), ("9", 9), ("SIGUSR1", 10)])
def test_signals_have_names_and_numbers(name: str, number: int) -> None:
    assert signal_number(name) == number


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(RuntimeServiceError, match="invalid signal: SIGFOO"):
        signal_number("SIGFOO")


def test_a_forced_level_is_taken_without_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.VARIABLE, "process")
    isolation, tried = levels.choose(Home(tmp_path))
    assert isolation.level is Level.PROCESS
    assert [each["level"] for each in tried] == ["process"]


def test_an_unknown_level_is_refused_with_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.VARIABLE, "docker")
    with pytest.raises(RuntimeServiceError, match="it has to be one of namespaces, process"):
        levels.choose(Home(tmp_path))


def fail(*_: object) -> None:
    raise PermissionError(1, "unshare(NEWUSER): Operation not permitted")


def test_where_namespaces_are_forbidden_processes_are_taken_and_the_reason_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(levels.VARIABLE, raising=False)
    monkeypatch.setattr(levels.userns, "enter", fail)
    isolation, (first, second) = levels.choose(Home(tmp_path))
    assert isolation.level is Level.PROCESS
    assert (first["works"], first["failed"]) == (False, "enter a user namespace")
    assert "Operation not permitted" in first["error"]
    assert "seccomp" in first["advice"]
    assert second["works"]


def test_forcing_a_level_that_does_not_work_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.VARIABLE, "namespaces")
    monkeypatch.setattr(levels.userns, "enter", fail)
    with pytest.raises(RuntimeServiceError, match=r"asks for namespaces.*enter a user namespace failed") as raised:
        levels.choose(Home(tmp_path))
    assert raised.value.code == "FailedPrecondition"


def layers(tmp_path: Path) -> list[Path]:
    """Two layers, topmost first: the upper one deletes a file, replaces one, and hides a folder's content."""
    upper, lower = tmp_path / "upper-layer", tmp_path / "lower-layer"
    for name in ("etc/gone", "etc/kept", "srv/old", "usr/bin/tool"):
        (lower / name).parent.mkdir(parents=True, exist_ok=True)
        (lower / name).write_text(f"lower {name}")
    (upper / "etc").mkdir(parents=True)
    (upper / "srv").mkdir()
    whiteout.hide(upper / "etc/gone")
    (upper / "etc/kept").write_text("upper")
    whiteout.make_opaque(upper / "srv")
    (upper / "srv/new").symlink_to("elsewhere")
    return [upper, lower]


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_layers_are_merged_as_overlayfs_shows_them(tmp_path: Path) -> None:
    merged = rootcopy.merge(layers(tmp_path), tmp_path / "container")
    assert files(merged) == {"etc/kept", "srv/new", "usr/bin/tool"}
    assert (merged / "etc/kept").read_text() == "upper"
    assert (merged / "srv/new").readlink() == Path("elsewhere")


def test_writing_into_the_merged_copy_leaves_the_layers_alone(tmp_path: Path) -> None:
    merged = rootcopy.merge(found := layers(tmp_path), tmp_path / "container")
    with (merged / "etc/kept").open("a") as file:
        file.write("!")
    assert (found[0] / "etc/kept").read_text() == "upper"


def test_changes_are_what_overlayfs_would_hold(tmp_path: Path) -> None:
    container = tmp_path / "container"
    merged = rootcopy.merge(layers(tmp_path), container)
    assert files(rootcopy.changes(container)) == set()
    (merged / "srv/deep").mkdir()
    (merged / "srv/deep/file").write_text("added")
    (merged / "etc/kept").write_text("changed")
    (merged / "usr/bin/tool").unlink()
    upper = rootcopy.changes(container)
    assert (upper / "srv/deep/file").read_text() == "added"
    assert (upper / "etc/kept").read_text() == "changed"
    assert whiteout.hides(upper / "usr/bin", "tool")
    assert not (upper / "srv/new").is_symlink()


def test_a_volume_stays_inside_the_image_whatever_its_links_say(tmp_path: Path) -> None:
    merged, outside, volume = tmp_path / "merged", tmp_path / "outside", tmp_path / "volume"
    for folder in (merged / "var", outside, volume):
        folder.mkdir(parents=True)
    (merged / "var/run").symlink_to(outside)
    mount = Mount("/var/run/secrets/token", str(volume), True)
    plain.link_volume(merged, tmp_path, mount, [mount])
    assert list(outside.iterdir()) == []
    assert (merged / f"{outside}/secrets/token".lstrip("/")).readlink() == volume


def test_a_volume_may_lie_in_another(tmp_path: Path) -> None:
    merged, volumes = tmp_path / "merged", [tmp_path / "one", tmp_path / "two"]
    for folder in (merged, *volumes):
        folder.mkdir()
    mounts = [Mount(path, str(volume), False) for path, volume in zip(("/data", "/data/deep"), volumes, strict=True)]
    for mount in mounts:
        plain.link_volume(merged, tmp_path, mount, mounts)
    assert (merged / "data/deep").resolve() == volumes[1]


def test_an_address_that_comes_back_has_the_same_mac_as_with_docker():
    assert addresses.mac_of("172.17.0.2") == "02:42:ac:11:00:02"
