#!/usr/bin/env bash
# Gathers what on_gpu.sh needs on a machine that has a GPU, torch and no network: wheels of TorchJD
# and its solvers, the files of MNIST, and the name of this commit. At most 60 MiB, in an ignored folder.
#
#   bash benchmarks/gather_for_gpu.sh [FOLDER]
#
# PYTHON_VERSION (3.12) is that of the other machine; MTL_DATA_ROOT says where MNIST lies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${1:-.gpu}
rm -rf "$folder/wheels"  # of other versions
mkdir -p "$folder/wheels" "$folder/data/MNIST/raw"
platforms=()
for glibc in 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
# cvxpy can do without its other solvers; with all of them the folder would be too large
python -m pip download --quiet --no-deps --only-binary=:all: --implementation cp \
    --python-version "${PYTHON_VERSION:-3.12}" --platform manylinux2014_x86_64 "${platforms[@]}" \
    --dest "$folder/wheels" \
    "torchjd>=0.18" qpsolvers quadprog cvxpy clarabel qdldl cffi pycparser ecos LibMTL

raw=${MTL_DATA_ROOT:-$HOME/.cache/mtl_tutorial}/MNIST/raw
for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
    if [ ! -f "$raw/$name-ubyte.gz" ]; then
        echo "$raw/$name-ubyte.gz is missing: let MTL_DATA_ROOT name the folder that holds MNIST/raw" >&2
        exit 1
    fi
    cp "$raw/$name-ubyte.gz" "$folder/data/MNIST/raw/"
done
code=(mtl_tutorial benchmarks/tables.py)
changed=$(git status --porcelain --untracked-files=no "${code[@]}")
echo "$(git rev-parse --short=12 HEAD)${changed:++}" > "$folder/commit"
# as in on_gpu.sh, which tells by it whether the code is that of the commit
find "${code[@]}" -type f ! -name "*.pyc" -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum | sha256sum > "$folder/sha256"

size=$(du -sm "$folder" | cut -f1)
if [ "$size" -gt 60 ]; then
    echo "$folder has $size MiB, and 60 are the most that travels: take something out" >&2
    exit 1
fi
echo "$folder: $size MiB"
