#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# The chart: helm's own linter, what it renders from several files of values, values that are refused,
# each rendered object held against the types of Kubernetes. The time is for building helm once.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/e2e/kube_tools.sh"
need_commands jq
need_yaml

kube_helm || skip_all "no helm: $KUBE_WHY"

check "helm lint --strict finds nothing" "$HELM" lint --strict "$CHART"

# ---- files of values ----

cat >"$T/plain.yaml" <<'E2'
{}
E2
cat >"$T/all.yaml" <<'E2'
image: {repository: registry.example/porthole, tag: "1.2", pullPolicy: Always}
imagePullSecrets: [{name: key}]
runtimes: [containerd, crio, docker]
socketDirectory: /run/elsewhere
config: {java: true, max-captures: 4, docker-root: [/a, /b]}
debuginfod: [https://one.example, https://two.example]
capabilities: [SETUID, SETGID, SETPCAP, KILL, BPF, PERFMON]
seccompProfile: {type: Localhost, localhostProfile: porthole.json}
appArmorProfile: {type: Localhost, localhostProfile: porthole}
tolerations: [{key: dedicated, operator: Equal, value: db, effect: NoSchedule}]
nodeSelector: {pool: db}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a, b]}]}]
priorityClassName: important
updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}
probes: {periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 7, startupSeconds: 21}
resources: {requests: {cpu: 5m}, limits: {memory: 1Gi, cpu: "2"}}
terminationGracePeriodSeconds: 3
serviceAccountName: nobody
podLabels: {team: sre}
podAnnotations: {example.org/x: "1"}
extraEnv: [{name: TZ, value: UTC}]
E2
cat >"$T/privileged.yaml" <<'E2'
privileged: true
appArmorProfile: {type: Unset}
updateStrategy: {type: OnDelete}
priorityClassName: ""
tolerations: []
E2

# render NAME ARG…: $T/NAME.out is what NAME.yaml makes, $T/NAME.json its documents, one a line.
render() {
    local name=$1
    shift
    kube_chart "$T/$name.out" --values "$T/$name.yaml" "$@" && kube_spec json "$T/$name.out" >"$T/$name.json"
}
for name in plain all privileged; do
    check "helm renders the chart with $name values" render $name
done

# has NAME JQ-CONDITION: it holds for the pod ($pod) and container ($c) that NAME.yaml makes.
has() {
    jq -es "map(select(.kind == \"DaemonSet\"))[0] as \$set | \$set.spec.template.spec as \$pod
        | \$pod.containers[0] as \$c | \$c.securityContext as \$rights
        | $2" "$T/$1.json" >/dev/null
}
check "by itself it makes no object but the DaemonSet and a test pod" \
    jq -es 'map(.kind) == ["DaemonSet", "Pod"]' "$T/plain.json"
check "the agents see the host's processes, and not the API" has plain \
    '$pod.hostPID and $pod.automountServiceAccountToken == false and ($pod.hostNetwork | not)'
check "they have a list of capabilities and no more" has plain \
    '$rights.privileged == false and $rights.allowPrivilegeEscalation == false
        and $rights.capabilities.drop == ["ALL"] and ($rights.capabilities.add | length == 11)'
check "their root is read-only" has plain '$rights.readOnlyRootFilesystem'
check "all that they see of the host is read-only, but for the socket's directory" has plain \
    '[$c.volumeMounts[] | select(.readOnly != true).mountPath] == ["/run/porthole"]'
check "cgroups, tracepoints, BTF and containerd's state are mounted" has plain \
    '[$c.volumeMounts[].mountPath] == ["/run/porthole", "/sys/fs/cgroup", "/sys/kernel/tracing",
        "/sys/kernel/btf", "/run/containerd/io.containerd.runtime.v2.task"]'
check "no socket of a runtime is within what is mounted" has plain \
    'all($c.volumeMounts[].mountPath; . as $p | all("/run/containerd/containerd.sock",
        "/var/run/docker.sock"; startswith($p + "/") | not))'
