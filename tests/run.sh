#!/usr/bin/env bash
# Everything that is checked: install what is missing, build with warnings as errors, run all tests.
# Arguments go to CTest:
#   bash tests/run.sh              all tests
#   bash tests/run.sh -L unit      the quick part
#   bash tests/run.sh -R jobs -V   tests whose name contains "jobs", with their output
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash workflows/packages.sh build demo test
cmake --preset ci -G Ninja
cmake --build --preset ci
# CTest weighs tests by their PROCESSORS, so tests of several ranks do not run beside each other.
exec ctest --preset ci --parallel "$(nproc)" "$@"
