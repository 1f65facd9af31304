# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Helm, the chart, the image, and agents as the chart runs them; sourced after tests/lib.sh, and for
# agents after tests/e2e/runtimes.sh.
#
#   kube_helm            sets HELM, building it with go where it is not installed; 1: not to be had,
#                        with the reason in KUBE_WHY
#   kube_helm_built      the same, without building
#   kube_validator       sets VALIDATOR, which holds objects against the types of Kubernetes; likewise
#   kube_chart OUT ARG…  renders the chart, for Kubernetes 1.33 unless ARG says otherwise
#   kube_pod OUT         what the chart makes of its defaults, as pod_spec.py takes it: rendered
#                        where there is a helm, else from its values
#   kube_spec ARG…       pod_spec.py
#   kube_image           makes the image's root, $IMAGE, and $T/pod
#   kube_agent NAME OPTION…      a container with an agent; options are those of pod_spec.py oci. It sees
#                                the containers of rt_cri_run; its log is $T/NAME/log
#   kube_inside NAME COMMAND…    runs a command in there, as kubectl exec does

CHART=$ROOT/contrib/helm/porthole
HELM_VERSION=v3.22.0
export HELM='' VALIDATOR='' KUBE_WHY=''
GO_TOOLS=$ROOT/build/go/bin

kube_helm_built() {
    HELM=$(command -v helm) || HELM=$GO_TOOLS/helm
    [ -x "$HELM" ] && "$HELM" version >/dev/null 2>&1
}

# go_is_at_least MINOR: of go 1.
go_is_at_least() {
    local minor
    minor=$(go version 2>/dev/null | sed -nE 's/^go version go1\.([0-9]+).*/\1/p')
    [ "${minor:-0}" -ge "$1" ] ||
        { KUBE_WHY="needs go 1.$1 or newer, there is ${minor:+1.}${minor:-none}" && return 1; }
}

# go_build SECONDS PROGRAM COMMAND…: makes $GO_TOOLS/PROGRAM by COMMAND in GO_DIR, unless it is there.
go_build() {
    local seconds=$1 program=$GO_TOOLS/$2
    shift 2
    [ ! -x "$program" ] || return 0
    go_is_at_least 25 || return 1
    mkdir -p "$GO_TOOLS"
    (cd "$GO_DIR" && GOFLAGS=-mod=mod GOTOOLCHAIN=local GOBIN=$GO_TOOLS \
        timeout -k 5 "$seconds" "$@") >"$T/go-build.log" 2>&1 ||
        { KUBE_WHY="${program##*/} could not be built: $(tail -n 1 "$T/go-build.log" | cut -c 1-200)" && return 1; }
}

kube_helm() {
    kube_helm_built ||
        GO_DIR=/ go_build 900 helm go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" || return 1
    kube_helm_built
}

# The checksums of what it needs are fetched, so they are no file of ours.
kube_validator() {
    VALIDATOR=$GO_TOOLS/kubetypes
    cp -R "$ROOT/tests/e2e/kubetypes" "$T/kubetypes"
    GO_DIR=$T/kubetypes go_build 900 kubetypes go build -o "$VALIDATOR" . || VALIDATOR=''
    [ -n "$VALIDATOR" ]
}

kube_chart() {
    local out=$1
    shift
    "$HELM" template porthole "$CHART" --namespace porthole --kube-version 1.33 "$@" >"$out"
}

# Debian's python, which has Debian's yaml.
kube_spec() {
    /usr/bin/python3 "$ROOT/tests/e2e/pod_spec.py" "$@"
}

kube_pod() {
    if kube_helm_built; then
        kube_chart "$1"
    else
        kube_spec from-values "$CHART/values.yaml" >"$1"
    fi
}

need_yaml() {
    /usr/bin/python3 -c 'import yaml' 2>/dev/null || skip_all "needs python3-yaml"
}

# ---- agents ----

IMAGE=$T/image
STATE=/run/containerd/io.containerd.runtime.v2.task

kube_image() {
    kube_pod "$T/pod" && "$ROOT/contrib/image/rootfs.sh" "$IMAGE"
}

kube_agent() {
    local name=$1
    shift
    mkdir -p "$T/$name/socket"
    kube_spec oci "$T/pod" "$IMAGE" "$name" --cgroup "/kubepods/burstable/pod$name/$name" \
        --host-path "/run/porthole=$T/$name/socket" --host-path "$STATE=$RT/containerd/state/${STATE##*/}" \
        "$@" >"$T/$name/config.json" || return 1
    RT_STARTED+=("runc /run/runc $name")
    RT_CGROUPS+=("kubepods/burstable/pod$name/$name")
    runc run --detach --bundle "$T/$name" "$name" </dev/null >"$T/$name/log" 2>&1
}

kube_inside() {
    local name=$1
    shift
    runc exec "$name" "$@"
}
