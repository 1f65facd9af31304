/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that wait for one kind of thing each. A name begins with the class that its waits
 * belong to; whoever is needed on the other side is called "peer". Files are made in the current
 * directory.
 * What cannot be done here (such as io_uring) says so on standard output and ends.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_SIZE (8l << 20)
#define PAGE 4096l
#define BIG (64ul << 20)

static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* The other side of what the parent does. Ends with it. */
static bool is_peer(void)
{
    pid_t parent = getpid();

    if (fork() != 0)
        return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "peer");
    if (getppid() != parent)
        _exit(0);
    return true;
}

static void *shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        _exit(1);
    return p;
}

/* Out of the cache with it. That has waits of its own, which are left to the peers. */
static void drop(int fd, const char *me)
{
    prctl(PR_SET_NAME, "peer");
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    prctl(PR_SET_NAME, me);
}

/* A file of zeroes that is on the disk and not in the cache. */
static int file(const char *me, int flags)
{
    static char zeroes[1 << 20];
    int fd = open(me, O_RDWR | O_CREAT | O_TRUNC, 0600);

    prctl(PR_SET_NAME, "peer");
    for (long at = 0; at < FILE_SIZE; at += (long)sizeof(zeroes))
        if (pwrite(fd, zeroes, sizeof(zeroes), at) < 0)
            _exit(1);
    if (fsync(fd) < 0)
        _exit(1);
    close(fd);
    fd = open(me, O_RDWR | flags);
    drop(fd, me);
    return fd;
}

/* ---- disk ---- */

static void disk_direct(void)
{
    int fd = file("disk_direct", O_DIRECT);
    void *block = shared((size_t)PAGE);

    for (long at = 0;; at = (at + PAGE) % FILE_SIZE)
        if (pread(fd, block, (size_t)PAGE, at) < 0)
            return;
}

static void disk_read(void)
{
    int fd = file("disk_read", 0);
    char block[PAGE];

    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (long at = 0;; at = (at + PAGE) % FILE_SIZE) {
        if (at == 0)
            drop(fd, "disk_read");
        if (pread(fd, block, sizeof(block), at) < 0)
            return;
    }
}

static void disk_fsync(void)
{
    int fd = open("disk_fsync.data", O_RDWR | O_CREAT | O_APPEND | O_TRUNC, 0600);
    char block[100] = {1};

    while (write(fd, block, sizeof(block)) > 0 && fsync(fd) == 0)
        ;
}

/* ---- page faults ---- */

