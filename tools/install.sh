#!/usr/bin/env bash
# Create the virtual environment with the locked dependency set.
# usage: tools/install.sh PYTHON VENV UV_VERSION TORCH
#
# torch is installed apart from the rest: which build is right depends on the machine (CPU,
# CUDA version), and a lock file can hold only one. Its version still comes from the lock.
set -euo pipefail
python=$1 venv=$2 uv_version=$3 torch=$4

"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info < (3, 13):
    sys.exit(f"voiceman needs Python 3.11 or 3.12, {sys.executable} is "
             f"{sys.version.split()[0]}: call make with PYTHON=python3.11")
PY

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
[ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ] ||
    pip install "uv==$uv_version"
export VIRTUAL_ENV=$PWD/$venv
uv() { "$venv/bin/uv" "$@"; }

uv export --quiet --frozen --all-extras --no-emit-project --no-hashes -o "$venv/constraints.txt"
uv export --quiet --frozen --all-extras --no-emit-project --prune torch -o "$venv/requirements.txt"
version=$(sed -nE 's/^torch==([^ ;]+).*/\1/p' "$venv/constraints.txt" | head -n 1)

# Another TORCH than last time means another build of the same version.
last=$(cat "$venv/.torch" 2>/dev/null || echo "$torch")
[ "$last" = "$torch" ] || uv pip uninstall --quiet torch
echo "$torch" > "$venv/.torch"

# A wheel in a place that pip is configured to look at (find-links) comes before the
# registry, whose default build for x86-64 brings several GB of CUDA libraries.
case $torch in auto | cpu) pip install --no-index --no-deps "torch==$version" 2>/dev/null || true ;; esac
backend=()
[ "$torch" = auto ] || uv pip show --quiet torch 2>/dev/null || backend=(--torch-backend "$torch")
# With torch in place, this adds only its own light dependencies.
uv pip install --quiet "${backend[@]}" --constraint "$venv/constraints.txt" "torch==$version"
uv pip install --quiet --no-deps --require-hashes -r "$venv/requirements.txt"
uv pip install --quiet --no-deps --editable .
