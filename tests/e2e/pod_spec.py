#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a kubelet and its runtime would make of the chart's DaemonSet.

  pod_spec.py oci DAEMONSET ROOTFS NAME [OPTION...]   the container as an OCI configuration
  pod_spec.py from-values VALUES                      the DaemonSet's parts that oci reads, from
                                                      values.yaml alone, for hosts without helm
  pod_spec.py parts FILE                              the same parts, of either
  pod_spec.py json FILE                               all documents of a YAML file, one a line

Options of oci: --host-path PATH=REAL takes REAL for a path of the host, --without CAPABILITY,
--cgroup PATH, --private-cgroups (as on hosts with cgroup v2), --command WORD... (comes last).
"""
import json
import os
import sys

import yaml

# What runtimes hide from unprivileged containers.
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def load(path):
    with open(path, encoding="utf-8") as f:
        return [d for d in yaml.safe_load_all(f) if d]


def parts(documents):
    """The pod's rights, commands and mounts."""
    pod = next(d for d in documents if d["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    security = container["securityContext"]
    volumes = {v["name"]: v["hostPath"] for v in pod["volumes"] if "hostPath" in v}
    mounts = [{"path": m["mountPath"], "source": volumes[m["name"]]["path"],
               "type": volumes[m["name"]]["type"], "readOnly": m.get("readOnly", False),
               "propagation": m.get("mountPropagation", "None")}
              for m in container["volumeMounts"] if m["name"] in volumes]
    return {"hostPID": pod["hostPID"], "command": container["command"],
            "env": {e["name"]: e["value"] for e in container["env"]},
            "probe": container["livenessProbe"]["exec"]["command"],
            "readOnlyRootFilesystem": security["readOnlyRootFilesystem"],
            "privileged": security["privileged"], "capabilities": security["capabilities"]["add"],
            "mounts": mounts}


def from_values(values):
    def mount(path, kind, read_only=True, propagation="None"):
        return {"path": path, "source": path, "type": kind, "readOnly": read_only,
                "propagation": propagation}
    runtime_paths = [p for r in values["runtimes"] for p in values["runtimePaths"][r]]
    return {"hostPID": True, "command": ["/usr/sbin/portholed"],
            "env": {"PORTHOLE_SOCKET": values["socketDirectory"] + "/porthole.sock"},
            "probe": ["/usr/bin/porthole", "status"], "readOnlyRootFilesystem": True,
            "privileged": values["privileged"], "capabilities": values["capabilities"],
            "mounts": [mount(values["socketDirectory"], "DirectoryOrCreate", read_only=False)] +
                      [mount(p, "Directory") for p in values["kernelPaths"]] +
                      [mount(p, "DirectoryOrCreate", propagation="HostToContainer")
                       for p in runtime_paths]}


def bind(mount, real):
    source = real.get(mount["source"], mount["source"])
    if mount["type"] == "DirectoryOrCreate":
        os.makedirs(source, exist_ok=True)
    elif not os.path.isdir(source):
        sys.exit(f"hostPath type check failed: {source} is not a directory")
    propagation = {"None": "rprivate", "HostToContainer": "rslave"}[mount["propagation"]]
    return {"destination": mount["path"], "type": "bind", "source": source,
            "options": ["rbind", propagation, "ro" if mount["readOnly"] else "rw"]}


def options(words):
    o = {"real": {}, "without": [], "cgroup": None, "private": False, "command": None}
    while words:
        word = words.pop(0)
        if word == "--private-cgroups":
            o["private"] = True
        elif word == "--host-path":
            path, real = words.pop(0).split("=")
            o["real"][path] = real
        elif word == "--without":
            o["without"].append(words.pop(0))
        elif word == "--cgroup":
            o["cgroup"] = words.pop(0)
        elif word == "--command":
            o["command"], words = words, []
        else:
            sys.exit(f"pod_spec.py: unknown option {word}")
    return o


def oci(p, rootfs, name, words):
    o = options(words)
    unknown = set(o["without"]) - set(p["capabilities"])
    if p["privileged"] or unknown:
        sys.exit(f"pod_spec.py: privileged, or has no capability {unknown}")
    caps = ["CAP_" + c for c in p["capabilities"] if c not in o["without"]]
    namespaces = ["mount", "ipc", "uts", "network"] + ["cgroup"] * o["private"] + \
        ["pid"] * (not p["hostPID"])
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]}]
    env = dict(p["env"], PATH="/usr/sbin:/usr/bin")
    return {
        "ociVersion": "1.0.2", "hostname": name,
        "root": {"path": rootfs, "readonly": p["readOnlyRootFilesystem"]},
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/", "noNewPrivileges": True,
            "args": o["command"] or p["command"], "env": [f"{k}={v}" for k, v in env.items()],
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps}},
        "mounts": mounts + [bind(m, o["real"]) for m in p["mounts"]],
        "linux": {"cgroupsPath": o["cgroup"] or "/" + name, "maskedPaths": MASKED,
                  "readonlyPaths": READONLY, "namespaces": [{"type": t} for t in namespaces],
                  "resources": {"devices": [{"allow": False, "access": "rwm"}]}}}


def main():
    what, path = sys.argv[1:3]
    if what == "json":
        for document in load(path):
            print(json.dumps(document))
        return
    documents = load(path)
    if what == "from-values":
        answer = from_values(documents[0])
    else:
        answer = parts(documents) if "kind" in documents[0] else documents[0]
    if what == "oci":
        answer = oci(answer, *sys.argv[3:5], sys.argv[5:])
    json.dump(answer, sys.stdout, indent=1)


main()
