#!/usr/bin/env bash
# All tests with longer budgets than every run has, then a long soak: more seeds, more kills and power cuts, longer pauses, more
# changed bytes, more random cases.
#
#     scripts/long-tests.sh N [what cargo test takes]
#
# N is how many times as long: about N times ten minutes, and as many of soak. What is drawn begins at a seed that is printed;
# ROPEWALK_FAULT_SEED, ROPEWALK_FUZZ_SEED or ROPEWALK_SIM_SEED repeat it. With more arguments only these tests, and no soak.
set -euo pipefail
cd "$(dirname "$0")/.."

times=${1:?how many times as long, such as 10}
shift
[[ $times =~ ^[1-9][0-9]*$ ]] || { echo "$times is not a whole number above 0" >&2; exit 2; }

seed=$(date +%s)
export ROPEWALK_FAULT_SEED=${ROPEWALK_FAULT_SEED:-$seed} ROPEWALK_FUZZ_SEED=${ROPEWALK_FUZZ_SEED:-$seed}
echo "seed $ROPEWALK_FAULT_SEED for faults, $ROPEWALK_FUZZ_SEED for changed bytes"
export ROPEWALK_SIM_SEEDS=$((1200 * times)) ROPEWALK_FUZZ_ROUNDS=$((20000 * times))
export ROPEWALK_FAULT_RUNS=$((40 * times)) ROPEWALK_FAULT_SECONDS=120 PROPTEST_CASES=$((250 * times))

if (($#)); then
    exec cargo test --locked "$@"
fi
cargo test --workspace --locked
cargo run --locked -- bench soak --minutes $((10 * times)) --seed "$ROPEWALK_FAULT_SEED"
