#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# The Debian package: it pleases lintian, installs, starts under a real systemd, is upgraded, and leaves
# nothing when it is purged. Debian with systemd as process 1 runs in a runc container of its own, which
# sees no other processes; captures of named containers under the unit's rules are in tests/vm/package.sh.
. "$(dirname "$0")/../lib.sh"
need_root
need_commands make dpkg-deb dpkg-shlibdeps strip systemd-analyze
cd "$ROOT" || exit 1

VERSION=$("$B/porthole" --version | cut -d ' ' -f 2)

# shellcheck source=tests/debian.sh
. "$ROOT/tests/debian.sh"
check "make deb works" package "$VERSION" this
[ -s "$T/this.deb" ] || exit 1
check "so it does for another version" package 99.0 next
check "the package's version is one that a release comes after" \
    dpkg --compare-versions "$(dpkg-deb -f "$T/this.deb" Version)" lt-nl 99.0

if command -v lintian >/dev/null; then
    lintian --pedantic --display-info "$T/this.deb" >"$T/lintian" 2>/dev/null
    check "lintian finds nothing" diff /dev/null "$T/lintian"
else
    skip "lintian finds nothing" "needs 'lintian'"
fi

# ---- what is in it ----
dpkg-deb -c "$T/this.deb" | awk '{ print $6 }' >"$T/files"
missing() {
    local file
    for file in "$@"; do
        grep -qx "\./$file" "$T/files" || { echo "no $file" && return 1; }
    done
}
check "it has programs, units and what they need in their places" missing usr/bin/porthole \
    usr/sbin/portholed usr/libexec/porthole/porthole-{opener,parser,attacher,fetch} \
    lib/systemd/system/porthole.{socket,service} usr/lib/{sysusers,tmpfiles}.d/porthole.conf \
    usr/share/bash-completion/completions/porthole usr/share/zsh/vendor-completions/_porthole \
    usr/share/fish/vendor_completions.d/porthole.fish usr/share/doc/porthole/copyright
pages_are_in() {
    local command
    "$B/porthole" --commands | awk -F '\t' '$1 == "command" { print $2 }' | while read -r command; do
        missing "usr/share/man/man1/porthole-$command.1.gz" || return 1
    done
}
check "it has a page for every command" pages_are_in
check "and those of the rest" missing usr/share/man/man1/porthole.1.gz usr/share/man/man8/portholed.8.gz \
    usr/share/man/man7/porthole-protocol.7.gz usr/share/man/man5/porthole.conf.5.gz
mkdir "$T/control"
dpkg-deb -e "$T/this.deb" "$T/control"
dpkg-deb -x "$T/this.deb" "$T/tree"
check "its sums are right" sh -c "cd '$T/tree' && md5sum --quiet -c '$T/control/md5sums'"
licences() {
    local word
    grep -rhoE 'SPDX-License-Identifier: [^*]*' bpf/*.c bpf/*.h | grep -v 'GPL-2.0-only OR Apache-2.0' && return 1
    grep -rLE 'SPDX-License-Identifier: Apache-2.0( \*/)?$' {base,nsresolve,agent,cli}/*.[ch] | grep . && return 1
    for word in 'Files: bpf/\*' 'License: Apache-2.0 or GPL-2.0' 'common-licenses/Apache-2.0'; do
        grep -q "$word" contrib/debian/copyright || { echo "no '$word'" && return 1; }
    done
}
check "its copyright file says what the sources say" licences

# ---- the units ----
mkdir "$T/units"
cp "$T/tree/lib/systemd/system/"porthole.* "$T/units/"
sed -i "s|/usr/sbin/portholed|$T/tree/usr/sbin/portholed|" "$T/units/porthole.service"
systemd-analyze verify --man=no "$T/units/porthole.socket" "$T/units/porthole.service" >"$T/verify" 2>&1
check "systemd finds nothing wrong with the units" diff /dev/null "$T/verify"
score=$(systemd-analyze security --offline=true --no-pager "$T/units/porthole.service" |
    sed -n 's/.*exposure level.*: \([0-9.]*\).*/\1/p')
quoted=$(sed -n 's/.*exposure level for porthole\.service: \([0-9.]*\).*/\1/p' docs/privileges.md)
check "docs/privileges.md has the exposure that systemd-analyze finds" [ "${score:-none}" = "$quoted" ]

# ---- Debian with systemd in a container ----
need_bpf
need_commands runc mmdebstrap jq
NAME=pht$$-d
D=$T/debian
fetch_debian || skip_all "no Debian to install it on: $WHY"

# Its own namespaces and cgroups; all capabilities that the service may have, and systemd needs.
debian_config() {
    jq -n --arg name "$NAME" '
        ["AUDIT_WRITE", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
         "FSETID", "IPC_LOCK", "KILL", "MKNOD", "NET_ADMIN", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
         "SETUID", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYSLOG"] as $short
        | ($short | map("CAP_" + .)) as $caps
        | def tmpfs(at; more): {destination: at, type: "tmpfs", source: "tmpfs", options: more};
        {ociVersion: "1.0.2", hostname: $name, root: {path: "rootfs"},
         process: {user: {uid: 0, gid: 0}, cwd: "/", args: ["/sbin/init", "--show-status=no"],
            env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=runc"],
            capabilities: {bounding: $caps, effective: $caps, permitted: $caps}},
         mounts: [{destination: "/proc", type: "proc", source: "proc"}, tmpfs("/dev"; ["mode=755"]),
            {destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]},
            {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"]},
            tmpfs("/run"; ["mode=755"]), tmpfs("/tmp"; [])],
         linux: {cgroupsPath: ("/" + $name), resources: {devices: [{allow: true, access: "rwm"}]},
            namespaces: (["pid", "mount", "ipc", "uts", "network", "cgroup"] | map({type: .}))}}'
}

inside() {
    runc exec "$NAME" "$@" </dev/null
}
state() {
    inside systemctl show -P ActiveState "$1"
}
# is STATE UNIT
is() {
    [ "$(state "$2")" = "$1" ] || { state "$2" && return 1; }
}
booted() {
    case $(inside systemctl is-system-running 2>/dev/null) in
    running | degraded) ;;
    *) return 1 ;;
    esac
}
agent_pid() {
    inside systemctl show -P MainPID porthole.service
}
left_over() {
    inside find / -xdev -name '*porthol*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/packages/*'
    inside systemctl list-units --all --no-legend '*porthole*'
    inside systemctl --failed --no-legend
}

