"""repo2docker, which Binder runs, accepts the repository. It needs no Docker for that."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_repo2docker_accepts_the_repository(tmp_path):
    """With binder/ there, repo2docker reads nothing outside it, so a copy of binder/ is the whole of what it sees."""
    (tmp_path / "binder").mkdir()
    for path in (ROOT / "binder").iterdir():
        copy = tmp_path / "binder" / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(path.stat().st_mode)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "binder/environment.yml" in said
    assert "apt-get install --yes --no-install-recommends proot" in said
    assert "RUN ./binder/postBuild" in said
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in said


def test_the_scripts_can_be_executed():
    for name in ("postBuild", "start"):
        assert (ROOT / "binder" / name).stat().st_mode & 0o111


def test_it_opens_at_the_first_page():
    page = "notebooks/00_start_here.ipynb"
    assert f'"/lab/tree/{page}"' in (ROOT / "binder" / "postBuild").read_text()
    assert (ROOT / page).exists()
