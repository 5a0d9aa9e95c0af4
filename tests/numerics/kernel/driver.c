/* Settle jobs from stdin, results to stdout: a program, to be run by an emulator of another processor.
   A job is {function, format, rows, length, bytes of x, bytes of y} as int64, and x. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel.c"

int main(void) {
    int64_t head[6];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        int64_t count = head[0] == LOGSUMEXP ? head[2] : head[2] * head[3], size = LAYOUTS[head[1]].size;
        char *x = malloc((size_t)head[4]), *y = malloc((size_t)head[5]);
        int64_t *doubtful = malloc((size_t)count * 8);
        if (!x || !y || !doubtful || fread(x, 1, (size_t)head[4], stdin) != (size_t)head[4]) return 1;
        job j = {.function = (int)head[0], .format = (int)head[1], .x = x, .rows = head[2], .length = head[3], .row_stride = head[3] * size, .stride = size, .y = y, .doubtful = doubtful, .room = count};
        int64_t found = NAMED(settle)(&j);
        fwrite(&found, 8, 1, stdout);
        fwrite(y, 1, (size_t)head[5], stdout);
        fwrite(doubtful, 8, (size_t)found, stdout);
        fflush(stdout);
        free(x); free(y); free(doubtful);
    }
    return 0;
}
