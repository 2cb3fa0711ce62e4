#!/bin/sh
# Runs main.go against the server at FLAGWIRE_ADDRESS, or at 127.0.0.1:8013. Needs Go 1.26 or later, which fetches the modules of
# go.mod at the first run; each run generates the stubs from our proto.
set -eu
cd "$(dirname "$0")"
./generate.sh
# Not `go run`: that stays between the program and whoever signals it.
go build -o dist/flags .
exec dist/flags