static void fault_file(void)
{
    int fd = file("fault_file", 0);
    const volatile char *p = mmap(NULL, (size_t)FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return;
    madvise((void *)p, (size_t)FILE_SIZE, MADV_RANDOM);
    for (long at = 0;; at = (at + PAGE) % FILE_SIZE) {
        if (at == 0) {
            madvise((void *)p, (size_t)FILE_SIZE, MADV_DONTNEED);
            drop(fd, "fault_file");
        }
        (void)p[at];
    }
}

/* ---- network ---- */

static struct sockaddr_in local(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int listener(int port)
{
    struct sockaddr_in a = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
        _exit(1);
    return fd;
}

static int connected(int port)
{
    struct sockaddr_in a = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        _exit(1);
    return fd;
}

static void receive(int fd)
{
    char c;

    while (recv(fd, &c, 1, 0) == 1)
        ;
}

static void send_slowly(int fd)
{
    while (send(fd, "x", 1, 0) == 1)
        nap_ms(5);
}

static void network_tcp(void)
{
    int fd = listener(1);

    if (is_peer())
        send_slowly(connected(1));
    receive(accept(fd, NULL, NULL));
}

static void network_accept(void)
{
    int fd = listener(2);

    if (is_peer())
        for (;; nap_ms(5))
            close(connected(2));
    for (;;)
        close(accept(fd, NULL, NULL));
}

/* Nobody takes the connections, so that the queue is full and connect() waits. */
static void network_connect(void)
{
    int fd = listener(3);

    for (int i = 0; fd >= 0 && i < 100; i++)
        connected(3);
}

/* The other side reads slowly. */
static void network_send(void)
{
    static char block[1 << 16];
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return;
    if (is_peer())
        while (recv(fds[1], block, sizeof(block), 0) > 0)
            nap_ms(5);
    while (send(fds[0], block, sizeof(block), 0) > 0)
        ;
}

static void network_unix(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return;
    if (is_peer())
        send_slowly(fds[1]);
    receive(fds[0]);
}

static void network_udp(void)
{
    struct sockaddr_in a = local(4);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return;
    if (is_peer()) {
        int to = socket(AF_INET, SOCK_DGRAM, 0);

        if (connect(to, (struct sockaddr *)&a, sizeof(a)) == 0)
            send_slowly(to);
    }
    receive(fd);
}

/* ---- locks ---- */

static void lock_futex(void)
{
    unsigned *word = shared(sizeof(*word));

    if (is_peer())
        for (;; nap_ms(5))
            syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    for (;;)
        syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

/* One lock that a peer keeps for a while, again and again. */
static void contend(void (*lock)(int fd, bool take), const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT, 0600);

    if (is_peer())
        for (fd = open(name, O_RDWR);; nap_ms(1)) {
            lock(fd, true);
            nap_ms(10);
            lock(fd, false);
        }
    for (;;) {
        lock(fd, true);
        lock(fd, false);
    }
}

static void by_flock(int fd, bool take)
{
    flock(fd, take ? LOCK_EX : LOCK_UN);
}

static void by_fcntl(int fd, bool take)
{
    struct flock l = {.l_type = take ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};

    fcntl(fd, F_SETLKW, &l);
}

static void lock_flock(void)
{
    contend(by_flock, "lock_flock.data");
}

static void lock_fcntl(void)
{
    contend(by_fcntl, "lock_fcntl.data");
}

static void lock_semaphore(void)
{
    struct sembuf up = {.sem_op = 1}, down = {.sem_op = -1};
    int id = semget(IPC_PRIVATE, 1, 0600);

    if (is_peer())
        for (;; nap_ms(5))
            semop(id, &up, 1);
    while (semop(id, &down, 1) == 0)
        ;
}

/* Moves a large mapping by a page: page by page, the process's mappings locked. */
static void *move(void *unused)
{
    char *from, *room = mmap(NULL, 3 * BIG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *other = room + BIG + PAGE;

    prctl(PR_SET_NAME, "peer");
    from = mmap(room, BIG, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
    while (from != MAP_FAILED) {
        char *to = from == room ? other : room;

        from = mremap(from, BIG, BIG, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    }
    return unused;
}

static void lock_mappings(void)
{
    unsigned char there;
    pthread_t t;
    void *page = shared((size_t)PAGE);

    if (pthread_create(&t, NULL, move, NULL))
        return;
    for (;;)
        mincore(page, (size_t)PAGE, &there);
}

/* ---- pipes and what works like them ---- */

static int fed_pipe(void)
{
    int fds[2];

    if (pipe(fds) < 0)
        _exit(1);
    if (is_peer())
        for (;; nap_ms(5))
            if (write(fds[1], "x", 1) < 0)
                _exit(1);
    return fds[0];
}

static void take(int fd)
{
    char block[64];

    if (read(fd, block, sizeof(block)) <= 0)
        _exit(1);
}

static void pipe_read(void)
{
    for (int fd = fed_pipe();;)
        take(fd);
}

static void pipe_write(void)
{
    static char block[1 << 16];
    int fds[2];

    if (pipe(fds) < 0)
        return;
    if (is_peer())
        while (read(fds[0], block, sizeof(block)) > 0)
            nap_ms(5);
    while (write(fds[1], block, sizeof(block)) > 0)
        ;
}

static void pipe_open(void)
{
    mkfifo("fifo", 0600);
    if (is_peer())
        for (;; nap_ms(5))
            close(open("fifo", O_WRONLY));
    for (;;)
        close(open("fifo", O_RDONLY));
}

static void pipe_eventfd(void)
{
    int fd = eventfd(0, 0);
    uint64_t n = 1;

    if (is_peer())
        for (;; nap_ms(5))
            if (write(fd, &n, sizeof(n)) < 0)
                return;
    while (read(fd, &n, sizeof(n)) > 0)
        ;
}

/* ---- several things at once ---- */

static void poll_poll(void)
{
    struct pollfd p = {.fd = fed_pipe(), .events = POLLIN};

    while (poll(&p, 1, -1) == 1)
        take(p.fd);
}

static void poll_select(void)
{
    int fd = fed_pipe();
    fd_set set;

    for (;; take(fd)) {
        FD_ZERO(&set);
        FD_SET(fd, &set);
        if (select(fd + 1, &set, NULL, NULL, NULL) != 1)
            return;
    }
}

static void poll_epoll(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    int fd = fed_pipe(), set = epoll_create1(0);

    epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
    while (epoll_wait(set, &e, 1, -1) == 1)
        take(fd);
}

/* One request that ends after 5 ms, waited for. */
static void poll_uring(void)
{
    struct io_uring_params p = {0};
    struct __kernel_timespec after = {.tv_nsec = 5000000};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
    struct io_uring_sqe *entries;
    unsigned *array, *tail;
    char *ring;

    if (fd < 0) {
        puts("no io_uring");
        return;
    }
    ring = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned) + p.cq_entries * 16ul + 4096,
                PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    entries = mmap(NULL, p.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   IORING_OFF_SQES);
    if (ring == MAP_FAILED || entries == MAP_FAILED)
        return;
    array = (unsigned *)(ring + p.sq_off.array);
    tail = (unsigned *)(ring + p.sq_off.tail);
    for (unsigned *head = (unsigned *)(ring + p.cq_off.head);;) {
        entries[0] = (struct io_uring_sqe){
            .opcode = IORING_OP_TIMEOUT, .addr = (uintptr_t)&after, .len = 1, .fd = -1};
        array[*tail & (p.sq_entries - 1)] = 0;
        __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
            return;
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    }
}

/* ---- children ---- */

static void child_wait(void)
{
    for (;;) {
        if (fork() == 0) {
            prctl(PR_SET_NAME, "peer");
            nap_ms(10);
            _exit(0);
        }
        wait(NULL);
    }
}

static void child_vfork(void)
{
    for (;;) {
        if (vfork() == 0) {
            prctl(PR_SET_NAME, "peer");
            nap_ms(10);
            _exit(0);
        }
        waitpid(-1, NULL, WNOHANG);
    }
}

/* ---- sleep ---- */

static void sleep_nano(void)
{
    for (;;)
        nap_ms(5);
}

static void sleep_pause(void)
{
    for (;;)
        pause();
}

static void sleep_timer(void)
{
    struct itimerspec every = {{0, 5000000}, {0, 5000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t n;

    timerfd_settime(fd, 0, &every, NULL);
    while (read(fd, &n, sizeof(n)) > 0)
        ;
}

static void sleep_signal(void)
{
    struct timespec t = {0, 5000000};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (;;)
        sigtimedwait(&set, NULL, &t);
}

static void sleep_stopped(void)
{
    pid_t me = getpid();

    if (is_peer())
        for (;;) {
            nap_ms(20);
            kill(me, SIGSTOP);
            nap_ms(20);
            kill(me, SIGCONT);
        }
    for (;;)
        kill(me, SIGSTOP);
}

#define KIND(name)  \
    {               \
#name, name \
    }
static const struct {
    const char *name;
    void (*run)(void);
} kinds[] = {
    KIND(disk_direct),  KIND(disk_read),      KIND(disk_fsync),      KIND(fault_file),
    KIND(network_tcp),  KIND(network_accept), KIND(network_connect), KIND(network_send),
    KIND(network_unix), KIND(network_udp),    KIND(lock_futex),      KIND(lock_flock),
    KIND(lock_fcntl),   KIND(lock_semaphore), KIND(lock_mappings),   KIND(pipe_read),
    KIND(pipe_write),   KIND(pipe_open),      KIND(pipe_eventfd),    KIND(poll_poll),
    KIND(poll_select),  KIND(poll_epoll),     KIND(poll_uring),      KIND(child_wait),
    KIND(child_vfork),  KIND(sleep_nano),     KIND(sleep_pause),     KIND(sleep_timer),
    KIND(sleep_signal), KIND(sleep_stopped),
};

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_NAME, kinds[i].name);
        kinds[i].run();
        _exit(0);
    }
    for (;;)
        pause();
}
