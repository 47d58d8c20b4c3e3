/* For the fuzzers of what is read from files: a file in memory, which leaves nothing behind. */
#ifndef TESTS_FUZZ_MEMORY_FILE_H
#define TESTS_FUZZ_MEMORY_FILE_H

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct memory_file {
    int descriptor;
    char path[32]; /* whoever opens it reads from the beginning */
};

static inline void memory_file_create(struct memory_file *file)
{
    file->descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    assert(file->descriptor >= 0);
    snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->descriptor);
}

static inline void memory_file_write(const struct memory_file *file, const void *data, size_t size)
{
    int result = ftruncate(file->descriptor, 0);

    assert(result == 0);

    ssize_t written = pwrite(file->descriptor, data, size, 0);

    assert(written == (ssize_t)size);
}

#endif
