# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Real containers with runc, from root file systems made on the spot: no registry, no daemon, no
# image. For the demo, the capture tests and the benchmarks; all the other runtimes are in
# tests/e2e/runtimes.sh.
#
#   root_new DIR                     an empty root with busybox as its shell
#   root_add DIR FILE…               copies programs to the same path, with the libraries they need
#   runc_start NAME BUNDLE COMMAND…  starts BUNDLE/rootfs, returns when it runs
#   runc_stop NAME                   kills and removes it; fine when it is gone
#
# RUNC_CAPS adds capabilities (such as CAP_SYS_ADMIN), RUNC_MOUNTS mounts (JSON objects, each with a
# comma before it), RUNC_ENV variables (JSON strings likewise), RUNC_NETWORK the path of a network
# namespace (, "path": "…").

root_new() {
    local dir=$1 busybox
    busybox=$(command -v busybox) || return 1
    mkdir -p "$dir"/{bin,dev,etc,proc,sys,tmp,usr/bin,usr/lib,var}
    chmod 1777 "$dir/tmp"
    cp "$busybox" "$dir/bin/busybox"
    ln -sf busybox "$dir/bin/sh"
    echo 'root:x:0:0:root:/:/bin/sh' >"$dir/etc/passwd"
    echo '127.0.0.1 localhost' >"$dir/etc/hosts"
}

root_add() {
    local dir=$1 file library
    shift
    for file in "$@"; do
        # Debian's node keeps a part of its own library there.
        if [ "${file##*/}" = node ] && [ -d /usr/share/nodejs ]; then
            mkdir -p "$dir/usr/share"
            cp -RL /usr/share/nodejs "$dir/usr/share/"
        fi
        mkdir -p "$dir$(dirname "$file")"
        cp -L "$file" "$dir$file"
        ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
            [ -e "$dir$library" ] && continue
            mkdir -p "$dir$(dirname "$library")"
            cp -L "$library" "$dir$library"
        done
    done
}

# The OCI configuration of a plain container with its own namespaces and cgroup.
runc_config() {
    local name=$1 args='' caps word
    shift
    for word in "$@"; do
        word=${word//\\/\\\\}
        args+=",\"${word//\"/\\\"}\""
    done
    caps='"CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_KILL","CAP_NET_BIND_SERVICE"'
    caps+=',"CAP_SETFCAP","CAP_SETGID","CAP_SETUID"'
    for word in ${RUNC_CAPS-}; do
        caps+=",\"$word\""
    done
    cat <<JSON
{"ociVersion": "1.0.2", "hostname": "$name", "root": {"path": "rootfs", "readonly": false},
 "process": {
   "terminal": false, "user": {"uid": 0, "gid": 0}, "cwd": "/", "noNewPrivileges": true,
   "args": [${args#,}],
   "env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/"${RUNC_ENV-}],
   "capabilities": {"bounding": [$caps], "effective": [$caps], "permitted": [$caps]}},
 "mounts": [
   {"destination": "/proc", "type": "proc", "source": "proc"},
   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
    "options": ["nosuid", "mode=755", "size=65536k"]}${RUNC_MOUNTS-}],
 "linux": {"cgroupsPath": "/$name", "resources": {"devices": [{"allow": true, "access": "rwm"}]},
   "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                  {"type": "network"${RUNC_NETWORK-}}]}}
JSON
}

# Standard output and error of the container go to BUNDLE/log.
runc_start() {
    local name=$1 bundle=$2
    shift 2
    mkdir -p "$bundle"
    runc_config "$name" "$@" >"$bundle/config.json"
    runc run --detach --bundle "$bundle" "$name" </dev/null >"$bundle/log" 2>&1 ||
        { cat "$bundle/log" >&2 && return 1; }
}

# The pid of the container's init, as the host numbers it.
runc_pid() {
    runc state "$1" 2>/dev/null | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'
}

runc_stop() {
    runc delete --force "$1" >/dev/null 2>&1 || true
}
