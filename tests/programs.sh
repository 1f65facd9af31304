# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Well-known programs at work, each in a runc container of its own that sees this machine's /usr.
# For the tests and benchmarks of unwinding; sourced after tests/lib.sh.
#
#   program_up WHAT     sets P, the container's name; WHAT is redis, nginx, postgres, node, python,
#                       bash, java with a class file and options, or a workload with its
#                       arguments. 1 where it is missing here, with the reason in WHY.
#   program_down        ends it and its load
#
# Loads come from outside of the container, so that a capture sees the program and nothing else.
P='' LOAD=''
export WHY='' # for who sources this
PROGRAMS=0

# Directories that /usr is not enough for: links into it where /usr is merged, else copies.
program_root() {
    local dir link
    dir=$T/$P/rootfs
    root_new "$dir"
    rmdir "$dir/usr/bin" "$dir/usr/lib" # /usr is mounted there
    for link in lib lib64 lib32; do
        [ -L "/$link" ] && ln -s "$(readlink "/$link")" "$dir/$link"
    done
    ln -s /usr/bin/bash "$dir/bin/bash"
    echo 'nobody:x:65534:65534:nobody:/tmp:/bin/sh' >>"$dir/etc/passwd"
    echo 'nogroup:x:65534:' >"$dir/etc/group"
    [ -d /etc/alternatives ] && ln -s /usr/bin "$dir/etc/alternatives"
    mkdir -p "$dir/run" "$dir/var/log/nginx" "$dir/var/lib/nginx"
    for link in "$W"/omit* "$W"/libcalls-musl* "$W"/rust-omit "$W"/libomit.so; do
        [ ! -x "$link" ] || cp "$link" "$dir/bin/"
    done
}

# program_start COMMAND…: in a new container that sees /usr.
program_start() {
    on_exit "runc_stop $P; rm -rf --one-file-system '$T/$P'"
    RUNC_MOUNTS=',{"destination": "/usr", "type": "none", "source": "/usr", "options": ["rbind", "ro"]}' \
        runc_start "$P" "$T/$P" "$@"
}

