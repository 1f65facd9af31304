#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# What well-known programs wait for, and who ends it: redis, postgres, nginx, node, and gzip behind
# tar behind the disk.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../programs.sh"
need_root
need_bpf
need_commands runc jq nsenter

# taken VIEW ARGUMENTS…: of $P, folded, to $T/f.
taken() {
    porthole "$1" "$P" -d 3 --max-overhead 100 -f folded "${@:2}" 2>"$T/err" | sed 's/_\[k\]//g' >"$T/f"
    [ -s "$T/f" ] || { tail -n 1 "$T/err" && return 1; }
}

# spent COMM FIELDS LOW: percent of the blocked time of the container's threads of that name.
spent() {
    porthole states "$P" -d 3 --max-overhead 100 -o "$T/s.json" 2>"$T/err" || return 1
    between "$3" "$(jq -r "select(.record and .comm == \"$1\") | ($2) * 100 / .blocked_us" "$T/s.json" | head -n 1)" 101
}

# ended COMM BY LOW: percent of what that thread waited, and somebody ended, that this one ended.
ended() {
    between "$3" "$(awk -v who="^$1;" -v by="$2 [0-9]+\$" '
        $0 !~ who || $0 !~ /;--;/ { next } { all += $NF } $0 ~ by { some += $NF }
        END { if (all) print some * 100 / all }' "$T/f")" 100
}

start_agent

# ---- redis ----
if program_up redis; then
    check "redis waits in epoll" spent redis-server .poll_us 95
    check "redis: offwake works" taken offwake
    # Where a busy machine keeps its clients waiting, so does redis, until its own timer.
    check "redis is woken by the network, or else by its timer" ended redis-server ';\[(network|timer) interrupt\]' 99
    check "mostly by the network" ended redis-server ';\[network interrupt\]' 50
    check "redis: the packets' sender is seen behind it" grep -qE '^redis-server;.*;--;.*process_backlog;.*;tcp_sendmsg;' "$T/f"
else
    skip "redis waits in epoll" "$WHY"
fi
program_down

# ---- postgres ----

# Commits reach the disk, unlike those of program_up: what they wait for is what matters.
postgres_up() {
    local bin
    program_needs postgres psql pgbench setpriv || return 1
    P=ph$$-pg
    program_root
    bin=$(dirname "$(readlink -f "$(command -v postgres)")")
    mkdir "$T/$P/rootfs/data" && chown 65534:65534 "$T/$P/rootfs/data" && chmod 700 "$T/$P/rootfs/data"
    cat >"$T/$P/rootfs/start.sh" <<BASH
$bin/initdb -D /data -U pg --locale C -A trust
exec $bin/postgres -D /data -k /tmp -c dynamic_shared_memory_type=mmap -c autovacuum=off -c deadlock_timeout=60s
BASH
    program_start /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/bash /start.sh
    wait_for 30 sql 'create table t (n int); insert into t values (0);' || { WHY="postgres does not answer" && return 1; }
}

sql() {
    beside psql -h 127.0.0.1 -U pg -q -c "$1" postgres
}

# Keeps the row for a while, again and again; who is thrown out comes back.
quarrel() {
    while :; do
        yes 'begin; update t set n = n + 1; select pg_sleep(0.03); commit;' |
            beside psql -h 127.0.0.1 -U pg -q postgres >/dev/null 2>>"$T/quarrel"
    done
}

waits_of_postgres() {
    jq -c 'select(.record and .comm == "postgres")' "$T/s.json" >"$T/rows"
    jq -es '.[0] | .lock_us > 0 and .disk_us > 0 and .poll_us > 0 and .other_us * 20 < .blocked_us' "$T/rows" ||
        { cat "$T/rows" && return 1; }
}

if postgres_up; then
    (quarrel & quarrel & quarrel & wait) &
    LOAD=$!
    on_exit "kill -KILL \$(family $LOAD) 2>/dev/null"
    waits_for_row() {
        porthole offcpu "$P" -d 0.5 --max-overhead 100 -f folded 2>/dev/null | grep -q ProcSleep
    }
    wait_for 20 waits_for_row || not_ok "postgres: somebody waits for a row" "$(tail -n 1 "$T/quarrel")"
    check "postgres: offwake works" taken offwake
    check "postgres: who waits for a row does so in a semaphore" grep -qE '^postgres;.*ProcSleep;.*PGSemaphoreLock;.*futex' "$T/f"
    check "postgres: another backend ends the wait, when it commits" \
        grep -qE '^postgres;.*;PGSemaphoreLock;.*;--;.*futex_wake;.*;PGSemaphoreUnlock;.*;(LockReleaseAll|CommitTransactionCommand);.*;postgres ' "$T/f"
    check "postgres: nobody else does" lacks "$T/f" '^postgres;.*;PGSemaphoreLock;.*;--;.*;(host: [^;]*|\[[^;]*interrupt\]) '
    check "postgres: commits wait for the disk" grep -qE '^postgres;.*;XLogFlush;.*(fsync|fdatasync);' "$T/f"
    check "postgres: an interrupt of the disk, or the kernel's threads, end that" \
        grep -qE '^postgres;.*;XLogFlush;.*(fsync|fdatasync);.*;--;.*;(\[block interrupt\]|kernel: [^;]*) ' "$T/f"
    porthole states "$P" -d 3 --max-overhead 100 -o "$T/s.json" 2>"$T/err"
    check "postgres: it waits for locks, the disk and its clients, and little else" waits_of_postgres
else
    skip "postgres waits for locks and the disk" "$WHY"
fi
program_down

# ---- gzip, tar, the disk ----
packing() {
    local pid
    for pid in $(family "$(runc_pid "$P")"); do
        cat "/proc/$pid/comm"
    done 2>/dev/null | grep -qx gzip
}

P=ph$$-tar
if program_needs tar gzip /usr/bin/python3; then
    program_root
    mkdir "$T/$P/rootfs/tree"
    for ((n = 0; n < 500; n++)); do
        head -c 65536 /dev/zero >"$T/$P/rootfs/tree/$n"
    done
    sync -f "$T/$P/rootfs/tree"
    cat >"$T/$P/rootfs/drop.py" <<'PYTHON'
import os
for entry in os.scandir("/tree"):
    fd = os.open(entry.path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
PYTHON
    echo 'while /usr/bin/python3 /drop.py; do /usr/bin/tar cf - /tree | /usr/bin/gzip -1 >/dev/null; done' \
        >"$T/$P/rootfs/pack.sh"
    program_start /usr/bin/bash /pack.sh
    wait_for 20 packing
    check "tar | gzip: chain works" taken chain
    check "gzip waits for tar" ended gzip ';--;.*;tar.*' 50
    check "chain: gzip waits for tar, and tar for the disk" \
        grep -qE '^gzip;.*pipe_read.*;--;.*pipe_write.*;tar;--;.*;\[block interrupt\] ' "$T/f"
    check "tar | gzip: offwake works" taken offwake
    check "offwake: tar ends what gzip waits for" ended gzip ';tar' 50
    check "offwake: what tar waits for in reading ends with the disk's interrupt" \
        grep -qE '^tar;.*read.*;--;.*;\[block interrupt\] ' "$T/f"
else
    skip "gzip waits for tar, and tar for the disk" "$WHY"
fi
program_down

# ---- servers ----
if program_up nginx; then
    check "nginx waits in epoll, and its master for signals" spent nginx ".poll_us + .sleep_us" 95
else
    skip "nginx waits in epoll" "$WHY"
fi
program_down
