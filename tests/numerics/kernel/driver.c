/* Calls of a kernel from stdin, results to stdout: a program, to be run by an emulator of another processor.
   A call is {which, is_narrow} as int64, a job, and what its pointers point to and the states, as bytes after
   their number. Back come the count, y, the results in doubt, the signs and the states. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel.c"

enum { SETTLE, ADD_ROWS, MERGE_STATES, SETTLE_ELEMENTS };
enum { X, Y, DOUBTFUL, MASK, B, LABELS, FACTORS, TARGETS, SIGNS, STATES, ARRAYS };

int main(void) {
    int64_t head[2], sizes[ARRAYS];
    char *a[ARRAYS];
    job j;
    while (fread(head, sizeof head, 1, stdin) == 1 && fread(&j, sizeof j, 1, stdin) == 1) {
        for (int i = 0; i < ARRAYS; i++) {
            if (fread(&sizes[i], 8, 1, stdin) != 1) return 1;
            a[i] = sizes[i] ? malloc((size_t)sizes[i]) : NULL;
            if (sizes[i] && (!a[i] || fread(a[i], 1, (size_t)sizes[i], stdin) != (size_t)sizes[i])) return 1;
        }
        j.x = a[X]; j.y = a[Y]; j.doubtful = (int64_t *)a[DOUBTFUL]; j.mask = a[MASK]; j.b = a[B];
        j.labels = (int64_t *)a[LABELS]; j.factors = (double *)a[FACTORS]; j.targets = (double *)a[TARGETS];
        j.signs = (signed char *)a[SIGNS];
        state *s = (state *)a[STATES];
        int64_t count = 0;
        if (head[0] == SETTLE) count = NAMED(settle)(&j);
        else if (head[0] == ADD_ROWS) NAMED(add_rows)(&j, (int)head[1], s);
        else if (head[0] == MERGE_STATES) NAMED(merge_states)(s, s + 1);
        else count = NAMED(settle_elements)(&j, s);
        fwrite(&count, 8, 1, stdout);
        int back[] = {Y, DOUBTFUL, SIGNS, STATES};
        for (int i = 0; i < 4; i++) fwrite(a[back[i]], 1, (size_t)sizes[back[i]], stdout);
        fflush(stdout);
        for (int i = 0; i < ARRAYS; i++) free(a[i]);
    }
    return 0;
}
