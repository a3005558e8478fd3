/*
 * Faults at the system call: preloaded into a daemon or a holder, this library sees every call by which they change a
 * file in FAULT_ROOT or, if asked to, read one, and by a small control file can count them, kill the process at one of them, make them fail,
 * wait, keep a quota, write them down, and shift the clock.
 *
 * Std and sled come through libc and are seen. What rustix does by system calls of its own (the ballast's fallocate,
 * statvfs, the holder's sockets) is not. What goes to descriptors 0 to 2, such as the log of the process, is no point and
 * is not written down; on a disk whose quota is used up it fails as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Reads are looked at only while they are among the points, so that they cost nothing else. */
enum op { WRITE = 1, SYNC = 2, CREATE = 4, RENAME = 8, UNLINK = 16, TRUNCATE = 32, MKDIR = 64, RANGE = 128, READ = 256 };
enum how { BEFORE, MIDDLE, AFTER };
enum role { DAEMON = 1, HOLDER = 2, LOG_TOOL = 4 };

/* Shared with the test, which writes it with pwrite: see `Control` in shim.rs, field by field. */
struct control {
    uint64_t roles;         /* which processes are meant */
    uint64_t ops;           /* which operations are points */
    uint64_t points;        /* points passed so far */
    uint64_t kill_at;       /* the point that kills; 0: none */
    uint64_t kill_how;
    uint64_t fail_from;     /* the first point that fails; 0: none */
    uint64_t fail_until;    /* the first point after it that does not */
    uint64_t fail_errno;    /* 0: nothing fails, but with `fail_short` each read is short for as long as it lasts */
    uint64_t fail_short;    /* a write gets half of its bytes out before it fails, a read half of them in */
    uint64_t failed;        /* how many points failed so far */
    uint64_t has_quota;     /* 2: what is removed gives room again */
    int64_t quota_left;     /* bytes that files may still grow by */
    int64_t realtime_nanos; /* added to CLOCK_REALTIME */
    int64_t monotonic_nanos;
    uint64_t wait_ops;      /* operations that wait at points for as long as they are among these */
    uint64_t waiting;       /* how many do */
    char only[64];          /* points are paths with this in them, */
    char also[64];          /* with this, */
    char unless[64];        /* and without this, if it is not empty */
};

/* One operation in the trace, followed by path, second path and data. */
struct entry {
    uint64_t op, offset, path_bytes, to_bytes, data_bytes;
};

static struct control *control;
static const char *root;
static size_t root_bytes;
static int trace = -1;
/* Operations and their entries in the trace must have one order. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static enum role role(void)
{
    char line[4096];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long n = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    for (char *arg = line; n > 0 && arg < line + n; arg += strlen(arg) + 1) {
        line[n] = 0;
        if (!strcmp(arg, "--foreground"))
            return DAEMON;
        if (!strcmp(arg, "holder"))
            return HOLDER;
        if (!strcmp(arg, "log"))
            return LOG_TOOL;
    }
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("FAULT_CONTROL"), *traced = getenv("FAULT_TRACE");
    root = getenv("FAULT_ROOT");
    if (!path || !root)
        return;
    root_bytes = strlen(root);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        return;
    if (traced)
        trace = (int)syscall(SYS_openat, AT_FDCWD, traced, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (((struct control *)map)->roles & role())
        control = map;
}

static int is_ours(const char *path)
{
    return control && !strncmp(path, root, root_bytes) && (path[root_bytes] == '/' || !path[root_bytes]);
}

static int path_of(int fd, char *path)
{
    char link[32];
    if (!control || fd <= 2)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int kept = errno;
    long n = syscall(SYS_readlink, link, path, 4095);
    errno = kept;
    if (n <= 0)
        return 0;
    path[n] = 0;
    return is_ours(path);
}

static int is_point(enum op op, const char *path)
{
    if (!(control->ops & op) || !strstr(path, control->only) || !strstr(path, control->also))
        return 0;
    return !control->unless[0] || !strstr(path, control->unless);
}

/* The number of this operation among the points, or 0 when it is none. */
static uint64_t point(enum op op, const char *path)
{
    return is_point(op, path) ? ++control->points : 0;
}

/* A disk that does not answer. It is outside the lock: other operations go on meanwhile. */
static void wait_if(enum op op, const char *path)
{
    if (!(control->wait_ops & op) || !is_point(op, path))
        return;
    struct timespec pause = { 0, 2000000 };
    __atomic_add_fetch(&control->waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&control->wait_ops, __ATOMIC_SEQ_CST) & op)
        nanosleep(&pause, NULL);
    __atomic_sub_fetch(&control->waiting, 1, __ATOMIC_SEQ_CST);
}

