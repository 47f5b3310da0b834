#!/usr/bin/env bash
# All that is to be done on a machine with a GPU, in one command, without a network:
#
#   bash benchmarks/on_gpu.sh SECONDS [FOLDER]
#
# Runs the GPU's tests, measures what a step costs, captured and launched one by one, and a sweep, then
# trains the tables of results/PROTOCOL.md until SECONDS have passed, the most important runs first.
# Leaves at most 8 files in FOLDER (gpu_results): what was printed, and results.tar.gz, to be unpacked in
# results. What is in results is not trained again. Runs that were cut off are in checkpoints.tar.gz: the same
# command with the same FOLDER goes on with them.
#
# gather_for_gpu.sh makes the folder GATHERED (.gpu) beforehand, where there is a network.
# STAGES ("tests costs tables"), TABLES and WORKERS say what to do; TINY=1 is a rehearsal on a CPU.
set -uo pipefail
seconds=${1:?how many seconds may it take?}
folder=${2:-gpu_results}
start=$(date +%s)
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

gathered=${GATHERED:-.gpu} device=cuda profile=full workers=${WORKERS:-$(nproc)}
stages=${STAGES:-tests costs tables} tables=${TABLES:-full_100_epochs two_digits_8_epochs}
files=(captured balancing training execute runs scenes digits sweep)
tests="gpu or cuda or captured or launched or generators" costs="--rounds 5" sweep="--rounds 3"
if [ -n "${TINY:-}" ]; then
    device=cpu profile=quick workers=2 tables=rehearsal files=(captured) tests=means
    costs="--rounds 1 --steps 1 --tasks 2 --threads 1" sweep="--rounds 1 --steps 1 --weights 2 --seeds 1 --encoders dense-32"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PYTHONPATH="$PWD:$scratch/site" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 MTL_DATA_ROOT="$scratch/data"
mkdir "$scratch/data"
if [ -d "$gathered" ]; then
    cp -r "$gathered/data/." "$scratch/data"
    export MTL_COMMIT="$(cat "$gathered/commit")"
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$scratch/site" \
        "$gathered"/wheels/*.whl
fi

left() { echo $((seconds - 10 - $(date +%s) + start)); }  # ten are for packing
within() {  # SHARE of what is left in percent, COMMAND...
    local share=$1; shift
    timeout --signal=TERM --kill-after=5 "$(($(left) * share / 100))" "$@"
    local code=$?
    [ $code -eq 124 ] && echo "[stopped: its time was over]"
    return $code
}
says() { echo; echo "== $* ($(left) s left)"; }

for stage in $stages; do
    says "$stage"
    case $stage in
    tests)
        paths=("${files[@]/#/tests/test_}")
        paths=("${paths[@]/%/.py}")
        within 30 python3 -m pytest -o addopts="" -p no:cacheprovider -q --tb=short -n "$workers" \
            "${paths[@]}" -k "$tests" > "$folder/tests.txt" 2>&1
        tail -n 15 "$folder/tests.txt"
        ;;
    costs)
        : > "$folder/costs.md"
        for command in "captured.py" "waits.py" "step_cost.py --devices $device $costs" \
            "sweep.py --devices $device $sweep"; do
            within 20 python3 benchmarks/$command >> "$folder/costs.md" 2>> "$folder/log.txt"
            echo >> "$folder/costs.md"
        done
        cat "$folder/costs.md"
        ;;
    tables)
        if [ "$device" = cuda ] && command -v nvidia-cuda-mps-control > /dev/null; then
            # the kernels of several processes at the same time, in place of one after the other
            export CUDA_MPS_PIPE_DIRECTORY="$scratch/mps" CUDA_MPS_LOG_DIRECTORY="$scratch/mps"
            mkdir "$scratch/mps" && nvidia-cuda-mps-control -d
        fi
        mkdir -p "$scratch/results"
        for table in $tables; do
            [ -d "results/$table" ] && cp -r "results/$table" "$scratch/results"
        done
        for archive in "$folder/results.tar.gz" "$folder/checkpoints.tar.gz"; do
            [ -f "$archive" ] && tar -xzf "$archive" -C "$scratch/results"
        done
        within 100 python3 benchmarks/tables.py $tables --device "$device" --profile "$profile" \
            --workers "$workers" --root "$scratch/results" --seconds "$(left)" >> "$folder/log.txt" 2>&1
        tail -n 5 "$folder/log.txt"
        tar -czf "$folder/results.tar.gz" -C "$scratch/results" --exclude=checkpoints --exclude=.lock .
        (cd "$scratch/results" && find . -name "*.pt" -print0) |
            tar -czf "$folder/checkpoints.tar.gz" -C "$scratch/results" --null --files-from=-
        ;;
    esac
done
[ -n "${CUDA_MPS_PIPE_DIRECTORY:-}" ] && echo quit | nvidia-cuda-mps-control > /dev/null
says "done"
ls -l "$folder"
