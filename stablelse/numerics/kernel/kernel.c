/* The kernel: see kernel.h for what it promises. Rows of numbers go through up to three phases:

   fast      one or two passes; float64 in two words (functions.h), other formats in float64
   careful   any finite row; dominated elements, subnormal results and ties (careful.h)
   near      logsumexp next to zero (near.h)

   Each ends with Ziv's test: a value and its error bound give two numbers; if both round to the same
   number of the format, that is the correctly rounded result. If not, the next phase tries; what
   the last one leaves is in doubt. Short rows are done LANES at a time: a lane is a row. */
#include "short.h"

COLD int64_t settle_rows(const job *j) { /* not inlined: nothing may move across set_rounding */
    doubts d = {j->doubtful, j->room, 0};
    if (j->length < SHORT && j->rows >= LANES / 2) short_rows(j, &d);
    else if (j->function == LOGSUMEXP) logsumexp_rows(j, &d);
    else for (int64_t i = 0; i < j->rows; i++) spread_row(j, i, &d);
    return d.count;
}

__attribute__((visibility("default"))) int64_t NAMED(settle)(const job *j) {
    rounding before = get_rounding();
    set_rounding(TO_NEAREST);
    int64_t count = settle_rows(j);
    set_rounding(before);
    return count;
}
