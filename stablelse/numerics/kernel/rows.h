/* Rows: how elements are read, and sums of a row's terms in one pass over it. */
#ifndef STABLELSE_ROWS_H
#define STABLELSE_ROWS_H
#include "formats.h"
#include "functions.h"

#define AHEAD 32768 /* bytes: what is read next is fetched this early */

typedef struct { const char *x; int64_t n, stride; int format; } row;

/* Do STEP for every vector of n elements at p, with i its first element and `valid` how many there
   are. The first vector is cut so that all others are aligned, if p is. */
#define EACH(p, n, ...) do { \
    int64_t i = 0, head_ = (int64_t)(-(uintptr_t)(p) & (8 * LANES - 1)) / 8; \
    int valid = (int)(head_ < (n) ? head_ : (n)); \
    if (valid) { __VA_ARGS__; i = valid; } \
    for (valid = LANES; i + LANES <= (n); i += LANES) { __VA_ARGS__; } \
    if (i < (n)) { valid = (int)((n) - i); __VA_ARGS__; } \
} while (0)

INLINE real get(const double *p, int valid, double other) {
    if (valid == LANES) return load(p);
    real a = all(other);
    for (int i = 0; i < valid; i++) a[i] = p[i];
    return a;
}
static int is_plain(const row *r) { /* float64, side by side, aligned */
    return r->format == FLOAT64 && r->stride == 8 && !((uintptr_t)r->x & 7);
}
INLINE void decode_all(const char *x, int64_t stride, int64_t m, const layout f, double *out) {
    for (int64_t i = 0; i < m; i += LANES) {
        int valid = m - i < LANES ? (int)(m - i) : LANES;
        store(out + i, decode(codes_of(x + i * stride, stride, f.size, valid), f));
    }
}
/* Elements i .. i + m as float64: where they are (is_plain), or in `room`, padded with -inf. */
static const double *elements(const row *r, int64_t i, int64_t m, double *room) {
    const char *x = r->x + i * r->stride;
    if (is_plain(r)) return (const double *)x;
    switch (r->format) {
    case FLOAT64:
        for (int64_t j = 0; j < m; j++) memcpy(room + j, x + j * r->stride, 8);
        break;
    case FLOAT32: {
        float a[LANES] = {0};
        int near = r->stride == 4 && !((uintptr_t)x & 3);
        for (int64_t j = 0; j < m; j += LANES) {
            const float *from = (const float *)(x + 4 * j);
            if (!near || j + LANES > m) {
                for (int64_t k = j; k < m && k < j + LANES; k++) memcpy(a + k - j, x + k * r->stride, 4);
                from = a;
            }
            store(room + j, widen(from));
        }
        break;
    }
    case FLOAT16: decode_all(x, r->stride, m, LAYOUTS[FLOAT16], room); break;
    case BFLOAT16: decode_all(x, r->stride, m, LAYOUTS[BFLOAT16], room); break;
    case FLOAT8_E4M3FN: decode_all(x, r->stride, m, LAYOUTS[FLOAT8_E4M3FN], room); break;
    default: decode_all(x, r->stride, m, LAYOUTS[FLOAT8_E5M2], room);
    }
    for (int64_t j = m; j % LANES; j++) room[j] = -INFINITY;
    return room;
}
INLINE double max_of(const double *x, int64_t n, double *least) {
    real a[4], b[4];
    int64_t i = 0;
    for (int j = 0; j < 4; j++) { a[j] = all(-INFINITY); b[j] = all(INFINITY); }
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int j = 0; j < 4; j++) {
            real v = load(x + i + j * LANES);
            a[j] = larger(a[j], v);
            b[j] = smaller(b[j], v);
        }
    for (; i < n; i += LANES) {
        int valid = n - i < LANES ? (int)(n - i) : LANES;
        real v = get(x + i, valid, x[i]);
        a[0] = larger(a[0], v);
        b[0] = smaller(b[0], v);
    }
    *least = smallest_lane(smaller(smaller(b[0], b[1]), smaller(b[2], b[3])));
    return largest_lane(larger(larger(a[0], a[1]), larger(a[2], a[3])));
}
INLINE double max_of_padded(const double *x, int64_t n) {
    real a = load(x), b = a;
    int64_t i = LANES;
    for (; i + LANES < n; i += 2 * LANES) {
        a = larger(a, load(x + i));
        b = larger(b, load(x + i + LANES));
    }
    if (i < n) a = larger(a, load(x + i));
    return largest_lane(larger(a, b));
}

/* ---- A row's total (kernel.h). `error` bounds it relative to itself. A NaN may hide from least and
   largest, but never from high. */
enum { NARROW, QUICK, ACCURATE }; /* tier */

/* One block, at most BLOCK elements. wide: some may be -inf, or below max - FAR; they count as that:
   less than 2^-900 for all of them. */
