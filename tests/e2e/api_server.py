#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As much of a Kubernetes API server, and of the kubelet behind it, as kubectl's get and exec need.

  api_server.py STATE PORTFILE LOG

STATE is a JSON file that is read anew for each request: {"pods": [POD...], "exec": {"NS/POD": [WORD...]}},
where "exec" is the command in front of what is to run in that pod, such as runc exec NAME. PORTFILE
gets the port on 127.0.0.1, LOG a line for each request. Exec speaks as exec_streams.py can; as with a
kubelet, a client that goes away ends the command's standard input and nothing else.
"""
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from exec_streams import CLOSE, ERROR, STDERR, STDIN, STDOUT, Spdy, WebSocket

state_path, port_path, log_path = sys.argv[1:4]


def state():
    with open(state_path, encoding="utf-8") as f:
        return json.load(f)


def log(line):
    with open(log_path, "a", encoding="utf-8") as f:
        f.write(line + "\n")


def resource(name, kind, namespaced):
    return {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind,
            "verbs": ["get", "list"], "shortNames": [name[:2]]}


DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        resource("pods", "Pod", True), resource("namespaces", "Namespace", False)]},
}


def selected(pod, query):
    """Whether label and field selectors, of equalities alone, let a pod through."""
    fields = {"spec.nodeName": pod["spec"].get("nodeName", ""),
              "status.phase": pod["status"]["phase"], "metadata.name": pod["metadata"]["name"]}
    for key, have in (("labelSelector", pod["metadata"].get("labels", {})), ("fieldSelector", fields)):
        for term in filter(None, query.get(key, [""])[0].split(",")):
            name, value = term.replace("==", "=").split("=")
            if have.get(name) != value:
                return False
    return True


def exit_status(code):
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


def copy_out(pipe, channels, number):
    while data := os.read(pipe.fileno(), 32768):
        channels.send(number, data)


def copy_in(channels, pipe):
    """Reads until the client is gone, so that nothing which it is still to read is cut off."""
    try:
        while True:
            number, data = channels.message()
            if number == STDIN and not pipe.closed:
                os.write(pipe.fileno(), data)
            elif number == CLOSE and data == bytes([STDIN]):
                pipe.close()
    except (EOFError, OSError):
        pass
    pipe.close()


def run(command, channels, with_stdin):
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    if not with_stdin:
        child.stdin.close()
    reader = threading.Thread(target=copy_in, args=(channels, child.stdin), daemon=True)
    copies = [threading.Thread(target=copy_out, args=(child.stdout, channels, STDOUT)),
              threading.Thread(target=copy_out, args=(child.stderr, channels, STDERR))]
    for thread in [reader] + copies:
        thread.start()
    for copy in copies:
        copy.join()
    code = child.wait()
    channels.send(ERROR, json.dumps(exit_status(code if code >= 0 else 128 - code)).encode())
    channels.end()
    reader.join(30)
    return code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, reason, message):
        self.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                     "reason": reason, "message": message, "code": status}, status)

    def namespaces(self, wanted=None):
        items = [{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": n}}
                 for n in sorted({p["metadata"]["namespace"] for p in state()["pods"]})]
        if wanted is None:
            return self.answer({"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": items})
        for item in items:
            if item["metadata"]["name"] == wanted:
                return self.answer(item)
        return self.refuse(404, "NotFound", f'namespaces "{wanted}" not found')

    def pods(self, namespace, query):
        items = [p for p in state()["pods"]
                 if namespace in (None, p["metadata"]["namespace"]) and selected(p, query)]
        self.answer({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def pod(self, namespace, name):
        for p in state()["pods"]:
            if (p["metadata"]["namespace"], p["metadata"]["name"]) == (namespace, name):
                return self.answer(p)
        return self.refuse(404, "NotFound", f'pods "{name}" not found')

    def execute(self, namespace, name, query):
        kind = next((k for k in (WebSocket, Spdy) if k.is_asked_for(self.headers)), None)
        if not kind:
            return self.refuse(400, "BadRequest", "exec needs an upgrade to WebSockets or SPDY")
        self.send_response(101)
        for header in kind.answer(self.headers):
            self.send_header(*header)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        channels = kind(self.rfile, self.wfile, query)
        code = run(state()["exec"][f"{namespace}/{name}"] + query["command"], channels,
                   query.get("stdin") == ["true"])
        log(f"exit {code} {kind.__name__}")

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        words = url.path.strip("/").split("/")
        log(f"{self.command} {self.path}")
        if url.path in DISCOVERY:
            self.answer(DISCOVERY[url.path])
        elif words == ["api", "v1", "pods"]:
            self.pods(None, query)
        elif words[:3] == ["api", "v1", "namespaces"] and len(words) <= 4:
            self.namespaces(*words[3:])
        elif words[:3] == ["api", "v1", "namespaces"] and words[4:] == ["pods"]:
            self.pods(words[3], query)
        elif words[:3] == ["api", "v1", "namespaces"] and words[4:5] == ["pods"] and len(words) == 6:
            self.pod(words[3], words[5])
        elif words[:3] == ["api", "v1", "namespaces"] and words[6:] == ["exec"]:
            self.execute(words[3], words[5], query)
        else:
            self.refuse(404, "NotFound", "the server could not find the requested resource")

    do_POST = do_GET


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with open(port_path + ".new", "w", encoding="utf-8") as f:
        f.write(f"{server.server_address[1]}\n")
    os.rename(port_path + ".new", port_path)
    server.serve_forever()


main()
