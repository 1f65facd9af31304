# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Real containers of every runtime, from root file systems made on the spot, without a registry.
# Source it after tests/lib.sh and tests/runc.sh; everything lives below $T/rt and ends with the
# test. Functions return 1 when the runtime is missing or refuses; its log is $T/rt/*/log.
#
#   rt_rootfs                              prints the directory of a shared busybox root
#   rt_docker_start                        dockerd on its own roots; then rt_docker ARG… is docker
#   rt_docker_run NAME ROOTFS COMMAND…     imports ROOTFS once, runs detached, network none
#   rt_docker_kill                         SIGKILL to dockerd and its containerd: containers live on
#   rt_podman ARG…  rt_podman_run NAME ROOTFS COMMAND…
#   rt_runc_run NAME ROOTFS COMMAND…       default root; RT_RUNC_ROOT for another
#   rt_crun_run NAME ROOTFS COMMAND…       the same with crun; RT_CRUN_ROOT for another
#   rt_containerd_start                    containerd on its own roots; then rt_ctr ARG… is ctr
#   rt_ctr_run NAME ROOTFS COMMAND…        plain, namespace default
#   rt_cri_run NAMESPACE POD CONTAINER ROOTFS COMMAND…   as the CRI plugin writes it, id in RT_ID;
#                                          CONTAINER "POD" makes the pod's sandbox
#   rt_stop_all                            runs at the end of the test by itself
#
# RT_PID is the init's pid, as the host numbers it, after every *_run but docker's and podman's,
# which have rt_docker_pid NAME and rt_podman_pid NAME.

RT=$T/rt
RT_DOCKERD='' RT_CONTAINERD=''
export RT_PID='' RT_ID=''
RT_RUNC_ROOT=${RT_RUNC_ROOT:-/run/runc}
RT_CRUN_ROOT=${RT_CRUN_ROOT:-/run/crun}
RT_STARTED=() # "runc ROOT NAME" and "crun ROOT NAME", for the end
RT_CGROUPS=() # that a killed daemon cannot remove
mkdir -p "$RT"
on_exit rt_stop_all

rt_rootfs() {
    local applet
    [ -d "$RT/rootfs" ] || root_new "$RT/rootfs"
    for applet in sleep ls cat kill; do
        ln -sf busybox "$RT/rootfs/bin/$applet"
    done
    echo "$RT/rootfs"
}

# Processes that were started with something of ours in their command line.
rt_processes() {
    local dir
    for dir in /proc/[0-9]*; do
        if { tr '\0' ' ' <"$dir/cmdline"; } 2>/dev/null | grep -qF -- "$RT/"; then
            [ "${dir#/proc/}" = "$$" ] || echo "${dir#/proc/}"
        fi
    done
}

# ---- docker ----

rt_docker() {
    local client=docker
    [ -x /usr/bin/docker ] && client=/usr/bin/docker
    "$client" --host "unix://$RT/docker/sock" "$@"
}

rt_docker_start() {
    command -v dockerd >/dev/null || return 1
    mkdir -p "$RT/docker"
    dockerd --iptables=false --bridge=none --data-root "$RT/docker/data" \
        --exec-root "$RT/docker/exec" --pidfile "$RT/docker/pid" \
        --host "unix://$RT/docker/sock" >>"$RT/docker/log" 2>&1 &
    RT_DOCKERD=$!
    wait_for 60 rt_docker info
}

rt_docker_run() {
    local name=$1 rootfs=$2 image
    shift 2
    image=porthole-test:$(basename "$rootfs")
    if ! rt_docker image inspect "$image" >/dev/null 2>&1; then
        tar -C "$rootfs" -c . | rt_docker import - "$image" >/dev/null || return 1
    fi
    rt_docker run --detach --name "$name" --network none "$image" "$@" >"$RT/docker/id" &&
        RT_CGROUPS+=("docker/$(cat "$RT/docker/id")")
}

rt_docker_pid() {
    rt_docker inspect --format '{{.State.Pid}}' "$1"
}