INLINE words sum_block_as(const double *x, int64_t n, int wide, int accurate, double largest, real K) {
    real lowest = all(largest - FAR), magic = magic_of(K);
    words S = {all(START), all(0)};
    EACH(x, n, {
        real v = get(x + i, valid, -INFINITY);
        if (wide || valid < LANES) v = larger(lowest, v);
        __builtin_prefetch((const void *)((uintptr_t)(x + i) + AHEAD), 0, 3);
        sum(&S, exponential(v, magic, accurate), accurate);
    });
    S.high -= START; /* exact: it is a multiple of its last bit */
    return sum_of_lanes(S);
}
/* The same for narrow formats: x is padded with -inf to full vectors. The terms go to `terms`, if
   it is not NULL. */
INLINE words sum_narrow_block(const double *x, int64_t n, double largest, real K, double *terms) {
    real lowest = all(largest - FAR), magic = wide_magic_of(K);
    table16 T = table_of(POWERS16_HIGH);
    words S = {all(0), all(0)};
    for (int64_t i = 0; i < n; i += LANES) {
        real e = narrow_exponential(larger(lowest, load(x + i)), magic, T);
        S.high += e;
        if (terms) store(terms + i, e);
    }
    return sum_of_lanes(S);
}
static words sum_block(const double *x, int64_t n, int tier, double largest, double least, real K) {
    int wide = !(least >= largest - FAR);
    if (tier == QUICK) return wide ? sum_block_as(x, n, 1, 0, largest, K) : sum_block_as(x, n, 0, 0, largest, K);
    return wide ? sum_block_as(x, n, 1, 1, largest, K) : sum_block_as(x, n, 0, 1, largest, K);
}
/* Adds t to s, whose units may differ: scaled by powers of 2, and 2^-104 of error. */
INLINE void merge(total *s, const total *t) {
    double K = s->shift > t->shift ? s->shift : t->shift;
    words sum = add(scaled((words){all(s->high), all(s->low)}, all(power_of_two(s->shift - K))),
                    scaled((words){all(t->high), all(t->low)}, all(power_of_two(t->shift - K))));
    *s = (total){K, sum.high[0], sum.low[0], s->least < t->least ? s->least : t->least,
                 s->largest > t->largest ? s->largest : t->largest,
                 (s->error > t->error ? s->error : t->error) + 0x1p-104};
}
/* NARROW: a lane adds 256 terms, and each addition is rounded: 256 u = 2^-45; NARROW_TERM; lanes and
   blocks as above. Returns 0 if the row has NaN, inf, only -inf, or |max| > LARGEST: high is NaN then,
   or 0 if all are -inf. terms: where NARROW keeps the terms of a row of one block, or NULL. */
#define NARROW_SUM 0x1.81p-45
static int sum_row(const row *r, int tier, double *terms, total *out) {
    static const double errors[] = {[NARROW] = NARROW_SUM, [QUICK] = QUICK_SUM, [ACCURATE] = ACCURATE_SUM};
    double room[BLOCK + LANES] ALIGNED;
    *out = (total){-0x1p40, 0, 0, INFINITY, -INFINITY, 0};
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        /* the second block begins at a boundary of vectors */
        if (is_plain(r) && m == BLOCK) m -= (int64_t)((uintptr_t)(x + m) & (8 * LANES - 1)) / 8;
        total t = {.error = errors[tier]};
        if (tier == NARROW) t.largest = max_of_padded(x, m);
        else t.largest = max_of(x, m, &t.least);
        if (t.largest == -INFINITY) {
            for (int64_t j = 0; j < m; j++) if (x[j] != x[j]) out->high = NAN;
            out->least = -INFINITY;
            continue;
        }
        if (!(fabs(t.largest) <= LARGEST)) { out->high = NAN; return 0; }
        real K = shift_of(all(t.largest));
        words S = tier == NARROW ? sum_narrow_block(x, m, t.largest, K, terms) : sum_block(x, m, tier, t.largest, t.least, K);
        t.shift = K[0]; t.high = S.high[0]; t.low = S.low[0];
        if (i == 0) *out = t; else merge(out, &t);
    }
    return out->high > 0;
}
INLINE words log_of_total(const total *s, real *error) {
    words S = {all(s->high), all(s->low)};
    words L = logarithm(S, ordered_sum(S.high - 1, S.low), all(s->shift), error);
    *error += s->error;
    return L;
}

/* The indices of the results that stay in doubt. */
typedef struct { int64_t *at, room, count; } doubts;
static void doubt(doubts *d, int64_t where, int64_t step, unsigned mask) {
    for (; mask; mask &= mask - 1) {
        if (d->count < d->room) d->at[d->count] = where + __builtin_ctz(mask) * step;
        d->count++;
    }
}
#endif
