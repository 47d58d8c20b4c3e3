#include "common/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

int secret_read(const char *path, char **secret, size_t *size)
{
    char bytes[SECRET_MOST_BYTES + 1];
    FILE *file = fopen(path, "re");
    size_t start = 0;
    size_t end;

    if (!file)
        return -errno;
    end = fread(bytes, 1, sizeof(bytes), file);

    int error = ferror(file) ? UV_EIO : 0;

    fclose(file);
    while (end > 0 && isspace((unsigned char)bytes[end - 1]))
        end--;
    while (start < end && isspace((unsigned char)bytes[start]))
        start++;
    if (!error && (end - start < SECRET_LEAST_BYTES || end - start > SECRET_MOST_BYTES - 1))
        error = UV_EINVAL;
    if (error)
        return error;
    *size = end - start;
    *secret = memory_copy_text(bytes + start, *size);
    return 0;
}

const char *secret_explain(int error)
{
    return error == UV_EINVAL ? "expected 16 to 4095 bytes" : uv_strerror(error);
}
