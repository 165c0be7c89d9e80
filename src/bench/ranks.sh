#!/bin/bash
# The same training step by cords bench gradient in five ways, in turn: one rank with one thread, N of these side by side
# that know nothing of each other, one rank with N threads, N ranks with one thread each that split the batch, and N that
# split the rows and columns of each image.
# Prints one line per number type and way of N: its rate over N times that of one rank with one thread (1: twice as fast
# with two), median and range over the rounds, and of the highest rates in all rounds.  What N apart reach is what the
# machine allows; N times the slowest of them is what it allows to ranks that wait for each other, where its cores are
# not equally fast.
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

options=("$@")
rate_of() { # how the rows of gradient begin is said in src/bench/table.c
  awk '$1 == "gradient" && match($0, /[0-9.]+ GFLOP\/s/) { print $2, substr($0, RSTART) + 0 }'
}
measure() { # WAY THREADS COMMAND...
  local way=$1 threads=$2
  shift 2
  env OMP_NUM_THREADS="$threads" OPENBLAS_NUM_THREADS="$threads" "$@" -repetitions 1 "${options[@]}" | rate_of |
    sed "s/^/$way /" >> "$rates"
}
measure_apart() {
  local parts k runs=()
  parts=$(mktemp)
  for (( k = 0; k < number; k++ )); do
    env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$cords" bench gradient -repetitions 1 "${options[@]}" | rate_of >> "$parts" &
    runs+=($!)
  done
  for k in "${runs[@]}"; do wait "$k"; done # each by itself: one that fails ends the script
  awk '{ sum[$1] += $2; if (!($1 in least) || $2 < least[$1]) least[$1] = $2; count[$1]++ }
       END { for (type in sum) print "apart", type, sum[type] "\nslowest", type, count[type] * least[type] }' \
    "$parts" >> "$rates"
  rm -f "$parts"
}

for (( round = 0; round < rounds; round++ )); do
  measure one 1 "$cords" bench gradient
  measure_apart
  measure threads "$number" "$cords" bench gradient
  measure batch 1 mpirun -n "$number" "$cords" bench gradient
  measure domain 1 mpirun -n "$number" "$cords" bench gradient -domain_ranks "$number"
done

awk -v number="$number" '
  { rate[$1, $2, ++count[$1, $2]] = $3; types[$2]; if ($3 > best[$1, $2]) best[$1, $2] = $3 }
  END {
    words["apart"] = number " ranks that know nothing of each other"
    words["slowest"] = number " ranks apart, as fast as the slowest"
    words["threads"] = "one rank with " number " threads"
    words["batch"] = number " ranks that split the batch"
    words["domain"] = number " ranks that split each image"
    for (type in types)
      for (way in words) {
        rounds = count[way, type]
        for (k = 1; k <= rounds; k++) ratio[k] = rate[way, type, k] / (number * rate["one", type, k])
        for (i = 1; i <= rounds; i++)
          for (k = i + 1; k <= rounds; k++)
            if (ratio[k] < ratio[i]) { held = ratio[i]; ratio[i] = ratio[k]; ratio[k] = held }
        printf "%-4s %-39s %.2f of %d times one rank with one thread (%.2f to %.2f, rounds: %d; highest rates: %.2f)\n",
               type, words[way], ratio[int((rounds + 1) / 2)], number, ratio[1], ratio[rounds], rounds,
               best[way, type] / (number * best["one", type])
      }
  }' "$rates" | sort -r
