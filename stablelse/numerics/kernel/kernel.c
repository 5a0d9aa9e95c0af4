/* The kernel: see kernel.h for its contract. Rows of numbers go through up to three phases:

   fast      one or two passes; float64 in two words (functions.h), other formats in float64
   careful   any finite row; dominated elements, subnormal results and ties (careful.h)
   near      logsumexp near zero (near.h)

   Each ends with Ziv's test: a value and its error bound give two numbers; if both round to the same
   number of the format, that is the correctly rounded result. If not, the next phase tries; results
   that none settles are in doubt. Short rows are done LANES at a time: a lane is a row. */
#include "short.h"
#include "state.h"
#include "labels.h"

static void extents(const job *j) {
    for (int64_t i = 0; i < j->rows; i++) {
        row r = row_of(j, i);
        extent_of(&r, j->low, j->high, (double *)j->y + 4 * i);
    }
}
/* Not inlined: no operation may move across set_rounding. */
COLD int64_t settle_rows(const job *j) {
    doubts d = {j->doubtful, j->room, 0};
    if (j->function == EXTENT) extents(j);
    else if (j->labels) labelled_rows(j, &d);
    else if (j->b) weighted_rows(j, &d);
    else if (j->length < SHORT && j->rows >= LANES / 2) short_rows(j, &d);
    else if (j->function == LOGSUMEXP) logsumexp_rows(j, &d);
    else if (j->function == SOFTMAX) softmax_rows(j, &d);
    else log_softmax_rows(j, &d);
    return d.count;
}
/* Rows that lie across memory: a few of them are copied side by side, so that each cache line is read once,
   not once for each row. */
#define TILE 2048
INLINE void copy_across(const job *j, int64_t first, int rows, int size, char *to) {
    for (int64_t i = 0; i < j->length; i++)
        for (int k = 0; k < rows; k++)
            memcpy(to + (k * j->length + i) * size, j->x + (first + k) * j->row_stride + i * j->stride,
                (size_t)size);
}
COLD int64_t settle_across(const job *j) {
    char tile[8 * LANES * TILE] ALIGNED;
    int64_t size = LAYOUTS[j->format].size, count = 0, per_row = j->function == LOGSUMEXP ? 1 : j->length;
    for (int64_t first = 0; first < j->rows; first += LANES) {
        int rows = j->rows - first < LANES ? (int)(j->rows - first) : LANES;
        job part = *j;
        if (size == 8) copy_across(j, first, rows, 8, tile);
        else if (size == 4) copy_across(j, first, rows, 4, tile);
        else if (size == 2) copy_across(j, first, rows, 2, tile);
        else copy_across(j, first, rows, 1, tile);
        part.x = tile;
        part.rows = rows;
        part.row_stride = j->length * size;
        part.stride = size;
        part.y += first * per_row * size;
        int64_t noted = count < j->room ? count : j->room;
        part.doubtful += noted;
        part.room -= noted;
        int64_t found = settle_rows(&part);
        for (int64_t i = 0; i < found && i < part.room; i++) part.doubtful[i] += first * per_row;
        count += found;
    }
    return count;
}
static int lies_across(const job *j) {
    int64_t size = LAYOUTS[j->format].size;
    return j->row_stride == size && j->stride != size && j->rows > 1 && j->length >= SHORT
        && j->length <= TILE && !j->mask && !j->b && !j->labels && j->function != EXTENT;
}
COLD int64_t settle_piece_of(const job *j, int64_t from, int64_t to, const total *s) {
    doubts d = {j->doubtful, j->room, 0};
    settle_range(j, from, to, s, &d);
    return d.count;
}
COLD void sum_piece_of(const job *j, int64_t from, int64_t to, total *out) {
    row r = row_of(j, 0);
    r.x += from * r.stride;
    r.n = to - from;
    if (r.mask) r.mask += from * r.mask_stride;
    sum_row(&r, tier_of(j), NULL, out);
}
COLD void merge_pieces_of(total *s, const total *t) { merge(s, t); }

COLD void add_rows_to(const job *j, int is_narrow, state *s) {
    for (int64_t i = 0; i < j->rows; i++) { row r = row_of(j, i); add_row(&r, is_narrow && r.format != FLOAT64, &s[i]); }
}
COLD void merge_states_of(state *s, const state *t) { merge_states(s, t); }
COLD int64_t settle_elements_of(const job *j, const state *s) {
    doubts d = {j->doubtful, j->room, 0};
    settle_elements(j, s, &d);
    return d.count;
}

#define EXPORT __attribute__((visibility("default")))
#define ROUNDING_TO_NEAREST(...) do { \
    rounding before = get_rounding(); \
    set_rounding(TO_NEAREST); \
    __VA_ARGS__; \
    set_rounding(before); \
} while (0)
EXPORT int64_t NAMED(settle)(const job *j) {
    int64_t count;
    ROUNDING_TO_NEAREST(count = lies_across(j) ? settle_across(j) : settle_rows(j));
    return count;
}
EXPORT void NAMED(sum_piece)(const job *j, int64_t from, int64_t to, total *out) {
    ROUNDING_TO_NEAREST(sum_piece_of(j, from, to, out));
}
EXPORT void NAMED(merge_pieces)(total *s, const total *t) { ROUNDING_TO_NEAREST(merge_pieces_of(s, t)); }
EXPORT int64_t NAMED(settle_piece)(const job *j, int64_t from, int64_t to, const total *s) {
    int64_t count;
    ROUNDING_TO_NEAREST(count = settle_piece_of(j, from, to, s));
    return count;
}
EXPORT void NAMED(add_rows)(const job *j, int is_narrow, state *s) { ROUNDING_TO_NEAREST(add_rows_to(j, is_narrow, s)); }
EXPORT void NAMED(merge_states)(state *s, const state *t) { ROUNDING_TO_NEAREST(merge_states_of(s, t)); }
EXPORT int64_t NAMED(settle_elements)(const job *j, const state *s) {
    int64_t count;
    ROUNDING_TO_NEAREST(count = settle_elements_of(j, s));
    return count;
}
