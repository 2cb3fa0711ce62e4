#!/bin/sh
# Installs OpenFeature's providers for Python, where that is not done yet. The tests that ask them are skipped without.
set -eu
cd "$(dirname "$0")"
exec ../../../examples/python/environment.sh "$PWD"
