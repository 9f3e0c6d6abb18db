#!/bin/sh
# Installs what the tests of the page need and this machine lacks: a headless Chromium from the system's packages, and the checker of
# accessibility from npm, below target/. Says what it could not.
#
# Exit code: 0 all is there; 1 there is no browser, or no node; 2 the checker is missing, and the rest is there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
into=$(cd "$here/../../.." && pwd)/target/page
if ! command -v node >/dev/null 2>&1; then
    echo "node is missing: install Node.js 20 or later" >&2
    exit 1
fi
found=
for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && found=$name && break
done
if [ -z "$found" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update && apt-get install -y --no-install-recommends chromium || exit 1
    else
        echo "no Chromium, and this script installs one only as root with apt-get: install it, or set CHROMIUM to its path" >&2
        exit 1
    fi
fi
if [ -f "$into/node_modules/axe-core/axe.min.js" ] && cmp -s "$here/package-lock.json" "$into/package-lock.json"; then
    exit 0
fi
mkdir -p "$into" && cp "$here/package.json" "$here/package-lock.json" "$into" &&
    npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund && exit 0
echo "the checker of accessibility could not be fetched from npm" >&2
exit 2
