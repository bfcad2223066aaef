/* Makes the n-th call of a process that changes something below a directory fail. To be preloaded:
 *
 *   DLN_DISK_FAULT_BELOW   the directory; without it nothing fails
 *   DLN_DISK_FAULT_AT      the number n of the call, from 1; 0: none
 *   DLN_DISK_FAULT_ERRNO   the error it fails with
 *   DLN_DISK_FAULT_STAYS   1: all write and open calls after it fail too, like those on a full disk
 *   DLN_DISK_FAULT_LOG     a file outside the directory: "<call> <path>" of each call, " failed" behind those
 *                          that did
 *
 * libfiu does the same by chance or for all calls of a kind; here each call has a number, the same in every
 * run of a job on one rank. Counted: open for writing, write, fsync, fdatasync, close of a written file,
 * rename, link, unlink and mkdir. C, because a library that is preloaded must need nothing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int calls = 0;

static long number_in(const char* variable) {
    const char* text = getenv(variable);
    return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int is_below(const char* path) {
    const char* directory = getenv("DLN_DISK_FAULT_BELOW");
    return directory != NULL && path != NULL && strstr(path, directory) != NULL;
}

static void log_call(const char* call, const char* path, int fails) {
    const char* log = getenv("DLN_DISK_FAULT_LOG");
    if (log == NULL) return;
    const int file = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return;
    char line[PATH_MAX + 64];
    const int length = snprintf(line, sizeof line, "%s %s%s\n", call, path, fails ? " failed" : "");
    if (REAL(write)(file, line, (size_t)length) < 0) { /* the log is then short, and a test fails */
    }
    REAL(close)(file);
}

/* Counts a call; 1 when it must fail, with errno set. */
static int fails(const char* call, const char* path, int takes_space) {
    if (!is_below(path)) return 0;
    const long at = number_in("DLN_DISK_FAULT_AT");
    ++calls;
    const int now = at > 0 && (calls == at || (calls > at && takes_space && number_in("DLN_DISK_FAULT_STAYS")));
    log_call(call, path, now);
    if (now) errno = (int)number_in("DLN_DISK_FAULT_ERRNO");
    return now;
}

/* Of a descriptor that is open for writing, or of a directory; "" for others. */
static const char* path_of(int fd, char* path) {
    char link[64];
    path[0] = '\0';
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = '\0';
    return path;
}

static int open_checked(const char* path, int flags, mode_t mode) {
    const int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
    if (writes && fails("open", path, 1)) return -1;
    return REAL(openat)(AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments) {
    return (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, int) : 0;
}

#define DEFINE_OPEN(name)                                                  \
    int name(const char* path, int flags, ...) {                           \
        va_list arguments;                                                 \
        va_start(arguments, flags);                                        \
        const mode_t mode = mode_of(flags, arguments);                     \
        va_end(arguments);                                                 \
        return open_checked(path, flags, mode);                               \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

ssize_t write(int fd, const void* bytes, size_t count) {
    char path[PATH_MAX];
    if (fails("write", path_of(fd, path), 1)) return -1;
    return REAL(write)(fd, bytes, count);
}

int fsync(int fd) {
    char path[PATH_MAX];
    if (fails("fsync", path_of(fd, path), 0)) return -1;
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    char path[PATH_MAX];
    if (fails("fdatasync", path_of(fd, path), 0)) return -1;
    return REAL(fdatasync)(fd);
}

int close(int fd) {
    char path[PATH_MAX];
    const int flags = fcntl(fd, F_GETFL);
    const int writes = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    const int must_fail = writes && fails("close", path_of(fd, path), 0);
    const int reason = errno;
    const int result = REAL(close)(fd); /* Linux closes it also when it reports an error */
    if (!must_fail) return result;
    errno = reason;
    return -1;
}

int rename(const char* from, const char* to) {
    if (fails("rename", to, 0)) return -1;
    return REAL(rename)(from, to);
}

int link(const char* from, const char* to) {
    if (fails("link", to, 0)) return -1;
    return REAL(link)(from, to);
}

int unlink(const char* path) {
    if (fails("unlink", path, 0)) return -1;
    return REAL(unlink)(path);
}

int remove(const char* path) {
    if (fails("remove", path, 0)) return -1;
    return REAL(remove)(path);
}

int mkdir(const char* path, mode_t mode) {
    if (fails("mkdir", path, 0)) return -1;
    return REAL(mkdir)(path, mode);
}