check "all probes ask the agent over its socket" has plain \
    '[$c.startupProbe, $c.livenessProbe, $c.readinessProbe]
        | all(.exec.command == ["/usr/bin/porthole", "status"])'
check "seccomp and AppArmor are what the values say" has plain \
    '$rights.seccompProfile.type == "Unconfined" and $rights.appArmorProfile.type == "Unconfined"'
render plain --kube-version 1.29
check "an older Kubernetes is told of AppArmor by an annotation" has plain \
    '$rights.appArmorProfile == null and $set.spec.template.metadata.annotations
        ["container.apparmor.security.beta.kubernetes.io/porthole"] == "unconfined"'

check "the privileged switch takes the list's place" has privileged \
    '$rights.privileged and $rights.capabilities == null and $rights.appArmorProfile == null
        and $pod.priorityClassName == null and $pod.tolerations == null
        and $set.spec.updateStrategy == {type: "OnDelete"}'

check "image, placement, priority, update and resources are what the values say" has all \
    '$c.image == "registry.example/porthole:1.2" and $c.imagePullPolicy == "Always"
        and $pod.imagePullSecrets == [{name: "key"}] and $pod.nodeSelector.pool == "db"
        and $pod.tolerations[0].value == "db" and $pod.affinity.nodeAffinity != null
        and $pod.priorityClassName == "important" and $pod.serviceAccountName == "nobody"
        and $set.spec.updateStrategy.rollingUpdate == {maxUnavailable: 1, maxSurge: 0}
        and $c.resources.limits == {memory: "1Gi", cpu: "2"} and $pod.terminationGracePeriodSeconds == 3'
check "so are labels, annotations and the environment" has all \
    '$set.spec.template.metadata.labels.team == "sre"
        and $set.spec.template.metadata.annotations["example.org/x"] == "1"
        and ([$c.env[] | {(.name): .value}] | add) == {TZ: "UTC",
            PORTHOLE_SOCKET: "/run/elsewhere/porthole.sock",
            DEBUGINFOD_URLS: "https://one.example https://two.example"}'
check "and profiles, probes and capabilities" has all \
    '$rights.seccompProfile == {type: "Localhost", localhostProfile: "porthole.json"}
        and $rights.appArmorProfile == {type: "Localhost", localhostProfile: "porthole"}
        and $c.startupProbe.failureThreshold == 11 and $c.livenessProbe.failureThreshold == 7
        and $rights.capabilities.add[-1] == "PERFMON"'

config_is_read() {
    jq -js 'map(select(.kind == "ConfigMap"))[0].data["portholed.conf"]' "$T/all.json" >"$T/all.conf"
    printf '%s\n' 'docker-root = /a' 'docker-root = /b' 'java = yes' 'max-captures = 4' |
        diff - "$T/all.conf"
}
check "the configuration is lines of portholed.conf" config_is_read
changes_pods() {
    local before after
    before=$(jq -cs 'map(select(.kind == "DaemonSet"))[0].spec.template' "$T/all.json")
    render all --set config.max-captures=5 || return 1
    after=$(jq -cs 'map(select(.kind == "DaemonSet"))[0].spec.template' "$T/all.json")
    [ "$before" != "$after" ]
}
check "another configuration makes new pods" changes_pods

check "the test pod asks the agent of its node, without rights" jq -es \
    'map(select(.kind == "Pod"))[0] | .metadata.annotations["helm.sh/hook"] == "test"
        and .spec.automountServiceAccountToken == false
        and all(.spec.containers[]; .securityContext.capabilities == {drop: ["ALL"]})
        and [.spec.containers[].command[1]] == ["status", "list"]' "$T/plain.json"

render plain
kube_spec parts "$T/plain.out" >"$T/rendered"
kube_spec from-values "$CHART/values.yaml" >"$T/from-values"
check "tests without helm see the same pod" diff "$T/rendered" "$T/from-values"

# ---- what is refused ----

