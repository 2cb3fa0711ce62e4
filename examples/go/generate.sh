#!/bin/sh
# Generates the stubs of main.go into gen/, with buf (of `npm ci`, or your own) and the plugins that go.mod pins.
set -eu
cd "$(dirname "$0")"
PATH="$(cd ../.. && pwd)/node_modules/.bin:$PATH" buf generate ../.. --template buf.gen.yaml --path ../../proto/flagwire
