/* Calls of a kernel from stdin, results to stdout: a program, to be run by an emulator of another processor.
   A call is a job, and what its pointers point to, as bytes after their number. Back come the count, y and
   the results in doubt. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel.c"

enum { X, Y, DOUBTFUL, B, SIGNS, ARRAYS };

int main(void) {
    int64_t sizes[ARRAYS];
    char *a[ARRAYS];
    job j;
    while (fread(&j, sizeof j, 1, stdin) == 1) {
        for (int i = 0; i < ARRAYS; i++) {
            if (fread(&sizes[i], 8, 1, stdin) != 1) return 1;
            a[i] = sizes[i] ? malloc((size_t)sizes[i]) : NULL;
            if (sizes[i] && (!a[i] || fread(a[i], 1, (size_t)sizes[i], stdin) != (size_t)sizes[i])) return 1;
        }
        j.x = a[X]; j.y = a[Y]; j.doubtful = (int64_t *)a[DOUBTFUL]; j.b = a[B]; j.signs = (signed char *)a[SIGNS];
        int64_t count = NAMED(settle)(&j);
        fwrite(&count, 8, 1, stdout);
        fwrite(a[Y], 1, (size_t)sizes[Y], stdout);
        fwrite(a[DOUBTFUL], 1, (size_t)sizes[DOUBTFUL], stdout);
        fflush(stdout);
        for (int i = 0; i < ARRAYS; i++) free(a[i]);
    }
    return 0;
}
