/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FIRST_INHERITED 3

static int fail(struct err *e, const char *what, const char *path)
{
    int error = errno;

    err_set(e, error == EACCES || error == EPERM ? ERR_DENIED : ERR_FAILED, "cannot %s '%s': %s",
            what, path, strerror(error));
    err_remedy(e, "choose another place by --socket, or make that directory writable for root");
    return error ? -error : -EIO;
}

static int taken(struct err *e, const char *path)
{
    err_set(e, ERR_FAILED, "another agent serves '%s' already", path);
    err_remedy(e, "use it, stop it, or choose another --socket");
    return -EADDRINUSE;
}

/* ---- socket activation ---- */

int listen_inherited(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    return pid && count && atoi(pid) == getpid() && atoi(count) > 0 ? atoi(count) : 0;
}

static int take_inherited(struct listener *ret, struct err *e)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address), value_size = sizeof(int);
    int listening = 0, flags;

    if (listen_inherited() > 1)
        return err_set(e, ERR_USAGE, "the service manager handed over more than one socket");
    if (getsockname(FIRST_INHERITED, (struct sockaddr *)&address, &size) < 0 ||
        address.sun_family != AF_UNIX ||
        getsockopt(FIRST_INHERITED, SOL_SOCKET, SO_ACCEPTCONN, &listening, &value_size) < 0 ||
        !listening)
        return err_set(e, ERR_USAGE, "fd 3 from the service manager is no listening Unix socket");
    flags = fcntl(FIRST_INHERITED, F_GETFL);
    if (flags < 0 || fcntl(FIRST_INHERITED, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(FIRST_INHERITED, F_SETFD, FD_CLOEXEC) < 0)
        return fail(e, "use", "fd 3");
    *ret = (struct listener){.fd = FIRST_INHERITED, .lock_fd = -1};
    return 0;
}

/* ---- a socket of our own ---- */

static int make_directory(const char *path, struct err *e)
{
    _cleanup_free_ char *directory = strdup(path);

    if (!directory)
        return -ENOMEM;
    *strrchr(directory, '/') = '\0';
    if (!*directory || mkdir(directory, 0755) == 0 || errno == EEXIST)
        return 0;
    return fail(e, "make", directory);
}

/* Whoever holds this lock may touch the socket's file. It goes with the process that took it. */
static int lock(const char *lock_path, const char *path, int *ret, struct err *e)
{
    for (;;) {
        _cleanup_close_ int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat ours, there;

        if (fd < 0)
            return fail(e, "make", lock_path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? taken(e, path) : fail(e, "lock", lock_path);
        /* The one before us may have removed it between our open and our lock. */
        if (fstat(fd, &ours) == 0 && stat(lock_path, &there) == 0 && ours.st_ino == there.st_ino &&
            ours.st_dev == there.st_dev) {
            *ret = TAKE_FD(fd);
            return 0;
        }
    }
}

/* Removes a socket file that nobody serves. */
static int clear_place(const char *path, const struct sockaddr_un *address, struct err *e)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail(e, "look at", path);
    if (!S_ISSOCK(st.st_mode)) {
        err_set(e, ERR_USAGE, "'%s' exists and is no socket", path);
        err_remedy(e, "remove it, or choose another --socket");
        return -EEXIST;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(e, "look at", path);
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return taken(e, path);
    if (errno != ECONNREFUSED)
        return fail(e, "look at", path);
    return unlink(path) < 0 ? fail(e, "replace", path) : 0;
}

/* The socket's group; a name that is only our default need not exist. Reads /etc/group and nothing
 * else: name services would load code. */
static int find_group(const char *word, gid_t *ret, struct err *e)
{
    _cleanup_fclose_ FILE *f = NULL;
    const struct group *g;
    char *end;
    unsigned long number = strtoul(word, &end, 10);

    if (*word >= '0' && *word <= '9' && !*end && number < UINT32_MAX) {
        *ret = (gid_t)number;
        return 0;
    }
    *ret = 0;
    f = fopen("/etc/group", "re");
    while (f && (g = fgetgrent(f)))
        if (strcmp(g->gr_name, word) == 0) {
            *ret = g->gr_gid;
            return 0;
        }
    if (strcmp(word, "porthole") == 0)
        return 0;
    return err_set(e, ERR_USAGE, "no group '%.64s' in '/etc/group'", word);
}

static int bind_socket(const char *path, const struct sockaddr_un *address, gid_t gid,
                       struct listener *l, struct err *e)
{
    mode_t mask;
    int r;

    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return fail(e, "make", path);
    mask = umask(0177); /* nobody's until it has its group */
    r = bind(l->fd, (const struct sockaddr *)address, sizeof(*address));
    umask(mask);
    if (r < 0)
        return fail(e, "make", path);
    if (lstat(path, &l->st) < 0)
        return fail(e, "look at", path);
    l->path = strdup(path);
    if (!l->path)
        return -ENOMEM;
    if (l->st.st_gid != gid && lchown(path, (uid_t)-1, gid) < 0)
        return fail(e, "change the group of", path);
    if (chmod(path, 0660) < 0)
        return fail(e, "change the mode of", path);
    return listen(l->fd, 128) < 0 ? fail(e, "listen on", path) : 0;
}

int listen_open(const struct config *c, struct listener *ret, struct err *e)
{
    struct listener l = {.fd = -1, .lock_fd = -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = c->socket_path;
    gid_t gid;
    int r;

    if (listen_inherited())
        return take_inherited(ret, e);
    r = find_group(c->group, &gid, e);
    if (r == 0)
        r = make_directory(path, e);
    if (r < 0)
        return r;
    memcpy(address.sun_path, path, strlen(path) + 1); /* config.c saw to its length */
    if (asprintf(&l.lock_path, "%s.lock", path) < 0)
        return -ENOMEM;
    r = lock(l.lock_path, path, &l.lock_fd, e);
    if (r == 0)
        r = clear_place(path, &address, e);
    if (r == 0)
        r = bind_socket(path, &address, gid, &l, e);
    if (r < 0) {
        listen_close(&l);
        return r;
    }
    *ret = l;
    return 0;
}

void listen_close(struct listener *l)
{
    struct stat st;

    if (l->path && lstat(l->path, &st) == 0 && st.st_ino == l->st.st_ino &&
        st.st_dev == l->st.st_dev)
        unlink(l->path);
    if (l->lock_fd >= 0) {
        unlink(l->lock_path); /* while we hold it */
        close(l->lock_fd);
    }
    if (l->fd >= 0)
        close(l->fd);
    free(l->path);
    free(l->lock_path);
    *l = (struct listener){.fd = -1, .lock_fd = -1};
}

/* ---- readiness ---- */

int notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    size_t n;

    if (!path || (path[0] != '/' && path[0] != '@'))
        return -1;
    n = strlen(path);
    if (n >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract name space */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        return -1;
    return TAKE_FD(fd);
}

void notify_ready(int fd)
{
    static const char ready[] = "READY=1";

    /* If the service manager is gone, there is nobody to tell. */
    if (fd >= 0 && write(fd, ready, sizeof(ready) - 1) < 0)
        return;
}