static void kill_if(uint64_t number, enum how how)
{
    if (number && number == control->kill_at && control->kill_how == how)
        raise(SIGKILL);
}

static int fails(uint64_t number)
{
    if (!number || !control->fail_from || number < control->fail_from || number >= control->fail_until)
        return 0;
    control->failed++;
    errno = (int)control->fail_errno;
    return 1;
}

static void note(enum op op, const char *path, const char *to, const void *data, uint64_t bytes, uint64_t offset)
{
    if (trace < 0)
        return;
    int kept = errno;
    struct entry entry = { op, offset, strlen(path), to ? strlen(to) : 0, data ? bytes : 0 };
    struct iovec parts[] = { { &entry, sizeof entry },
                             { (void *)path, entry.path_bytes },
                             { (void *)to, entry.to_bytes },
                             { (void *)data, entry.data_bytes } };
    syscall(SYS_writev, trace, parts, 4);
    errno = kept;
}

static uint64_t size_of(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) ? 0 : (uint64_t)stat.st_size;
}

/* A write at this offset, or where the file stands when it is below 0. */
static long put(int fd, const void *bytes, size_t count, int64_t offset)
{
    return offset < 0 ? syscall(SYS_write, fd, bytes, count) : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

static long write_point(int fd, const char *path, const void *bytes, size_t count, int64_t offset)
{
    uint64_t number = point(WRITE, path), size = size_of(fd);
    int appends = (int)syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
    uint64_t at = offset >= 0 ? (uint64_t)offset : appends ? size : (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    kill_if(number, BEFORE);
    if (number && number == control->kill_at && control->kill_how == MIDDLE) {
        put(fd, bytes, count / 2, offset);
        raise(SIGKILL);
    }
    if (fails(number)) {
        if (!control->fail_short || count < 2)
            return -1;
        count /= 2;
        control->fail_short = 0;
    }
    int64_t growth = at + count > size ? (int64_t)(at + count - size) : 0;
    if (control->has_quota && growth > control->quota_left) {
        control->failed++;
        if (growth - control->quota_left >= (int64_t)count || control->quota_left <= 0) {
            errno = ENOSPC;
            return -1;
        }
        count -= (size_t)(growth - control->quota_left);
        growth = control->quota_left;
    }
    long written = put(fd, bytes, count, offset);
    if (written > 0) {
        if (control->has_quota)
            control->quota_left -= growth;
        note(WRITE, path, NULL, bytes, (uint64_t)written, at);
    }
    kill_if(number, AFTER);
    return written;
}

static long get(int fd, void *bytes, size_t count, int64_t offset)
{
    return offset < 0 ? syscall(SYS_read, fd, bytes, count) : syscall(SYS_pread64, fd, bytes, count, offset);
}

/* A read at this offset, or where the file stands when it is below 0. */
static ssize_t read_point(int fd, void *bytes, size_t count, int64_t offset)
{
    char path[4096];
    if (!control || !(control->ops & READ) || !path_of(fd, path))
        return get(fd, bytes, count, offset);
    pthread_mutex_lock(&one_at_a_time);
    int is_refused = fails(point(READ, path));
    if (is_refused && control->fail_short && count > 1) {
        count /= 2;
        control->fail_short = !control->fail_errno;
        is_refused = 0;
    }
    long done = is_refused && control->fail_errno ? -1 : get(fd, bytes, count, offset);
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

ssize_t read(int fd, void *bytes, size_t count)
{
    return read_point(fd, bytes, count, -1);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset)
{
    return read_point(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    char path[4096];
    if (fd == 2 && control && control->has_quota && control->quota_left <= 0) {
        errno = ENOSPC;
        return -1;
    }
    if (!path_of(fd, path))
        return syscall(SYS_write, fd, bytes, count);
    pthread_mutex_lock(&one_at_a_time);
    long written = write_point(fd, path, bytes, count, -1);
    pthread_mutex_unlock(&one_at_a_time);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    char path[4096];
    if (!path_of(fd, path))
        return syscall(SYS_pwrite64, fd, bytes, count, offset);
    pthread_mutex_lock(&one_at_a_time);
    long written = write_point(fd, path, bytes, count, offset);
    pthread_mutex_unlock(&one_at_a_time);
    return written;
}

/* A short write of the first part is a correct answer, and keeps one write one point. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char path[4096];
    if (count < 1 || !path_of(fd, path))
        return syscall(SYS_writev, fd, parts, count);
    return write(fd, parts[0].iov_base, parts[0].iov_len);
}

/* What has no data: `run` is the system call. */
#define SIMPLE_POINT(op, path, to, offset, run)                                                                        \
    wait_if(op, path);                                                                                                 \
    pthread_mutex_lock(&one_at_a_time);                                                                                \
    uint64_t number = point(op, path);                                                                                 \
    kill_if(number, BEFORE);                                                                                           \
    kill_if(number, MIDDLE);                                                                                           \
    long done = fails(number) ? -1 : (run);                                                                            \
    if (done >= 0)                                                                                                     \
        note(op, path, to, NULL, 0, offset);                                                                           \
    kill_if(number, AFTER);                                                                                            \
    pthread_mutex_unlock(&one_at_a_time);                                                                              \
    return (int)done

int fsync(int fd)
{
    char path[4096];
    if (!path_of(fd, path))
        return (int)syscall(SYS_fsync, fd);
    SIMPLE_POINT(SYNC, path, NULL, 0, syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    char path[4096];
    if (!path_of(fd, path))
        return (int)syscall(SYS_fdatasync, fd);
    SIMPLE_POINT(SYNC, path, NULL, 0, syscall(SYS_fdatasync, fd));
}

/* No promise of durability: it is a point of its own kind. */
int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    char path[4096];
    if (!path_of(fd, path))
        return (int)syscall(SYS_sync_file_range, fd, offset, count, flags);
    SIMPLE_POINT(RANGE, path, NULL, 0, syscall(SYS_sync_file_range, fd, offset, count, flags));
}

int ftruncate64(int fd, off64_t size)
{
    char path[4096];
    if (!path_of(fd, path))
        return (int)syscall(SYS_ftruncate, fd, size);
    if (control->has_quota == 2 && (uint64_t)size < size_of(fd))
        control->quota_left += (int64_t)size_of(fd) - size;
    SIMPLE_POINT(TRUNCATE, path, NULL, (uint64_t)size, syscall(SYS_ftruncate, fd, size));
}

int rename(const char *from, const char *to)
{
    if (!control || !is_ours(to))
        return (int)syscall(SYS_rename, from, to);
    SIMPLE_POINT(RENAME, from, to, 0, syscall(SYS_rename, from, to));
}

static void credit(const char *path)
{
    struct stat stat;
    if (control->has_quota == 2 && !lstat(path, &stat) && S_ISREG(stat.st_mode))
        control->quota_left += (int64_t)stat.st_blocks * 512;
}

int unlink(const char *path)
{
    if (!control || !is_ours(path))
        return (int)syscall(SYS_unlink, path);
    credit(path);
    SIMPLE_POINT(UNLINK, path, NULL, 0, syscall(SYS_unlink, path));
}

int unlinkat(int directory, const char *name, int flags)
{
    char path[8192];
    if (!path_of(directory, path))
        return (int)syscall(SYS_unlinkat, directory, name, flags);
    strcat(strcat(path, "/"), name);
    SIMPLE_POINT(UNLINK, path, NULL, 0, syscall(SYS_unlinkat, directory, name, flags));
}

int mkdir(const char *path, mode_t mode)
{
    if (!control || !is_ours(path))
        return (int)syscall(SYS_mkdir, path, mode);
    SIMPLE_POINT(MKDIR, path, NULL, 0, syscall(SYS_mkdir, path, mode));
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    struct stat stat;
    int is_there = control && is_ours(path) && !lstat(path, &stat);
    int changes = control && is_ours(path) && ((!is_there && (flags & O_CREAT)) || (is_there && (flags & O_TRUNC)));
    if (!changes)
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    enum op op = is_there ? TRUNCATE : CREATE;
    SIMPLE_POINT(op, path, NULL, 0, syscall(SYS_openat, directory, path, flags, mode));
}

#define MODE_OF(flags, mode)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(directory, path, flags | O_LARGEFILE, mode);
}

/* With this name taken, libc's own is not called, and so not the one that the kernel maps into every process. */
int clock_gettime(clockid_t which, struct timespec *time)
{
    long done = syscall(SYS_clock_gettime, which, time);
    if (done == 0 && control && (which == CLOCK_REALTIME || which == CLOCK_MONOTONIC)) {
        int64_t shift = which == CLOCK_REALTIME ? control->realtime_nanos : control->monotonic_nanos;
        int64_t nanos = time->tv_sec * 1000000000LL + time->tv_nsec + shift;
        time->tv_sec = nanos / 1000000000LL;
        time->tv_nsec = nanos % 1000000000LL;
    }
    return (int)done;
}
