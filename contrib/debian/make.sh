#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a Debian package of what is built: contrib/debian/make.sh BUILD VERSION. It lands in BUILD as
# porthole_VERSION_ARCH.deb; its name is the only output. What can be told by looking (libraries, sizes,
# sums) is told by looking, so nothing here has to follow the sources.
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
tree=$stage/tree

# A version that Debian can compare: before the release, so many commits on the way to it.
debian_version() {
    local version=$1 release=${1%%+*} commit count
    [[ $version == *+* ]] || { echo "${version//-/+}" && return; }
    commit=${version#*+}
    count=$(git rev-list --count HEAD 2>/dev/null || echo 0)
    echo "$release~git$count.${commit//-/.}"
}

# Of the last commit, or of what is packed where there is no git: the same tree makes the same package.
date_of_sources() {
    git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md
}

# Debian's form of a changelog: the release, and where the rest is.
changelog() {
    sed -n 's/^Maintainer: //p' "$here/control.in" >"$stage/maintainer"
    printf 'porthole (%s) unstable; urgency=medium\n\n  * %s\n    %s\n\n -- %s  %s\n' "$version" \
        "See /usr/share/doc/porthole/CHANGELOG.md.gz for what is new in this" "release." \
        "$(cat "$stage/maintainer")" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# What the programs are linked to, as dpkg's files of symbols have it.
shared_libraries() {
    mkdir -p "$stage/debian"
    printf 'Source: porthole\n\nPackage: porthole\nArchitecture: any\n' >"$stage/debian/control"
    (cd "$stage" && dpkg-shlibdeps -O --ignore-missing-info tree/usr/bin/* tree/usr/sbin/* \
        tree/usr/libexec/porthole/* 2>"$stage/shlibdeps.log") | sed -n 's/^shlibs:Depends=//p'
}

version=$(debian_version "$2")
arch=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date_of_sources)}
export SOURCE_DATE_EPOCH
umask 022

make -s install B="$build" DESTDIR="$tree" PREFIX=/usr UNITDIR=/lib/systemd/system \
    ZSHDIR=/usr/share/zsh/vendor-completions >"$stage/install.log"
strip --strip-unneeded -R .comment -R .note "$tree"/usr/bin/* "$tree"/usr/sbin/* "$tree"/usr/libexec/porthole/*
find "$tree/usr/share/man" -type f -exec gzip -9n {} +
doc=$tree/usr/share/doc/porthole
install -D -m 644 -t "$doc" README.md docs/*.md contrib/debian/copyright
install -D -m 644 contrib/debian/lintian-overrides "$tree/usr/share/lintian/overrides/porthole"
gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
changelog | gzip -9nc >"$doc/changelog.gz"
chmod 644 "$doc"/*.gz

mkdir "$tree/DEBIAN"
install -m 755 -t "$tree/DEBIAN" contrib/debian/{postinst,prerm,postrm}
(cd "$tree" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 644 "$tree/DEBIAN/md5sums"
sed -e "s|@version@|$version|" -e "s|@arch@|$arch|" -e "s|@shlibs@|$(shared_libraries)|" \
    -e "s|@size@|$(du -sk --exclude DEBIAN "$tree" | cut -f 1)|" contrib/debian/control.in \
    >"$tree/DEBIAN/control"

package=$build/porthole_${version}_$arch.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
