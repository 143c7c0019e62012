#!/usr/bin/env bash
# Create the environment of the engines that voiceman is compared with.
# usage: tools/install_peers.sh VENV PEERS REQUIREMENTS
#
# It sees the main environment beneath itself, so that all engines share one torch and numpy,
# and adds only what is not there; nothing of the main environment changes.
set -euo pipefail
venv=$1 peers=$2 requirements=$3

rm -rf "$peers"
"$venv/bin/python" -m venv --without-pip "$peers"
site() { "$1/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))"; }
# A path alone would leave out what the main environment adds itself: this project, in place.
echo "import site; site.addsitedir('$(site "$venv")')" > "$(site "$peers")/main_environment.pth"
# Whisper comes as source; setuptools to build it with is in the main environment.
"$venv/bin/uv" pip install --quiet --python "$peers/bin/python" --no-deps --require-hashes \
    --no-build-isolation -r "$requirements"
