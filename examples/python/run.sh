#!/bin/sh
# Runs main.py against the server at FLAGWIRE_ADDRESS, or at 127.0.0.1:8013. Needs Python 3.10 or later. The first run makes a
# virtual environment in .venv and installs requirements.txt into it; each run generates the stubs from our proto.
set -eu
cd "$(dirname "$0")"
./setup.sh
PYTHONPATH=generated exec .venv/bin/python -u main.py
