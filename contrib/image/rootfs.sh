#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the image's root file system: what "make install" installs, porthole-attend for the kubectl
# plugin, the libraries that they need from this system's packages, and nothing else: no shell, no package manager.
#
#   contrib/image/rootfs.sh DIR      DIR must not exist; B is the build folder
#
# The Dockerfile runs this in Debian. By itself, with tar, it gives an image without a registry:
#
#   contrib/image/rootfs.sh root && tar -C root -c . |
#       docker import -c 'ENTRYPOINT ["/usr/sbin/portholed"]' - porthole
set -eu

root=${1-}
if [ $# -ne 1 ] || [ -e "$root" ]; then
    echo "usage: contrib/image/rootfs.sh DIR     where DIR does not exist yet" >&2
    exit 2
fi
mkdir -p "$root"
root=$(cd "$root" && pwd)
cd "$(dirname "$0")/../.."

# Everything but what serves people and service managers, of which there are none in there.
make -s install DESTDIR="$root" PREFIX=/usr ${B:+B="$B"} >/dev/null
rm -rf "${root:?}/usr/share" "${root:?}/usr/lib"

# What the kubectl plugin runs the command line by.
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -fPIE -pie -Wl,-z,relro,-z,now \
    -o "$root/usr/libexec/porthole/porthole-attend" contrib/image/attend.c

# What a program is linked with: "name => /path (address)", and the linker itself.
libraries() {
    ldd "$1" | sed -nE 's/^.*[[:space:]](\/[^ ]+) \(0x[0-9a-f]+\)$/\1/p'
}

for program in "$root"/usr/bin/* "$root"/usr/sbin/* "$root"/usr/libexec/porthole/*; do
    strip --strip-unneeded "$program"
    libraries "$program"
done | sort -u | while read -r library; do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
done

# The agent becomes users that need no name; programs that ask for one find root. The directories
# are where the chart mounts things.
mkdir -p "$root/etc/porthole" "$root/run/porthole" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" \
    "$root/usr/share/doc/porthole"
chmod 1777 "$root/tmp"
echo 'root:x:0:0:root:/:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
cp -R LICENSE LICENSES "$root/usr/share/doc/porthole/"

# For debuginfod servers, where the configuration names any.
certificates=/etc/ssl/certs/ca-certificates.crt
[ ! -e $certificates ] || install -D -m 644 $certificates "$root$certificates"
