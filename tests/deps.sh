#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that building (build), testing (test) or the demo (demo) needs.
# Does nothing, quickly, when they are there. Services of the packages are not started.
set -eu

# An entry is a package, or command=package where anything that provides the command will do.
BUILD="gcc=gcc libc6-dev make=make clang=clang bpftool=bpftool libbpf-dev libelf-dev libdw-dev
    libseccomp-dev libcap-dev libjson-c-dev zlib1g-dev libzstd-dev liblzma-dev libcurl4-openssl-dev libiberty-dev"
DEMO="runc=runc busybox-static node=nodejs python3=python3"
TEST="g++=g++ git=git libcmocka-dev clang-format=clang-format cppcheck=cppcheck
    shellcheck=shellcheck crun=crun dockerd=docker.io podman=podman containerd=containerd
    redis-server redis-tools nodejs rustc=rustc javac=openjdk-17-jdk-headless go=golang-go
    perf=linux-perf bpftrace=bpftrace libbpf-tools fuse3 libfuse3-dev mandoc=mandoc
    socat=socat jq=jq libcap2-bin procps iproute2 chromium chromium-driver python3-selenium
    musl-gcc=musl-tools gdb=gdb qemu-system-x86_64=qemu-system-x86 cpio=cpio
    xz=xz-utils dwz=dwz debuginfod=debuginfod openssl=openssl python3-yaml
    kubectl=kubernetes-client lintian=lintian mmdebstrap=mmdebstrap dpkg-shlibdeps=dpkg-dev
    systemd-analyze=systemd zsh=zsh fish=fish nginx=nginx-light wrk=wrk postgresql"

PATH=$PATH:/usr/sbin:/sbin
GUARD=/usr/sbin/policy-rc.d
LOG=${TMPDIR:-/tmp}/porthole-deps.$$.log

missing() {
    local entry package
    for entry in "$@"; do
        package=${entry#*=}
        if [ "$entry" != "$package" ] && command -v "${entry%%=*}" >/dev/null; then
            continue
        fi
        # shellcheck disable=SC2016 # dpkg-query expands this
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            echo "$package"
        fi
    done
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get update -qq -o DPkg::Lock::Timeout=300 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Debian starts a package's service when it is installed, unless this file forbids it.
forbid_services() {
    [ -e "$GUARD" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$GUARD"
    chmod 755 "$GUARD"
    trap 'rm -f "$GUARD" "$LOG"' EXIT
}

case ${1-} in
build) want=$BUILD ;;
demo) want="$BUILD $DEMO" ;;
test) want="$BUILD $DEMO $TEST" ;;
*)
    echo "usage: tests/deps.sh build|demo|test" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2086 # a list of words
mapfile -t packages < <(missing $want)
[ ${#packages[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
    echo "missing packages: ${packages[*]}; install them, or run this as root" >&2
    exit 1
fi
command -v apt-get >/dev/null || {
    echo "missing: ${packages[*]} (names of Debian 12); this system has no apt-get" >&2
    exit 1
}

echo "installing ${#packages[@]} packages: ${packages[*]}"
trap 'rm -f "$LOG"' EXIT
forbid_services
if ! apt_install "${packages[@]}" >"$LOG" 2>&1; then
    echo "apt-get failed, trying once more" >&2
    apt_install "${packages[@]}" >"$LOG" 2>&1 || {
        tail -n 20 "$LOG" >&2
        exit 1
    }
fi
