#!/bin/bash
# Fetches the data packages from the npm registry (about 700 MB, all MIT) and builds the training clips.
# usage: prepare.sh [WORK_DIR]   -> WORK_DIR/npm, WORK_DIR/data/{clips.npy,meta.json,contact.png}
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
for i in 1 2 3 4; do fetch "@lobehub/fluent-emoji-anim-$i@1.0.0" "anim$i"; done
fetch unicode-emoji-json@0.9.0 unicode-emoji-json
fetch emojilib@4.0.3 emojilib
"${PYTHON:-python3}" "$here/prep.py" --npm "$work/npm" --out "$work/data"
