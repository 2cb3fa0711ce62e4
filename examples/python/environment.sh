#!/bin/sh
# Makes a virtual environment in FOLDER/.venv with FOLDER/requirements.txt installed, where that is not done yet.
set -eu
cd "$1"
if ! cmp -s requirements.txt .venv/installed.txt; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --requirement requirements.txt
  cp requirements.txt .venv/installed.txt
fi
