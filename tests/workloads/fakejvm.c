/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks like a HotSpot JVM at first sight, and is not what it should be at the second:
 *
 *   dies      does not catch SIGQUIT
 *   deaf      catches it, and opens no socket
 *   link      its socket is a link to PATH
 *   third     its socket is a third user's
 *   fifo      a FIFO stands in its socket's place
 *   other     another process listens on its socket
 *   silent    takes no connection
 *   endless   answers without end
 *   trigger   the file that asks for its socket is there already
 *   good      answers as HotSpot would
 *
 * Says "MODE PID", then "signal MODE" and "command MODE" when one came. Every file is made before
 * libjvm.so is mapped.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *mode;

static void say(const char *what)
{
    dprintf(STDOUT_FILENO, "%s %s\n", what, mode);
}

static void on_quit(int signo)
{
    (void)signo;
    say("signal");
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
        abort();
    return fd;
}

/* The other process; it goes with us. */
static void listen_elsewhere(const char *path)
{
    int ready[2];
    char byte;

    if (pipe(ready) < 0)
        abort();
    if (fork() == 0) {
        int fd, listener;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        listener = listen_on(path);
        close(ready[0]);
        close(ready[1]);
        while ((fd = accept(listener, NULL, NULL)) >= 0) {
            if (read(fd, &byte, 1) == 1)
                say("command");
            close(fd);
        }
        _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) < 0)
        abort();
}

static void answer(int listener)
{
    static char block[65536];
    char command[64];
    int fd = accept(listener, NULL, NULL);

    if (fd < 0)
        return;
    if (read(fd, command, sizeof(command)) > 0)
        say("command");
    if (strcmp(mode, "endless") == 0)
        while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
            ;
    else if (write(fd, "0\n", 2) != 2)
        abort();
    close(fd);
}

static int is(const char *word)
{
    return strcmp(mode, word) == 0;
}

/* Puts there what the mode is about. Returns the socket to serve, or -1. */
static int plant(const char *path, const char *target)
{
    char name[64];

    if (is("link") && (unlink(path), symlink(target, path)) < 0)
        abort();
    if (is("fifo") && (unlink(path), mkfifo(path, 0600)) < 0)
        abort();
    if (is("other"))
        listen_elsewhere(path);
    if (is("trigger")) {
        snprintf(name, sizeof(name), "/tmp/.attach_pid%d", getpid());
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    if (is("third")) {
        int fd = listen_on(path);

        if (chown(path, 12345, 12345) < 0 || chmod(path, 0777) < 0)
            abort();
        return fd;
    }
    return is("silent") || is("endless") || is("good") ? listen_on(path) : -1;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_quit};
    char path[64];
    int listener, file;

    mode = argc > 1 ? argv[1] : "dies";
    snprintf(path, sizeof(path), "/tmp/.java_pid%d", getpid());
    if (is("dies"))
        action.sa_handler = SIG_DFL; /* shells have their background jobs ignore it */
    sigaction(SIGQUIT, &action, NULL);
    listener = plant(path, argc > 2 ? argv[2] : "/nowhere");
    file = open("/libjvm.so", O_RDONLY);
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED)
        return 1;
    dprintf(STDOUT_FILENO, "%s %d\n", mode, getpid());
    while (listener >= 0 && !is("silent"))
        answer(listener);
    while (1)
        pause();
}
