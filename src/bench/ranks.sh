#!/bin/bash
# One rank with N threads beside N ranks with one thread each: the same training step by cords bench gradient, in turn.
# Prints one line per number type: the rate of the ranks over that of the threads, median and range over the rounds.
#
#   src/bench/ranks.sh [-n N] [-rounds R] [-cords PROGRAM] [options of cords bench gradient]
#
# Without -n it is the number of processors.  Times on other work's processors say nothing: let nothing else run.
set -euo pipefail

number=$(nproc --all) rounds=3 cords=$(dirname "$0")/../../build/cords
while [ $# -gt 1 ]; do
  case $1 in
    -n) number=$2 ;;
    -rounds) rounds=$2 ;;
    -cords) cords=$2 ;;
    *) break ;;
  esac
  shift 2
done
[ -x "$cords" ] || { echo "ranks.sh: $cords is not there; give the program with -cords" >&2; exit 2; }
(( number > 1 )) || { echo "ranks.sh: -n $number: there is nothing to compare; 2 or more are needed" >&2; exit 2; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# Lines "threads f32 377.4" of all rounds: way, number type, GFLOP/s.
rates=$(mktemp)
trap 'rm -f "$rates"' EXIT

measure() { # WAY COMMAND...: how the rows of gradient begin is said in src/bench/table.c
  local way=$1 printed
  shift
  printed=$("$@" "$cords" bench gradient -repetitions 1 "${options[@]}")
  awk -v way="$way" '$1 == "gradient" && match($0, /[0-9.]+ GFLOP\/s/) { print way, $2, substr($0, RSTART) }' \
    <<< "$printed" >> "$rates"
}

options=("$@")
for (( round = 0; round < rounds; round++ )); do
  measure threads env OMP_NUM_THREADS="$number" OPENBLAS_NUM_THREADS="$number"
  measure ranks env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 mpirun -n "$number"
done

sort -s -k2,2 "$rates" | awk -v number="$number" '
  $1 == "threads" { threads[$2, ++threads_count[$2]] = $3; types[$2] }
  $1 == "ranks" { ranks[$2, ++ranks_count[$2]] = $3 }
  END {
    for (type in types) {
      rounds = threads_count[type]
      for (k = 1; k <= rounds; k++) ratio[k] = ranks[type, k] / threads[type, k]
      for (i = 1; i <= rounds; i++)
        for (k = i + 1; k <= rounds; k++)
          if (ratio[k] < ratio[i]) { held = ratio[i]; ratio[i] = ratio[k]; ratio[k] = held }
      printf "%s training step: %d ranks with one thread each %.2f x the rate of one rank with %d threads (%.2f to %.2f, rounds: %d)\n",
             type, number, ratio[int((rounds + 1) / 2)], number, ratio[1], ratio[rounds], rounds
    }
  }' | sort -r
