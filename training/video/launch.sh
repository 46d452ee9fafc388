#!/bin/bash
# Trains on this machine in two single-thread processes (gloo all-reduce). Default: 135 minutes from scratch.
# usage: launch.sh [OUT] [train.py options]   e.g. launch.sh run2 --resume run/state.pt --peak 0.7 --minutes 60
# env:   PYTHON, MINUTES, PROCS (processes, default 2), NICE (default 10), PORT (default: a free one). Needs bash 4.3 or newer.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
out=${1:-$here/run}
shift || true
[ $# -gt 0 ] || set -- --minutes "${MINUTES:-135}"
mkdir -p "$out"
export WORLD_SIZE=${PROCS:-2} OMP_NUM_THREADS=1 MASTER_ADDR=127.0.0.1
export MASTER_PORT=${PORT:-$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
export GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME:-$([ "$(uname)" = Darwin ] && echo lo0 || echo lo)}
pids=()
for ((rank = 0; rank < WORLD_SIZE; rank++)); do
  RANK=$rank nice -n "${NICE:-10}" "$python" "${TRAIN:-$here/train.py}" --out "$out" "$@" >"$out/log$rank.txt" 2>&1 &
  pids+=($!)
done
echo "training, pids ${pids[*]}; follow with: tail -f $out/log0.txt"
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT # one process fails or the script is stopped: all stop
for ((rank = 0; rank < WORLD_SIZE; rank++)); do wait -n; done
