#!/bin/bash
# Trains on this machine in two single-thread processes. Default: 65 minutes from scratch.
# usage: launch.sh [OUT] [train.py options]; env as in ../video/launch.sh
here=$(cd "$(dirname "$0")" && pwd)
TRAIN=$here/train.py MINUTES=${MINUTES:-65} exec "$here/../video/launch.sh" "${1:-$here/run}" "${@:2}"
