#!/usr/bin/env bash
# All that is to be done on a machine with a GPU, in one command, without a network:
#
#   bash benchmarks/on_gpu.sh SECONDS [FOLDER]
#
# Runs the GPU's tests, measures what a step costs, captured and launched one by one, and a sweep, then
# trains the tables of results/PROTOCOL.md until SECONDS have passed, the most important runs first.
# Leaves at most 8 files in FOLDER (gpu_results): what was printed, and results.tar.gz, to be unpacked in
# results. What is in results is not trained again. Runs that were cut off are in checkpoints.tar.gz: the same
# command with the same FOLDER goes on with them. Both are written every 30 s, so that little is lost where
# this is killed. Ends with the worst exit code of what it ran; to be out of time is no failure.
#
# gather_for_gpu.sh makes the folder GATHERED (.gpu) beforehand, where there is a network.
# STAGES ("tests costs tables"), TABLES and WORKERS say what to do; TINY=1 is a rehearsal on a CPU.
set -uo pipefail
fail() { echo "on_gpu.sh: $2" >&2; exit "$1"; }
[[ ${1:-} =~ ^[0-9]{1,9}$ ]] || fail 2 "SECONDS must be a whole number, such as 600, and is '${1:-}'"
seconds=$((10#$1))
folder=${2:-gpu_results}
start=$(date +%s)
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

gathered=${GATHERED:-.gpu} device=cuda profile=full workers=${WORKERS:-$(nproc)} every=30
stages=${STAGES:-tests costs tables} tables=${TABLES:-full_100_epochs two_digits_8_epochs}
files=(captured balancing training execute runs scenes digits sweep)
tests="gpu or cuda or captured or launched or generators" costs="--rounds 5" sweep="--rounds 3"
if [ -n "${TINY:-}" ]; then
    device=cpu profile=quick workers=2 tables=rehearsal files=(captured) tests=means every=1
    costs="--rounds 1 --steps 1 --tasks 2 --threads 1" sweep="--rounds 1 --steps 1 --weights 2 --seeds 1 --encoders dense-32"
fi
archives=("$folder/results.tar.gz" "$folder/checkpoints.tar.gz")
for archive in "${archives[@]}"; do
    [ ! -e "$archive" ] || tar -tzf "$archive" > /dev/null 2>&1 ||
        fail 1 "$archive is damaged: repair it, move it away, or name another FOLDER"
done

left() { echo $((seconds - 10 - $(date +%s) + start)); }  # ten are for packing
says() { echo; echo "== $* ($(left) s left)"; }
worst=0 child="" packer="" mps=""
failed() { [ "$1" -le "$worst" ] || worst=$1; }
within() {  # SHARE of what is left in percent, COMMAND...
    local limit=$(($(left) * $1 / 100)) before=$SECONDS code; shift
    if [ "$limit" -lt 1 ]; then
        echo "[left out: no time]"
        return
    fi
    timeout --signal=TERM --kill-after=5 "$limit" "$@" &
    child=$!
    wait "$child"
    code=$? child=""
    if [ $code -eq 124 ] || { [ $code -eq 137 ] && [ $((SECONDS - before)) -ge "$limit" ]; }; then
        echo "[stopped: its time was over]"
    elif [ $code -ne 0 ]; then
        echo "[failed with exit code $code: $*]"
        failed $code
    fi
}

replaced() {  # ARCHIVE by ARCHIVE.part, where that is whole
    # a file that was removed while it was packed does no harm, a full disk would
    tar -tzf "$1.part" > /dev/null 2>&1 && mv "$1.part" "$1" || { rm -f "$1.part"; return 1; }
}
pack() {
    tar -czf "${archives[0]}.part" -C "$scratch/results" --exclude=checkpoints --exclude=.lock . 2> /dev/null
    replaced "${archives[0]}"
    local code=$?
    (cd "$scratch/results" && find . -name "*.pt" -print0) |
        tar -czf "${archives[1]}.part" -C "$scratch/results" --null --files-from=- 2> /dev/null
    replaced "${archives[1]}" && return $code
}
pack_now_and_then() {
    local waited=0
    while sleep 1 && [ ! -e "$scratch/packed" ] && kill -0 $$; do
        ((++waited % every)) || pack
    done
}
pack_at_last() {
    [ -n "$packer" ] || return 0
    touch "$scratch/packed"
    wait "$packer"
    packer=""
    pack && return
    echo "on_gpu.sh: $folder can't be written, so what was trained last is lost: make room" >&2
    failed 1
}
leave() {
    trap "" TERM INT HUP
    [ -z "$child" ] || { kill "$child"; wait "$child"; } 2> /dev/null
    pack_at_last
    [ -z "$mps" ] || echo quit | timeout 10 nvidia-cuda-mps-control > /dev/null
    rm -rf "$scratch"
}
scratch=$(mktemp -d) || exit 1
trap leave EXIT
trap "exit 143" TERM
trap "exit 130" INT
trap "exit 129" HUP

export PYTHONPATH="$PWD:$scratch/site" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
if [ -d "$gathered" ]; then
    export MTL_DATA_ROOT="$scratch/data"
    mkdir "$scratch/data"
    cp -r "$gathered/data/." "$scratch/data" && MTL_COMMIT=$(cat "$gathered/commit") ||
        fail 1 "$gathered is not whole: make it anew by gather_for_gpu.sh"
    # as in gather_for_gpu.sh
    sum=$(find mtl_tutorial benchmarks/tables.py -type f ! -name "*.pyc" -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum)
    [ "$sum" = "$(cat "$gathered/sha256")" ] || MTL_COMMIT="${MTL_COMMIT%+}+"
    export MTL_COMMIT
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$scratch/site" \
        "$gathered"/wheels/*.whl || fail 1 "pip can't install the wheels of $gathered"
fi
missing=$(python3 - torch pandas scipy joblib filelock tqdm sklearn pytest xdist <<'END'
import importlib
import sys

for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        print(name)
END
) || fail 1 "python3 can't be run"
if lacks=$(grep -vE "^(pytest|xdist)?$" <<< "$missing"); then
    fail 1 "python3 can't import ${lacks//$'\n'/, }"
elif [ -n "$missing" ] && [[ " $stages " = *" tests "* ]]; then
    echo "[tests are left out: python3 can't import ${missing//$'\n'/, }]"
    stages=" $stages " stages=${stages// tests / }
fi

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
            mkdir "$scratch/mps" && nvidia-cuda-mps-control -d && mps=started
        fi
        mkdir -p "$scratch/results"
        for table in $tables; do
            [ ! -d "results/$table" ] || cp -r "results/$table" "$scratch/results" || exit 1
        done
        for archive in "${archives[@]}"; do  # what is in results is newer
            [ ! -e "$archive" ] || tar -xzf "$archive" -C "$scratch/results" --skip-old-files || exit 1
        done
        pack_now_and_then > /dev/null 2>&1 &
        packer=$!
        within 100 python3 benchmarks/tables.py $tables --device "$device" --profile "$profile" \
            --workers "$workers" --root "$scratch/results" --seconds "$(left)" >> "$folder/log.txt" 2>&1
        tail -n 5 "$folder/log.txt"
        pack_at_last
        ;;
    *)
        echo "[there is no stage $stage]"
        failed 2
        ;;
    esac
done
says "done"
ls -l "$folder"
exit $worst
