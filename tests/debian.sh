# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# The Debian package and a Debian to install it on, for the tests that do so.

BASE=$ROOT/build/vm/debian-systemd.tar # kept for the next run

# package VERSION NAME: makes $T/NAME.deb of what is built.
package() {
    local made
    made=$(env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS contrib/debian/make.sh "$B" "$1" 2>"$T/make.log" | tail -n 1)
    [ -s "$made" ] || { tail -n 1 "$T/make.log" && return 1; }
    mv "$made" "$T/$2.deb"
}

# Debian 12 with systemd and what $T/this.deb depends on, as an archive in $BASE; says why not in $WHY.
fetch_debian() {
    local needs
    [ -s "$BASE" ] && return
    needs=$(dpkg-deb -f "$T/this.deb" Depends | sed -e 's/([^)]*)//g' -e 's/ //g')
    mkdir -p "${BASE%/*}"
    rm -rf --one-file-system "$BASE.new"
    timeout 420 mmdebstrap --format=tar --variant=minbase --include="systemd,systemd-sysv,$needs" bookworm "$BASE.new" \
        </dev/null >"$T/mmdebstrap.log" 2>&1 && mv "$BASE.new" "$BASE" && return
    WHY=$(tail -n 1 "$T/mmdebstrap.log" | cut -c 1-200)
    return 1
}