# refuses WHAT ARG…: helm does not render it, and names it.
refuses() {
    local what=$1
    shift
    ! "$HELM" template porthole "$CHART" --kube-version 1.33 "$@" >/dev/null 2>"$T/err" ||
        { echo "it is rendered" && return 1; }
    grep -q -- "$what" "$T/err"
}
check "an unknown value is refused" refuses tolerances --set tolerances=1
check "a switch that is no boolean is refused" refuses privileged --set-string privileged=yes
check "a list of capabilities without which the agent cannot start is refused" \
    refuses capabilities --set-json 'capabilities=["BPF","PERFMON"]'
check "capabilities have no prefix, and ALL is none" \
    refuses capabilities --set-json 'capabilities=["SETUID","SETGID","SETPCAP","KILL","CAP_BPF"]'
check "a relative path is refused" refuses socketDirectory --set socketDirectory=run/porthole
check "a runtime without paths is refused by name" refuses rkt --set-json 'runtimes=["rkt"]'
check "a profile that there is not is refused" refuses seccompProfile --set seccompProfile.type=None
check "a local profile without its name is refused" refuses localhostProfile \
    --set seccompProfile.type=Localhost
check "the socket cannot be moved in the configuration" refuses max-captures-per-user --set config.socket=/x
config_keys() {
    "$B/portholed" --help | sed -nE 's/^  ([a-z-]+) = .*/\1/p' | grep -vx socket | sort >"$T/keys"
    jq -r '.properties.config.propertyNames.enum[]' "$CHART/values.schema.json" | sort |
        comm -23 "$T/keys" - >"$T/missing"
    [ -s "$T/keys" ] || { echo "portholed names no key" && return 1; }
    [ ! -s "$T/missing" ] || { cat "$T/missing" && return 1; }
}
check "otherwise it may have each key that portholed knows" config_keys
check "a probe's time that is no time is refused" refuses probes --set probes.timeoutSeconds=0
check "an address that is none is refused" refuses debuginfod --set-json 'debuginfod=["ftp://x"]'

# Keys that only the file of values or only the schema has; "global" is every chart's.
keys_differ() {
    /usr/bin/python3 -c 'import json, sys, yaml
schema = json.load(open(sys.argv[1]))["properties"]
values = yaml.safe_load(open(sys.argv[2]))
print(*sorted(set(schema) - {"global"} ^ set(values)))' "$CHART/values.schema.json" "$CHART/values.yaml" |
        grep .
}
check "the schema has the values that there are, and no others" eval '! keys_differ'

# ---- the types of Kubernetes ----

if kube_validator; then
    for name in plain all privileged; do
        check "every object of the $name values fits the types of Kubernetes" "$VALIDATOR" "$T/$name.out"
    done
    sed 's/hostPID:/hostPIDs:/' "$T/plain.out" >"$T/wrong.out"
    exits_with 1 "a field that Kubernetes does not have is found" "$VALIDATOR" "$T/wrong.out"
    check "and named" grep -q hostPIDs "$T/err"
    sed 's/periodSeconds: 30/periodSeconds: thirty/' "$T/plain.out" >"$T/wrong.out"
    exits_with 1 "a value of the wrong type is found" "$VALIDATOR" "$T/wrong.out"
else
    skip "every rendered object fits the types of Kubernetes" "$KUBE_WHY"
fi

# ---- the manual ----

# What installs is rendered instead; lines of docs/kubernetes.md.
renders_as_shown() {
    local words
    sed -nE 's/^helm (install|upgrade) /template /p' "$ROOT/docs/kubernetes.md" >"$T/shown"
    [ "$(wc -l <"$T/shown")" -ge 3 ] || { echo "it shows none" && return 1; }
    while read -r words; do
        (cd "$ROOT" && eval "\"\$HELM\" $words --kube-version 1.33" >"$T/out") || { echo "$words" && return 1; }
        grep -q DaemonSet "$T/out" || return 1
    done <"$T/shown"
}
check "the manual's helm commands render" renders_as_shown
