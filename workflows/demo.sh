#!/usr/bin/env bash
# The main job on real data, from nothing to the report: install, build, train, analyse.
#
#   bash workflows/demo.sh           the demo, results in results/demo
#   bash workflows/demo.sh -quick    a smaller network, a short training and few images, results in results/demo_quick
#
# Run again after an interruption it continues; run again after the end it only repeats the summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "$#${1-}" in
  0) name=demo ;;
  1-quick) name=demo_quick ;;
  *)
    echo "demo.sh: unknown arguments: $*; there is only -quick" >&2
    exit 2
    ;;
esac
folder=results/$name

bash workflows/packages.sh build demo
generator=()
[ -f build/CMakeCache.txt ] || generator=(-G Ninja)
cmake --preset release "${generator[@]}" >/dev/null
cmake --build --preset release

# Two ranks (launcher in the configuration) share the cores: 2 ranks of 1 thread train this network in 0.8 of the time of 1 rank
# with 2 threads.  Threads and ranks that wait give way, because on a shared machine spinning costs far more than it saves.
# As root Open MPI wants to be asked twice.
threads=$(($(nproc) > 1 ? $(nproc) / 2 : 1))
export OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

. workflows/alone.sh
alone_in "$folder"

# A lock of Snakemake's own that is found now was left by a killed run.
PATH=/usr/bin:$PATH # Debian's snakemake and python3
run=(snakemake --snakefile workflows/Snakefile --directory "$folder" --configfile "workflows/config/$name.yaml"
  --profile workflows/profiles/local)
"${run[@]}" --unlock >/dev/null 2>&1 || true
SECONDS=0
if ! "${run[@]}"; then
  echo "demo.sh: stopped after $SECONDS s; the same command continues" >&2
  exit 1
fi

echo
echo "== $name: done after $SECONDS s =="
[ "$name" = demo ] || echo "(the quick variant: it shows that every step works; its numbers are not those of the demo)"
/usr/bin/python3 workflows/summary.py "$folder"
