/* The kernel: logsumexp, softmax and log_softmax of rows, correctly rounded.

   kernel.c is compiled once per instruction set; each copy exports one settle function, named after
   it. settle writes every result and returns how many of them are in doubt: their bounds allow two
   numbers of the format, and the reference must settle them. All others are correctly rounded.

   Conventions: a row may hold NaN and infinities. logsumexp is NaN with a NaN, else inf with an inf,
   and -inf if all are -inf. softmax and log_softmax are NaN for the whole row if it has a NaN, an inf,
   or nothing but -inf. float8_e4m3fn has no infinity: NaN stands for it.

   settle sets round-to-nearest with gradual underflow for itself and restores the caller's state. It
   allocates nothing, keeps no state between calls, and may run in many threads at once. */
#ifndef STABLELSE_KERNEL_H
#define STABLELSE_KERNEL_H
#include <stdint.h>

enum { LOGSUMEXP, SOFTMAX, LOG_SOFTMAX, EXTENT };                                 /* function */
enum { FLOAT64, FLOAT32, FLOAT16, BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2 };         /* format */

typedef struct {
    int function, format;
    const char *x;              /* the first element of the first row */
    int64_t rows, length;       /* length >= 1 */
    int64_t row_stride, stride; /* in bytes, of any sign: from row to row, from element to element */
    char *y;                    /* rows results, or rows x length of them, in C order, in the format */
    int64_t *doubtful, room;    /* flat indices into y of the results in doubt; how many fit */
    const char *mask;           /* bytes, or NULL: where one is 0, the element counts as -inf */
    int64_t mask_row_stride, mask_stride;
    const char *b;              /* LOGSUMEXP: weights in the format of x, or NULL; y is log |sum b exp(x)| */
    int64_t b_row_stride, b_stride;
    signed char *signs;         /* rows signs of the sums, -1 or 1, or NULL; meaningless in doubt */
    double low, high;           /* EXTENT: y is rows x 4 float64: the largest and the least element (NaN with a
                                   NaN), and the numbers of finite elements below low and above high */
    const int64_t *labels;      /* labels.h: an element of each row, or NULL */
    double *losses;             /* rows losses of the labels or the targets, as high, low, error; or NULL for gradients, */
    const double *factors;      /* with rows s and o as high, low, high, low, */
    const double *targets;      /* and rows x length t, then as many low words; or NULL: all 0 */
} job;

/* The sum of one or more pieces of a row: (high + low) 2^shift. least, largest: of the elements.
   high is NaN if there is a NaN, an inf, or an element too large for this kind of sum. */
typedef struct { double shift, high, low, least, largest, error; } total;

/* What one or more pieces of a row contribute to its results: see state.h. It is empty if top is -inf and all
   else 0. */
typedef struct { double top, high, low, error, scale, near_error, near[3]; } state;

/* For each instruction set: v3 (x86-64-v3: AVX2, FMA), v4 (x86-64-v4: AVX-512), neon (aarch64).

   settle: all rows of a job. Returns the number of results in doubt. If it is more than room, count all
   results as in doubt.

   For a long row in pieces, each in its own thread: sum_piece sums elements from .. to of the job's
   first row; merge_pieces adds up two sums, in any order; settle_piece writes results from .. to
   (LOGSUMEXP: the one result) with the sum of the whole row, and counts like settle.

   For rows whose pieces are not in memory together: add_rows adds each row of a job to its own state (the
   job's function and y do not matter; is_narrow: results are wanted only in the format of x);
   merge_states adds the second state to the first; settle_elements is settle for SOFTMAX and LOG_SOFTMAX, with
   the states of the whole rows; those of the job are pieces of them. */
#define STABLELSE_KERNEL(name) \
    int64_t settle_##name(const job *); \
    void sum_piece_##name(const job *, int64_t from, int64_t to, total *); \
    void merge_pieces_##name(total *, const total *); \
    int64_t settle_piece_##name(const job *, int64_t from, int64_t to, const total *); \
    void add_rows_##name(const job *, int is_narrow, state *); \
    void merge_states_##name(state *, const state *); \
    int64_t settle_elements_##name(const job *, const state *)
STABLELSE_KERNEL(v3);
STABLELSE_KERNEL(v4);
STABLELSE_KERNEL(neon);
#endif
