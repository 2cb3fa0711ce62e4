#!/bin/sh
# Installs what main.py needs, where that is not done yet, and generates its stubs into generated/.
set -eu
cd "$(dirname "$0")"
if ! cmp -s requirements.txt .venv/installed.txt; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --requirement requirements.txt
  cp requirements.txt .venv/installed.txt
fi
mkdir -p generated
.venv/bin/python -m grpc_tools.protoc --proto_path=../../proto \
  --python_out=generated --pyi_out=generated --grpc_python_out=generated \
  ../../proto/flagwire/v1/*.proto