rt_docker_kill() {
    local child children
    children=$(cat /proc/"$RT_DOCKERD"/task/*/children)
    kill -KILL "$RT_DOCKERD"
    wait "$RT_DOCKERD" 2>/dev/null
    for child in $children; do
        kill -KILL "$child" 2>/dev/null
        wait_for 10 gone "$child"
    done
    RT_DOCKERD=
}

rt_docker_stop() {
    local ids
    [ -n "$RT_DOCKERD" ] || return 0
    ids=$(rt_docker ps --all --quiet 2>/dev/null)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || rt_docker rm --force $ids >/dev/null 2>&1
    stop_process "$RT_DOCKERD"
    RT_DOCKERD=
}

# ---- podman ----

rt_podman() {
    podman --root "$RT/podman/graph" --runroot "$RT/podman/run" --tmpdir "$RT/podman/tmp" \
        --cgroup-manager cgroupfs --events-backend file --runtime "${RT_PODMAN_RUNTIME:-runc}" "$@"
}

rt_podman_run() {
    local name=$1 rootfs=$2 image
    shift 2
    command -v podman >/dev/null || return 1
    mkdir -p "$RT/podman"
    image=localhost/porthole-test:$(basename "$rootfs")
    if ! rt_podman image exists "$image" 2>/dev/null; then
        tar -C "$rootfs" -c . | rt_podman import - "$image" >>"$RT/podman/log" 2>&1 || return 1
    fi
    # Its own defaults would raise limits, which not every host allows even to root.
    rt_podman run --detach --name "$name" --network none --ulimit nofile=1024:1024 \
        --ulimit nproc=1024:1024 "$image" "$@" >>"$RT/podman/log" 2>&1
}

rt_podman_pid() {
    rt_podman inspect --format '{{.State.Pid}}' "$1"
}

rt_podman_stop() {
    [ -d "$RT/podman" ] || return 0
    rt_podman rm --all --force --time 0 >>"$RT/podman/log" 2>&1
    # Its storage stays mounted on itself otherwise.
    umount "$RT/podman/graph/overlay" 2>/dev/null
    RT_CGROUPS+=("libpod_parent/conmon")
}

# ---- runc and crun ----

# rt_bundle DIR ROOTFS CGROUP ANNOTATIONS COMMAND…: writes DIR/config.json; annotations are JSON.
rt_bundle() {
    local dir=$1 rootfs=$2 cgroup=$3 annotations=$4
    shift 4
    mkdir -p "$dir"
    runc_config "$(basename "$dir" | cut -c 1-60)" "$@" |
        sed -e "s|\"path\": \"rootfs\"|\"path\": \"$rootfs\"|" \
            -e "s|\"cgroupsPath\": \"[^\"]*\"|\"cgroupsPath\": \"$cgroup\"|" \
            -e "1s|^{|{\"annotations\": {$annotations}, |" >"$dir/config.json"
}

rt_runc_run() {
    local name=$1 rootfs=$2 bundle=$RT/runc/$1
    shift 2
    command -v runc >/dev/null || return 1
    rt_bundle "$bundle" "$rootfs" "/$name" '' "$@"
    runc --root "$RT_RUNC_ROOT" run --detach --pid-file "$bundle/pid" --bundle "$bundle" "$name" \
        </dev/null >"$bundle/log" 2>&1 || return 1
    RT_STARTED+=("runc $RT_RUNC_ROOT $name")
    RT_PID=$(cat "$bundle/pid")
}

# crun 1.8 refuses hybrid hierarchies: it sees this host without the unified one.
rt_crun() {
    # shellcheck disable=SC2016
    unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun \
        --root "$RT_CRUN_ROOT" "$@"
}

rt_crun_run() {
    local name=$1 rootfs=$2 bundle=$RT/crun/$1
    shift 2
    command -v crun >/dev/null || return 1
    rt_bundle "$bundle" "$rootfs" "/$name" '' "$@"
    rt_crun run --detach --pid-file "$bundle/pid" --bundle "$bundle" "$name" \
        </dev/null >"$bundle/log" 2>&1 || return 1
    RT_STARTED+=("crun $RT_CRUN_ROOT $name")
    RT_PID=$(cat "$bundle/pid")
}

rt_oci_stop() {
    local runtime root name entry
    for entry in ${RT_STARTED[@]+"${RT_STARTED[@]}"}; do
        read -r runtime root name <<<"$entry"
        "$runtime" --root "$root" delete --force "$name" >/dev/null 2>&1
    done
    RT_STARTED=()
}

# ---- containerd ----

rt_ctr() {
    ctr --address "$RT/containerd/sock" "$@"
}

rt_containerd_start() {
    command -v containerd >/dev/null && command -v ctr >/dev/null || return 1
    mkdir -p "$RT/containerd"
    cat >"$RT/containerd/config.toml" <<TOML
version = 2
root = "$RT/containerd/root"
state = "$RT/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$RT/containerd/sock"
[ttrpc]
  address = "$RT/containerd/sock.ttrpc"
TOML
    containerd --config "$RT/containerd/config.toml" >>"$RT/containerd/log" 2>&1 &
    RT_CONTAINERD=$!
    wait_for 30 rt_ctr version
}

# rt_ctr_start NAMESPACE ID: runs the bundle that stands ready.
rt_ctr_start() {
    local pidfile=$RT/containerd/$2.pid
    rt_ctr --namespace "$1" run --detach --null-io --runc-root "$RT/containerd/runc" \
        --pid-file "$pidfile" --config "$RT/containerd/$2/config.json" "$2" \
        >>"$RT/containerd/log" 2>&1 || return 1
    RT_PID=$(cat "$pidfile")
    RT_ID=$2
}

rt_ctr_run() {
    local name=$1 rootfs=$2
    shift 2
    rt_bundle "$RT/containerd/$name" "$rootfs" "/default/$name" '' "$@"
    RT_CGROUPS+=("default/$name")
    rt_ctr_start default "$name"
}

rt_cri_run() {
    local namespace=$1 pod=$2 container=$3 rootfs=$4 id sandbox uid annotations p=io.kubernetes.cri
    shift 4
    sandbox=$(echo "$namespace/$pod" | sha256sum | cut -c 1-64)
    uid=$(echo "$sandbox" | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/')
    annotations="\"$p.sandbox-id\": \"$sandbox\", \"$p.sandbox-name\": \"$pod\""
    annotations+=", \"$p.sandbox-namespace\": \"$namespace\", \"$p.sandbox-uid\": \"$uid\""
    if [ "$container" = POD ]; then
        id=$sandbox
        annotations+=", \"$p.container-type\": \"sandbox\""
    else
        id=$(echo "$namespace/$pod/$container" | sha256sum | cut -c 1-64)
        annotations+=", \"$p.container-type\": \"container\", \"$p.container-name\": \"$container\""
        annotations+=", \"$p.image-name\": \"registry.example/$container:1\""
    fi
    RT_CGROUPS+=("kubepods/besteffort/pod$uid/$id")
    rt_bundle "$RT/containerd/$id" "$rootfs" "/kubepods/besteffort/pod$uid/$id" "$annotations" "$@"
    rt_ctr_start k8s.io "$id"
}

rt_ctr_stop() {
    local namespace=$1 name=$2
    rt_ctr --namespace "$namespace" task kill --signal KILL "$name" >/dev/null 2>&1
    wait_for 10 rt_ctr --namespace "$namespace" task delete "$name"
    rt_ctr --namespace "$namespace" container delete "$name" >/dev/null 2>&1
}

rt_containerd_kill() {
    kill -KILL "$RT_CONTAINERD"
    wait "$RT_CONTAINERD" 2>/dev/null
    RT_CONTAINERD=
}

rt_containerd_stop() {
    local namespace name
    [ -n "$RT_CONTAINERD" ] || return 0
    for namespace in default k8s.io; do
        for name in $(rt_ctr --namespace "$namespace" task list --quiet 2>/dev/null); do
            rt_ctr_stop "$namespace" "$name"
        done
    done
    stop_process "$RT_CONTAINERD"
    RT_CONTAINERD=
}

# ---- the end ----

# Containers whose daemon was killed: their shims and monitors, and the shims' children.
rt_kill_leftovers() {
    local pid member members
    for pid in $(rt_processes); do
        members=$(family "$pid")
        for member in $members; do
            kill -KILL "$member" 2>/dev/null
        done
    done
}

rt_remove_cgroups() {
    local cgroup hierarchy
    for cgroup in ${RT_CGROUPS[@]+"${RT_CGROUPS[@]}"}; do
        while [ "$cgroup" != . ]; do
            for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
                rmdir "$hierarchy/$cgroup" 2>/dev/null
            done
            cgroup=$(dirname "$cgroup")
        done
    done
    return 0
}

rt_unmounted() {
    local mount
    awk -v d="$RT/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r mount; do
            umount "$mount" || umount --lazy "$mount"
        done
    ! grep -qF " $RT/" /proc/self/mountinfo
}

rt_stop_all() {
    rt_docker_stop
    rt_podman_stop
    rt_oci_stop
    rt_containerd_stop
    rt_kill_leftovers
    wait_for 10 rt_unmounted
    rt_remove_cgroups
}
