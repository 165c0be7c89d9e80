#!/usr/bin/env bash
# ImageNet's files in small: 50 classes x 200 JPEG images of odd sizes, written as tar of tars; R2 at 224 x 224 trained on
# them in all five stages, from the tar files, and from packed files through 50 SIGKILLs; the two ends compared bit by bit.
#
#   bash workflows/imagenet_like.sh          results in results/imagenet_like (0.5 GB)
#
# Run again after an interruption it continues; run again after the end it only repeats the summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -gt 0 ]; then
  echo "imagenet_like.sh: takes no arguments ($*)" >&2
  exit 2
fi
folder=results/imagenet_like

bash workflows/packages.sh build demo
generator=()
[ -f build/CMakeCache.txt ] || generator=(-G Ninja)
cmake --preset release "${generator[@]}" >/dev/null
cmake --build --preset release --target cords

# One rank without mpirun, and without the daemon that Open MPI would start for it; then ranks of other commands must not
# share its folder.  As root Open MPI wants to be asked twice.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}" OPENBLAS_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_ess_singleton_isolated=1
OMPI_MCA_orte_tmpdir_base=$(mktemp -d)
export OMPI_MCA_orte_tmpdir_base
trap 'rm -rf "$OMPI_MCA_orte_tmpdir_base"' EXIT

[ -f $folder/data/ILSVRC2012_img_train.tar ] || /usr/bin/python3 workflows/imagenet_like.py $folder/data
/usr/bin/python3 workflows/endurance.py --config workflows/config/train_imagenet_like.yaml --data $folder/data \
  --output $folder --kills 50
