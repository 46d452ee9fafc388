#!/bin/bash
# Ten training steps on ten drawn clips, a resume, sampling and an export: under a minute, no downloads.
# Needs torch, numpy, safetensors and pillow. Compares with diffusers too where that is installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
py=${PYTHON:-python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$py" "$here/prep.py" --synthetic 10 --out "$tmp/data"
"$here/launch.sh" "$tmp/run" --data "$tmp/data" --steps 10 --batch 2 --warm 2 --no-compile || { cat "$tmp"/run/log*.txt; exit 1; }
tail -n 1 "$tmp/run/log0.txt"
"$py" "$here/train.py" --out "$tmp/run2" --data "$tmp/data" --resume "$tmp/run/state.pt" --steps 2 --batch 2 --no-compile | tail -n 1
"$py" "$here/sample.py" "$tmp/run2/final" "$tmp/sheet" --data "$tmp/data" --prompts "red circle,blue square" --steps 3
"$py" "$here/export.py" "$tmp/run2/final" "$tmp/model" --data "$tmp/data" --fixture-prompt "red circle" --steps 3
if "$py" -c "from diffusers import WanTransformer3DModel" 2>/dev/null; then "$py" "$here/train.py" --check --data "$tmp/data" --steps 1; fi
echo "smoke test passed"
