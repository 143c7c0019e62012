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

# The registry's metadata for torch points to a CUDA build of several GB.
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
[ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ] ||
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
export VIRTUAL_ENV=$PWD/$venv
uv() { "$venv/bin/uv" "$@"; }

uv export --quiet --frozen --all-extras --no-emit-project --no-hashes -o "$venv/constraints.txt"
uv export --quiet --frozen --all-extras --no-emit-project --prune torch -o "$venv/requirements.txt"
version=$(sed -nE 's/^torch==([^ ;]+).*/\1/p' "$venv/constraints.txt" | head -n 1)

# A wheel in a place that pip is configured to look at (find-links) comes first.
if [ "$torch" = auto ] || [ "$torch" = cpu ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-index --no-deps "torch==$version" 2>/dev/null || true
fi
backend=()
[ "$torch" = auto ] || backend=(--torch-backend "$torch")
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    uv pip install --quiet "${backend[@]}" --constraint "$venv/constraints.txt" "torch==$version"
else
    # Only torch's own light dependencies are still missing.
    uv pip install --quiet --constraint "$venv/constraints.txt" "torch==$version"
fi
uv pip install --quiet --no-deps --require-hashes -r "$venv/requirements.txt"
uv pip install --quiet --no-deps --editable .
