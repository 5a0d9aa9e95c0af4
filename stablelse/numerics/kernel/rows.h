/* Rows: how elements are read, and sums of a row's terms in one pass over it. */
#ifndef STABLELSE_ROWS_H
#define STABLELSE_ROWS_H
#include "formats.h"
#include "functions.h"

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
/* Elements i .. i + m as float64: where they are, or made in `room` (m + LANES of them). */
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

/* ---- A row's sum, (high + low) 2^K: `error` bounds it relative to itself. least, largest: its
   elements. (A NaN may hide from these two, but never from high.) */
enum { NARROW, QUICK, ACCURATE }; /* tier */
typedef struct { double K, high, low, least, largest, error; } total;

/* One block, at most BLOCK elements. wide: some may be -inf, or below max - FAR; they count as that:
   less than 2^-900 for all of them. */
INLINE words sum_block_as(const double *x, int64_t n, int wide, int tier, double largest, real K) {
    real lowest = all(largest - FAR), magic = tier == NARROW ? wide_magic_of(K) : magic_of(K);
    table16 T = table_of(POWERS16_HIGH);
    words S = {all(tier == NARROW ? 0 : START), all(0)};
    EACH(x, n, {
        real v = get(x + i, valid, -INFINITY);
        if (wide || valid < LANES) v = larger(lowest, v);
        __builtin_prefetch((const void *)((uintptr_t)(x + i) + 8 * 8 * BLOCK), 0, 3);
        if (tier == NARROW) S.high += narrow_exponential(v, magic, T);
        else sum(&S, exponential(v, magic, tier == ACCURATE), tier == ACCURATE);
    });
    if (tier != NARROW) S.high -= START; /* exact: it is a multiple of its last bit */
    return sum_of_lanes(S);
}
static words sum_block(const double *x, int64_t n, int tier, double largest, double least, real K) {
    int wide = !(least >= largest - FAR);
    if (tier == NARROW) return wide ? sum_block_as(x, n, 1, NARROW, largest, K) : sum_block_as(x, n, 0, NARROW, largest, K);
    if (tier == QUICK) return wide ? sum_block_as(x, n, 1, QUICK, largest, K) : sum_block_as(x, n, 0, QUICK, largest, K);
    return wide ? sum_block_as(x, n, 1, ACCURATE, largest, K) : sum_block_as(x, n, 0, ACCURATE, largest, K);
}
/* Adds t to s, whose units of 2^K may differ: scaled by powers of 2, and 2^-104 of error. */
INLINE void merge(total *s, const total *t) {
    double K = s->K > t->K ? s->K : t->K;
    words sum = add(scaled((words){all(s->high), all(s->low)}, all(power_of_two(s->K - K))),
                    scaled((words){all(t->high), all(t->low)}, all(power_of_two(t->K - K))));
    *s = (total){K, sum.high[0], sum.low[0], s->least < t->least ? s->least : t->least,
                 s->largest > t->largest ? s->largest : t->largest,
                 (s->error > t->error ? s->error : t->error) + 0x1p-104};
}
/* NARROW: a lane adds 256 terms, and each addition is rounded: 256 u = 2^-45; NARROW_TERM; lanes and
   blocks as above. Returns 0 if the row has NaN, inf, only -inf, or |max| > LARGEST. */
#define NARROW_SUM 0x1.81p-45
static int sum_row(const row *r, int tier, total *out) {
    static const double errors[] = {[NARROW] = NARROW_SUM, [QUICK] = QUICK_SUM, [ACCURATE] = ACCURATE_SUM};
    double room[BLOCK + LANES] ALIGNED;
    total s = {-0x1p40, 0, 0, INFINITY, -INFINITY, 0};
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        /* the second block begins at a boundary of vectors */
        int64_t over = is_plain(r) && m == BLOCK ? (int64_t)((uintptr_t)(x + m) & (8 * LANES - 1)) / 8 : 0;
        m -= over;
        total t = {.error = errors[tier]};
        t.largest = max_of(x, m, &t.least);
        if (t.largest == -INFINITY) {
            for (int64_t j = 0; j < m; j++) if (x[j] != x[j]) return 0;
            s.least = -INFINITY;
            continue;
        }
        if (!(fabs(t.largest) <= LARGEST)) return 0;
        real K = shift_of(all(t.largest));
        words S = sum_block(x, m, tier, t.largest, t.least, K);
        t.K = K[0]; t.high = S.high[0]; t.low = S.low[0];
        if (i == 0) s = t; else merge(&s, &t);
    }
    *out = s;
    return s.high > 0;
}
INLINE words log_of_total(const total *s, real *error) {
    words S = {all(s->high), all(s->low)};
    words L = logarithm(S, ordered_sum(S.high - 1, S.low), all(s->K), error);
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
