#!/bin/sh
# Make .venv and install the package into it, for editing: with uv where it is on PATH, else with venv and pip.
# Usage: PYTHON=python3 tools/setup.sh '.[test]'
set -eu
what=$1
python=${PYTHON:-python3}

fail() {
    printf 'set-up: %s\nNext: %s\n' "$1" "$2" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ -x .venv/bin/python ] && ! new_enough .venv/bin/python; then
    echo "set-up: .venv belongs to a Python that is gone or older than 3.11; making it anew"
    rm -rf .venv
fi

if command -v uv >/dev/null 2>&1; then
    if [ ! -x .venv/bin/python ]; then
        if new_enough "$python"; then uv venv --quiet --python "$python" .venv; else uv venv --quiet --python '>=3.11' .venv; fi
    fi
    exec uv pip install --quiet --python .venv/bin/python -e "$what"
fi

new_enough "$python" || fail \
    "needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1 || echo 'not there')" \
    "install a newer Python and name it: make lab PYTHON=python3.12 (or install uv, which brings one)"
if [ ! -x .venv/bin/pip ]; then
    "$python" -m venv .venv || fail \
        "'$python -m venv' failed (see above)" \
        "on Debian and Ubuntu: sudo apt install python3-venv; or install uv; or use another Python: make lab PYTHON=…"
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e "$what" || fail \
    "pip could not install $what (see above)" \
    "check the network, then run the same command again"
