#!/bin/bash
# Fetches the data packages from the npm registry (MIT) and builds the training pictures.
# usage: prepare.sh [WORK_DIR]   -> WORK_DIR/npm, WORK_DIR/data/{images.npy,meta.json,contact.png}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$here}
mkdir -p "$work/npm" "$work/data"
cd "$work/npm"
fetch() { # fetch SPEC FOLDER
  [ -d "$2/package" ] && return
  local tarball
  tarball=$(npm pack --silent "$1")
  mkdir -p "$2.part" && tar xzf "$tarball" -C "$2.part" && mv "$2.part" "$2" && rm "$tarball"
}
fetch @lobehub/fluent-emoji-3d@1.1.0 emoji3d
fetch unicode-emoji-json@0.9.0 unicode-emoji-json
fetch emojilib@4.0.3 emojilib
"${PYTHON:-python3}" "$here/prep.py" --npm "$work/npm" --out "$work/data"
