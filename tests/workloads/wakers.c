/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that wait, and who ends that is known. All on one CPU, which a spinner keeps busy:
 *
 *   sleeper    the timer
 *   catcher    a faulter's page fault (userfaultfd), whose own wait the catcher ends
 *   reaper     a doomed child, which a signal kills while it runs in user mode
 *   listener   whoever writes to the FIFO /tmp/fifo
 *   ear        whoever connects to the Unix socket /tmp/socket
 *   reader     the disk's interrupt (O_DIRECT)
 *
 *   wakers poke DIRECTORY     writes to the FIFO and connects to the socket there, for ever, as the
 *                             thread "poker"
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

static volatile unsigned long sink;

static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* Mostly in user mode, and sometimes in the kernel. */
static void *spinner(void *unused)
{
    for (;;)
        if (++sink % 100000 == 0)
            getppid();
    return unused;
}

static void *sleeper(void *unused)
{
    for (;;)
        nap_ms(2);
    return unused;
}

/* ---- page faults that wake ---- */

struct paged {
    int fd;
    char *page;
};

static void *faulter(void *data)
{
    const struct paged *p = data;

    for (;; nap_ms(2)) {
        sink += (unsigned char)*(volatile char *)p->page;
        madvise(p->page, PAGE, MADV_DONTNEED);
    }
    return NULL;
}

static void *catcher(void *unused)
{
    static char contents[PAGE] __attribute__((aligned(4096)));
    struct paged p = {.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)};
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.range.len = PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING};
    struct uffd_msg fault;
    pthread_t t;

    p.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    range.range.start = (uintptr_t)p.page;
    if (p.fd < 0 || ioctl(p.fd, UFFDIO_API, &api) < 0 || ioctl(p.fd, UFFDIO_REGISTER, &range) < 0) {
        puts("no userfaultfd");
        fflush(stdout);
        return unused;
    }
    if (pthread_create(&t, NULL, faulter, &p))
        return unused;
    pthread_setname_np(t, "faulter");
    while (read(p.fd, &fault, sizeof(fault)) == sizeof(fault)) {
        struct uffdio_copy copy = {
            .dst = range.range.start, .src = (uintptr_t)contents, .len = PAGE};

        ioctl(p.fd, UFFDIO_COPY, &copy);
    }
    return unused;
}

/* ---- ends by a signal ---- */

static void *reaper(void *unused)
{
    static const struct itimerval soon = {.it_value.tv_usec = 5000};

    for (;;) {
        if (fork() == 0) {
            prctl(PR_SET_NAME, "doomed");
            setitimer(ITIMER_REAL, &soon, NULL);
            for (;;)
                sink++;
        }
        wait(NULL);
    }
    return unused;
}

/* ---- from outside ---- */

static void *listener(void *unused)
{
    char c;
    int fd = open("/tmp/fifo", O_RDWR);

    while (read(fd, &c, 1) == 1)
        ;
    return unused;
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    return a;
}

static void *ear(void *unused)
{
    struct sockaddr_un a = address("/tmp/socket");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    unlink(a.sun_path);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
        return unused;
    for (;;)
        close(accept(fd, NULL, NULL));
    return unused;
}

static int poke(const char *directory)
{
    struct sockaddr_un a = address("socket");
    int fifo;

    prctl(PR_SET_NAME, "poker");
    if (chdir(directory) < 0)
        return 1;
    fifo = open("fifo", O_RDWR);
    for (;; nap_ms(5)) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        connect(fd, (struct sockaddr *)&a, sizeof(a));
        close(fd);
        if (write(fifo, "x", 1) != 1)
            return 1;
    }
}

/* ---- the disk ---- */

static void *reader(void *unused)
{
    char *block = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/wakers.data", O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (write(fd, block, PAGE) != (ssize_t)PAGE || fsync(fd) < 0)
        return unused;
    fd = open("/wakers.data", O_RDONLY | O_DIRECT);
    while (pread(fd, block, PAGE, 0) == (ssize_t)PAGE)
        ;
    return unused;
}

static const struct {
    const char *name;
    void *(*run)(void *);
} kinds[] = {
    {"spinner", spinner},   {"sleeper", sleeper}, {"catcher", catcher}, {"reaper", reaper},
    {"listener", listener}, {"ear", ear},         {"reader", reader},
};

int main(int argc, char **argv)
{
    cpu_set_t one;

    if (argc == 3 && strcmp(argv[1], "poke") == 0)
        return poke(argv[2]);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    mkfifo("/tmp/fifo", 0600);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        pthread_t t;

        if (pthread_create(&t, NULL, kinds[i].run, NULL))
            return 1;
        pthread_setname_np(t, kinds[i].name);
    }
    for (;;)
        pause();
}
