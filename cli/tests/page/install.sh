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
# One that starts: some systems have a stand-in under that name, which only says how to install it.
browser() {
    for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
        "$name" --version >/dev/null 2>&1 && return 0
    done
    return 1
}
if [ "$(node -p 'process.versions.node.split(".")[0] >= 20')" != true ]; then
    echo "node is too old: install Node.js 20 or later" >&2
    exit 1
fi
if ! browser; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        # What may wait for a network is done under a limit of time, and what must not be interrupted is not.
        timeout 60 apt-get update &&
            timeout 200 apt-get install -y --no-install-recommends --download-only chromium &&
            apt-get install -y --no-install-recommends chromium || exit 1
        browser || { echo "the browser that was installed does not start" >&2; exit 1; }
    else
        echo "no Chromium, and this script installs one only as root with apt-get: install it, or set CHROMIUM to its path" >&2
        exit 1
    fi
fi
if [ -f "$into/node_modules/axe-core/axe.min.js" ] && cmp -s "$here/package-lock.json" "$into/package-lock.json"; then
    exit 0
fi
mkdir -p "$into" && cp "$here/package.json" "$here/package-lock.json" "$into" &&
    timeout 60 npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund && exit 0
echo "the checker of accessibility could not be fetched from npm" >&2
exit 2