mkdir -p "$D/rootfs"
on_exit "rm -rf --one-file-system '$D'"
tar -x -f "$BASE" -C "$D/rootfs"
mkdir "$D/rootfs/packages"
cp "$T"/{this,next}.deb "$D/rootfs/packages/"
check "it installs in a chroot, where no systemd runs" chroot "$D/rootfs" dpkg -i /packages/this.deb
check "and makes the group" grep -q '^porthole:' "$D/rootfs/etc/group"
check "and is purged there" chroot "$D/rootfs" dpkg -P porthole

debian_config >"$D/config.json"
on_exit "runc_stop $NAME"
runc run --detach --bundle "$D" "$NAME" </dev/null >"$T/runc.log" 2>&1
wait_for 120 booted || skip_all "systemd does not start in a container here: $(inside systemctl is-system-running 2>&1 | tail -n 1)"

check "it installs under systemd" inside dpkg -i /packages/this.deb
check "its socket listens at once" is active porthole.socket
check "and at the next boot" inside systemctl is-enabled porthole.socket
check "the agent does not run before it is asked" is inactive porthole.service
check "the socket is the group's" \
    [ "$(inside stat -c '%U:%G %a' /run/porthole/porthole.sock)" = "root:porthole 660" ]
check "the first question starts the agent" inside porthole status
check "which has told systemd that it is ready" is active porthole.service
check "its log is in the journal" \
    sh -c "runc exec $NAME journalctl -u porthole.service -o cat | grep -q serving"
# A container of runc's: its state, as runc leaves it, and a process. Nobody else may read that.
inside sh -c "mkdir -p -m 700 /run/runc/shop; sleep 1000 >/dev/null 2>&1 & pid=\$!
    echo '{\"id\": \"shop\", \"init_process_pid\": '\$pid', \"init_process_start\": '\$(cut -d ' ' -f 22 /proc/\$pid/stat)',
        \"created\": \"2026-11-20T00:00:00Z\", \"config\": {\"labels\": [\"bundle=/shop\"]}}' >/run/runc/shop/state.json"
check "it reads what runtimes leave" \
    eval "inside porthole list --json | jq -e '.name == \"shop\" and .runtime == \"runc\"'"

# As the unit confines it: the programs load, samples come, the kernel's functions have names. Frames of
# other processes have none in here, since the container has its own process ids. One of them works in
# the kernel, for on a machine with nothing to do there may be no sample in a second.
inside sh -c "timeout 60 dd if=/dev/zero of=/dev/null bs=1M status=none & porthole cpu all -d 1 -f json; kill \$!" \
    >"$T/all.json" 2>"$T/err"
check "it takes samples under the unit's rules" jq -es 'map(select(.type == "quality"))[0].taken > 0' "$T/all.json"
check "with the names of kernel functions" grep -q '"kind":"kernel","named":true' "$T/all.json"
inside porthole states all -d 1 --json >"$T/states.json" 2>"$T/err"
check "and sees how threads wait" grep -q '"record":"states"' "$T/states.json"

# may WORDS…: exit status of a question by somebody.
may() {
    inside setpriv --reuid=1234 --regid=1234 "$@" porthole status >"$T/out" 2>"$T/err"
}
check "a member of the group may ask" may --groups="$(inside getent group porthole | cut -d : -f 3)"
exits_with 5 "nobody else may" may --clear-groups

before=$(agent_pid)
inside systemctl kill -s KILL porthole.service
check "an agent that was killed comes back" wait_for 30 inside porthole status
check "as another process" [ "$(agent_pid)" != "$before" ]
before=$(agent_pid)
check "it is upgraded" inside dpkg -i /packages/next.deb
check "to the newer version" [ "$(inside dpkg-query -W -f '${Version}' porthole)" = 99.0 ]
check "the socket listens again" is active porthole.socket
check "and a question starts the agent anew" inside porthole status
check "which is another process" [ "$(agent_pid)" != "$before" ]
check "an upgrade of a stopped service leaves it stopped" \
    eval 'inside systemctl stop porthole.service && inside dpkg -i /packages/next.deb && is inactive porthole.service'

inside mkdir -p /etc/porthole
inside sh -c 'echo "max-captures = 2" >/etc/porthole/portholed.conf'
check "its configuration is read" eval "inside porthole status --json | jq -e '.limits.max_captures == 2'"
check "it is removed" inside dpkg -r porthole
check "the socket is gone" inside test ! -e /run/porthole/porthole.sock
check "the configuration stays" inside test -s /etc/porthole/portholed.conf
check "it is purged" inside dpkg -P porthole
left_over >"$T/left"
check "and nothing is left of it" diff /dev/null "$T/left"
check "it may be installed again" inside dpkg -i /packages/next.deb
check "and serves" inside porthole status
