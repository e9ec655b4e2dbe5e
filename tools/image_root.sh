#!/usr/bin/env bash
# Makes the files of the image that Dockerfile describes without Docker, encodes a photo inside, and says how large they are:
#
#     sudo tools/image_root.sh dist/semcomp_edge-*.whl ROOT
#
# It needs mmdebstrap and the rights of root. ROOT/ holds the system with python3, the client and nothing else. Where ROOT
# exists already, its system is taken as it is, and only the client is installed again.
set -euo pipefail
[ $# = 2 ] || { echo "usage: tools/image_root.sh WHEEL ROOT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel=$(realpath "$1") root=$2

# debian:bookworm-slim is minbase without documentation; usr-is-merged stands in for usrmerge there too, which needs perl.
if [ ! -d "$root" ]; then
  mmdebstrap --variant=minbase --include=python3,usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$root"
fi

# The environment is made outside, by a pip that installs for the Python of the root, and loses what the Dockerfile removes.
rm -rf "$root/opt/semcomp" "$root/data"
mkdir -p "$root/data" "$root/opt"
chroot "$root" python3 -m venv --without-pip /opt/semcomp
packages=$root/opt/semcomp/lib/python3.11/site-packages
python3 -m pip --disable-pip-version-check install --quiet --no-cache-dir --no-compile --only-binary :all: --python-version 3.11 \
  -c "$here/constraints.txt" --target "$packages" "$wheel"
find "$root/opt/semcomp" -type d -name tests -prune -exec rm -r {} +
(cd "$packages/onnxruntime" && rm -r transformers quantization tools)
chroot "$root" python3 -m compileall -q /opt/semcomp/lib || true # some modules of numpy are written for other versions

cp "$here/examples/photo.png" "$root/data"
chroot "$root" /opt/semcomp/bin/python -m semcomp encode /data/photo.png -o /data/photo.semc
chroot "$root" /opt/semcomp/bin/python -m semcomp decode /data/photo.semc -o /data/decoded.png
rm -r "$root/data"
for folder in "$root" "$root/opt/semcomp"; do du --summarize --apparent-size --block-size=1MB "$folder"; done