# needs COMMAND…: they are there, and below /usr.
program_needs() {
    local command path
    for command in "$@"; do
        path=$(readlink -f "$(command -v "$command")") || { WHY="no $command" && return 1; }
        case $path in
        /usr/*) ;;
        *) WHY="$command is not below /usr" && return 1 ;;
        esac
    done
    [ -L /lib64 ] || { WHY="/usr is not merged here" && return 1; }
}

# In the container's network, but not in the container.
beside() {
    nsenter --net="/proc/$(runc_pid "$P")/ns/net" -- "$@"
}

program_up() {
    P=ph$$-$((PROGRAMS += 1)) WHY='' LOAD=''
    program_root
    case $1 in
    redis | nginx | postgres | python | bash) "up_$1" ;;
    node | java) "up_$1" "${@:2}" ;;
    *) program_start "/bin/$1" "${@:2}" ;;
    esac
}

program_down() {
    local pid
    if [ -n "$LOAD" ]; then
        for pid in $(family "$LOAD"); do
            kill -KILL "$pid" 2>/dev/null
        done
        wait "$LOAD" 2>/dev/null
    fi
    runc_stop "$P"
    rm -rf --one-file-system "${T:?}/$P"
}

# program_load COMMAND…: again and again, until program_down; not where QUIET says that none is wanted.
program_load() {
    [ -z "${QUIET-}" ] || return 0
    (while "$@"; do :; done >/dev/null 2>&1) &
    LOAD=$!
    on_exit "kill -KILL $LOAD 2>/dev/null"
}

up_redis() {
    program_needs redis-server redis-benchmark redis-cli || return 1
    program_start /usr/bin/redis-server --save '' --appendonly no
    wait_for 20 beside redis-cli ping || { WHY="redis does not answer" && return 1; }
    program_load beside redis-benchmark -q -t set,get,lpush,lrange_100,zadd -n 100000 -P 8 -c 20
}

up_nginx() {
    local dir=$T/$P/rootfs
    program_needs nginx /usr/bin/python3 || return 1
    cat >"$dir/etc/nginx.conf" <<'CONF'
daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    gzip on;
    gzip_types text/plain;
    default_type text/plain;
    server { listen 80; root /srv; keepalive_requests 100000; }
}
CONF
    mkdir -p "$dir/srv"
    seq 1 5000 >"$dir/srv/page"
    program_start /usr/sbin/nginx -e stderr -c /etc/nginx.conf
    wait_for 20 beside /usr/bin/python3 -c 'import socket; socket.create_connection(("127.0.0.1", 80), 1)' ||
        { WHY="nginx does not answer" && return 1; }
    program_load beside /usr/bin/python3 -c '
import http.client
c = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
for _ in range(5000):
    c.request("GET", "/page", headers={"Accept-Encoding": "gzip"})
    c.getresponse().read()'
}

up_postgres() {
    local bin
    program_needs postgres pgbench setpriv || return 1
    bin=$(dirname "$(readlink -f "$(command -v postgres)")")
    mkdir "$T/$P/rootfs/data" && chown 65534:65534 "$T/$P/rootfs/data" && chmod 700 "$T/$P/rootfs/data"
    cat >"$T/$P/rootfs/start.sh" <<BASH
$bin/initdb -D /data -U pg --locale C -A trust
exec $bin/postgres -D /data -k /tmp -c dynamic_shared_memory_type=mmap -c autovacuum=off -c fsync=off
BASH
    program_start /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/bash /start.sh
    wait_for 30 beside pgbench -h 127.0.0.1 -U pg -i -s 2 postgres ||
        { WHY="postgres does not answer" && return 1; }
    program_load beside pgbench -h 127.0.0.1 -U pg -c 4 -T 60 -n postgres
}

# up_node OPTIONS…: without one it writes a perf map.
up_node() {
    program_needs node || return 1
    cp "$ROOT/tests/workloads/web.js" "$T/$P/rootfs/"
    program_start "$(readlink -f "$(command -v node)")" "${@:---perf-basic-prof}" /web.js
    wait_for 30 grep -q ready "$T/$P/log" || { WHY="node does not answer" && return 1; }
}

# up_java CLASS-FILE OPTIONS…: as the user with the number JVM_USER, if that is set.
up_java() {
    local java class=$1
    program_needs java || return 1
    java=$(readlink -f "$(command -v java)")
    # Debian keeps the configuration below /etc, where links of /usr lead.
    (cd / && cp -rL --parents etc/java-*-openjdk "$T/$P/rootfs/") 2>/dev/null
    cp "$class" "$T/$P/rootfs/"
    class=${class##*/}
    # shellcheck disable=SC2086 # options, or nothing
    program_start ${JVM_USER:+/usr/bin/setpriv --reuid $JVM_USER --regid $JVM_USER --clear-groups} \
        "$java" "${@:2}" -cp / "${class%.class}"
    wait_for 30 grep -q ready "$T/$P/log" || { WHY="java does not start" && return 1; }
}

up_python() {
    [ -x /usr/bin/python3 ] || { WHY="no /usr/bin/python3" && return 1; }
    cat >"$T/$P/rootfs/work.py" <<'PYTHON'
import hashlib, json, re
def tree(n):
    return {"n": n, "child": tree(n - 1)} if n else {}
def walk(t):
    return 1 + walk(t["child"]) if t else 0
while True:
    text = json.dumps(tree(9))
    assert walk(json.loads(text)) == 9
    words = sorted(re.findall(r"\w+", text * 20), key=lambda w: w[::-1])
    hashlib.sha256(" ".join(words).encode()).hexdigest()
PYTHON
    program_start /usr/bin/python3 /work.py
}

up_bash() {
    program_needs bash || return 1
    cat >"$T/$P/rootfs/fib.sh" <<'BASH'
fib() {
    if (($1 < 2)); then
        r=$1
    else
        local a
        fib $(($1 - 1))
        a=$r
        fib $(($1 - 2))
        r=$((r + a))
    fi
}
while :; do
    fib 7
done
BASH
    program_start /usr/bin/bash /fib.sh
}
