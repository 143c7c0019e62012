/* Makes the n-th operation that changes a file below a folder fail, whoever asks for it: Python,
   its C code, or SQLite. Preload it (LD_PRELOAD) and call `disk_faults_arm`; a device mapper of the
   kernel does the same, but needs rights that a test has not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX]; /* empty: nothing fails */
static atomic_long seen;
static long nth;
static int error, lasting;
static char first_failed[PATH_MAX + 32];

/* error 0 only counts. lasting: all that follow fail too, with ENOSPC those that take room. */
void disk_faults_arm(const char *below, long which, int with, int for_good)
{
    seen = 0;
    nth = which;
    error = with;
    lasting = for_good;
    first_failed[0] = 0;
    strncpy(folder, below, sizeof folder - 1);
}

void disk_faults_disarm(void) { folder[0] = 0; }
long disk_faults_seen(void) { return seen; }
const char *disk_faults_failed(void) { return first_failed; }

enum room { TAKES_ROOM, TAKES_NONE };

static int is_below(const char *path)
{
    char whole[PATH_MAX];
    if (!folder[0])
        return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole / 2))
            return 0;
        strncat(whole, "/", 2);
        strncat(whole, path, sizeof whole / 2 - 2);
        path = whole;
    }
    return !strncmp(path, folder, strlen(folder));
}

static int fails(const char *what, const char *path, enum room room)
{
    if (!is_below(path))
        return 0;
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (!error || number < nth || (number > nth && !lasting))
        return 0;
    if (error == ENOSPC && room == TAKES_NONE)
        return 0;
    if (!first_failed[0])
        snprintf(first_failed, sizeof first_failed, "%s %s", what, path);
    errno = error;
    return 1;
}

static int file_fails(const char *what, int file, enum room room)
{
    char link[64], path[PATH_MAX];
    if (!folder[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(what, path, room);
}

#define REAL(result, name, ...)                                 \
    static result (*real)(__VA_ARGS__);                         \
    if (!real)                                                  \
        real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* A disk that fills up takes the first half of what no longer fits. */
static size_t half_of(size_t size) { return error == ENOSPC && lasting ? size / 2 : 0; }

ssize_t write(int file, const void *bytes, size_t size)
{
    REAL(ssize_t, write, int, const void *, size_t);
    int torn = !first_failed[0];
    if (!file_fails("write", file, TAKES_ROOM))
        return real(file, bytes, size);
    return torn && half_of(size) ? real(file, bytes, half_of(size)) : -1;
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off_t at)
{
    REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
    int torn = !first_failed[0];
    if (!file_fails("pwrite", file, TAKES_ROOM))
        return real(file, bytes, size, at);
    return torn && half_of(size) ? real(file, bytes, half_of(size), at) : -1;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    return pwrite64(file, bytes, size, at);
}

/* What a power cut would take is not the question here, and waiting for the disk is slow. */
int fsync(int file) { return file_fails("fsync", file, TAKES_ROOM) ? -1 : 0; }
int fdatasync(int file) { return file_fails("fdatasync", file, TAKES_ROOM) ? -1 : 0; }

int ftruncate64(int file, off_t size)
{
    REAL(int, ftruncate64, int, off_t);
    struct stat found;
    int grows = !fstat(file, &found) && size > found.st_size;
    return file_fails("ftruncate", file, grows ? TAKES_ROOM : TAKES_NONE) ? -1 : real(file, size);
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

static int open_fails(const char *path, int flags)
{
    struct stat found;
    if (!(flags & (O_WRONLY | O_RDWR | O_CREAT)))
        return 0;
    int makes = (flags & O_CREAT) && stat(path, &found);
    return fails("open", path, makes ? TAKES_ROOM : TAKES_NONE);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, open64, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return open_fails(path, flags) ? -1 : real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    return fails("rename", to, TAKES_ROOM) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, mkdir, const char *, mode_t);
    return fails("mkdir", path, TAKES_ROOM) ? -1 : real(path, mode);
}

int unlink(const char *path)
{
    REAL(int, unlink, const char *);
    return fails("unlink", path, TAKES_NONE) ? -1 : real(path);
}

int chmod(const char *path, mode_t mode)
{
    REAL(int, chmod, const char *, mode_t);
    return fails("chmod", path, TAKES_NONE) ? -1 : real(path, mode);
}
