#!/bin/sh
# Installs what main.py needs, where that is not done yet, and generates its stubs into generated/.
set -eu
cd "$(dirname "$0")"
./environment.sh .
mkdir -p generated
.venv/bin/python -m grpc_tools.protoc --proto_path=../../proto \
  --python_out=generated --pyi_out=generated --grpc_python_out=generated \
  ../../proto/flagwire/v1/*.proto
