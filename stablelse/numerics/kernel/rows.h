/* Rows: how elements are read, and sums of a row's terms in one pass over it. */
#ifndef STABLELSE_ROWS_H
#define STABLELSE_ROWS_H
#include "formats.h"
#include "functions.h"

#define AHEAD 32768 /* bytes: prefetch this far ahead */

typedef struct { const char *x; int64_t n, stride; int format; const char *mask; int64_t mask_stride; } row;

/* Do STEP for every vector of n elements at p, with i its first element and `valid` their number.
   The first vector is cut so that all others are aligned, if p is. */
#define EACH(p, n, ...) do { \
    int64_t i = 0, head_ = (int64_t)(-(uintptr_t)(p) & (8 * LANES - 1)) / 8; \
    int valid = (int)(head_ < (n) ? head_ : (n)); \
    if (valid) { __VA_ARGS__; i = valid; } \
    for (valid = LANES; i + LANES <= (n); i += LANES) { __VA_ARGS__; } \
    if (i < (n)) { valid = (int)((n) - i); __VA_ARGS__; } \
} while (0)

INLINE real get(const double *p, int valid, double other) {
    return valid == LANES ? load(p) : load_part(p, valid, all(other));
}
static int is_plain(const row *r) { /* float64, side by side, aligned, not masked */
    return r->format == FLOAT64 && !r->mask && r->stride == 8 && !((uintptr_t)r->x & 7);
}
static int is_float32(const row *r) {
    return r->format == FLOAT32 && !r->mask && r->stride == 4 && !((uintptr_t)r->x & 3);
}
INLINE void decode_all(const char *x, int64_t stride, int64_t m, const layout f, double *out) {
    for (int64_t i = 0; i < m; i += LANES) {
        int valid = m - i < LANES ? (int)(m - i) : LANES, whole_vector = stride == f.size && valid == LANES;
        const char *p = x + i * stride;
        if (whole_vector && f.size == 2) store(out + i, f.fraction == 10 ? widen_float16(p) : widen_bfloat16(p));
        else store(out + i, decode(codes_of(p, stride, f.size, valid), f));
    }
}
/* Vector i of n float32 side by side, padded with -inf */
INLINE real get_float32(const float *x, int64_t i, int64_t n) {
    return i + LANES <= n ? widen(x + i) : widen_part(x + i, (int)(n - i), -INFINITY);
}
/* Elements i .. i + m as float64: in place (is_plain), or in `room`, padded with -inf. */
static const double *elements(const row *r, int64_t i, int64_t m, double *room) {
    const char *x = r->x + i * r->stride;
    if (is_plain(r)) return (const double *)x;
    switch (r->format) {
    case FLOAT64:
        for (int64_t j = 0; j < m; j++) memcpy(room + j, x + j * r->stride, 8);
        break;
    case FLOAT32:
        if (r->stride == 4 && !((uintptr_t)x & 3)) {
            for (int64_t j = 0; j < m; j += LANES) store(room + j, get_float32((const float *)x, j, m));
            break;
        }
        for (int64_t j = 0; j < m; j++) {
            float a;
            memcpy(&a, x + j * r->stride, 4);
            room[j] = a;
        }
        break;
    case FLOAT16: decode_all(x, r->stride, m, LAYOUTS[FLOAT16], room); break;
    case BFLOAT16: decode_all(x, r->stride, m, LAYOUTS[BFLOAT16], room); break;
    case FLOAT8_E4M3FN: decode_all(x, r->stride, m, LAYOUTS[FLOAT8_E4M3FN], room); break;
    default: decode_all(x, r->stride, m, LAYOUTS[FLOAT8_E5M2], room);
    }
    for (int64_t j = 0; r->mask && j < m; j++) if (!r->mask[(i + j) * r->mask_stride]) room[j] = -INFINITY;
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
/* Elements of a narrow format: vector i of n, in place if they are float32, or in `room`. */
typedef struct { const float *direct; const double *room; int64_t n; } source;
INLINE real next_vector(source s, int64_t i) { return s.direct ? get_float32(s.direct, i, s.n) : load(s.room + i); }
INLINE source source_of(const row *r, int64_t i, int64_t m, double *room) {
    if (is_float32(r)) return (source){(const float *)r->x + i, NULL, m};
    return (source){NULL, elements(r, i, m, room), m};
}
INLINE double max_of_source(source s, double *least) {
    real a = all(-INFINITY), b = all(INFINITY);
    int64_t i = 0;
    if (s.direct && s.n >= 4 * LANES) {
        floats c[2], d[2];
        for (int j = 0; j < 2; j++) memcpy(&c[j], s.direct + 2 * j * LANES, sizeof c[j]);
        d[0] = c[0]; d[1] = c[1];
        for (i = 4 * LANES; i + 4 * LANES <= s.n; i += 4 * LANES)
            for (int j = 0; j < 2; j++) {
                floats v;
                memcpy(&v, s.direct + i + 2 * j * LANES, sizeof v);
                c[j] = larger_floats(c[j], v);
                d[j] = smaller_floats(d[j], v);
            }
        floats found[2] = {larger_floats(c[0], c[1]), smaller_floats(d[0], d[1])};
        float out[4 * LANES];
        memcpy(out, found, sizeof out);
        a = larger(widen(out), widen(out + LANES));
        b = smaller(widen(out + 2 * LANES), widen(out + 3 * LANES));
    }
    for (; i < s.n; i += LANES) {
        real v = next_vector(s, i);
        a = larger(a, v);
        b = smaller(b, v); /* with the padding, a last vector makes the row wide */
    }
    *least = smallest_lane(b);
    return largest_lane(a);
}

/* Facts about a row: EXTENT of kernel.h. Elements beyond the bounds are counted only if there may be any. */
typedef struct { real a, b; unsigned nan; } ends;
INLINE void find_ends(ends *e, real v) {
    e->a = larger(e->a, v);
    e->b = smaller(e->b, v);
    e->nan |= differ(v, v);
}
COLD void extent_of(const row *r, double low, double high, double *out) {
    double room[BLOCK + LANES] ALIGNED, below = 0, above = 0, least = INFINITY, largest = -INFINITY;
    real none = all(-INFINITY), every = all(INFINITY);
    unsigned nan = 0;
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        ends e[4] = {{none, every, 0}, {none, every, 0}, {none, every, 0}, {none, every, 0}};
        int64_t j = 0;
        for (; j + 4 * LANES <= m; j += 4 * LANES)
            for (int k = 0; k < 4; k++) find_ends(&e[k], load(x + j + k * LANES));
        for (; j < m; j += LANES) find_ends(&e[0], get(x + j, m - j < LANES ? (int)(m - j) : LANES, x[j]));
        double a = largest_lane(larger(larger(e[0].a, e[1].a), larger(e[2].a, e[3].a)));
        double b = smallest_lane(smaller(smaller(e[0].b, e[1].b), smaller(e[2].b, e[3].b)));
        nan |= e[0].nan | e[1].nan | e[2].nan | e[3].nan;
        largest = a > largest ? a : largest;
        least = b < least ? b : least;
        for (j = 0; j < m && !(b >= low && a <= high && !nan); j++) {
            below += x[j] < low && x[j] > -INFINITY;
            above += x[j] > high && x[j] < INFINITY;
        }
    }
    out[0] = nan ? NAN : largest;
    out[1] = nan ? NAN : least;
    out[2] = below;
    out[3] = above;
}

/* ---- A row's total (kernel.h). `error` bounds it relative to itself. A NaN may hide from least and
   largest, but never from high. */
enum { NARROW, QUICK, ACCURATE }; /* tier */

/* One block, at most BLOCK elements. wide: some may be -inf or below max - FAR, and count as max - FAR:
   less than 2^-900 for all of them. kept: where to keep the terms, high words and KEPT further low words,
   vector by vector of EACH(x, n), or NULL. */
#define KEPT (BLOCK + 2 * LANES)
INLINE words sum_block_as(const double *x, int64_t n, int wide, int accurate, double largest, real K,
    double *kept) {
    real lowest = all(largest - FAR), magic = magic_of(K);
    words S = {all(START), all(0)};
    EACH(x, n, {
        real v = get(x + i, valid, -INFINITY);
        if (wide || valid < LANES) v = larger(lowest, v);
        __builtin_prefetch((const void *)((uintptr_t)(x + i) + AHEAD), 0, 3);
        term e = exponential(v, magic, accurate);
        if (kept) {
            words w = words_of(e, accurate);
            sum_words(&S, w);
            store(kept, w.high);
            store(kept + KEPT, w.low);
            kept += LANES;
        } else sum(&S, e, accurate);
    });
    S.high -= START; /* exact: it is a multiple of its last bit */
    return sum_of_lanes(S);
}
/* The same for narrow formats. Every 16 terms are added up plainly, and their sums as words. The terms are
   stored in `terms`, if it is not NULL. */
INLINE words sum_source(source x, int wide, double largest, real K, double *terms) {
    real lowest = all(largest - FAR), magic = wide_magic_of(K);
    table16 T = table_of(POWERS16_HIGH);
    words S = {all(0), all(0)};
    for (int64_t i = 0; i < x.n;) {
        real part = all(0);
        for (int64_t end = x.n - i < 16 * LANES ? x.n : i + 16 * LANES; i < end; i += LANES) {
            real v = next_vector(x, i), e = narrow_exponential(wide ? larger(lowest, v) : v, magic, T);
            part += e;
            if (terms) store(terms + i, e);
        }
        S = add(S, (words){part, all(0)});
    }
    return sum_of_lanes(S);
}
/* NARROW: 15 additions are rounded, 15 u; NARROW_TERM is 2 u: 17 u; lanes and blocks as above. */
#define NARROW_SUM 0x1.1p-49
/* The total of one block; m may be made smaller. If all elements are -inf, its sum is 0. */
static int64_t sum_block(const row *r, int64_t i, int64_t m, int accurate, double *kept, total *t) {
    double room[BLOCK + LANES] ALIGNED;
    const double *x = elements(r, i, m, room);
    /* the next block begins at a boundary of vectors */
    if (is_plain(r) && m == BLOCK) m -= (int64_t)((uintptr_t)(x + m) & (8 * LANES - 1)) / 8;
    t->error = accurate ? ACCURATE_SUM : QUICK_SUM;
    double p = t->largest = max_of(x, m, &t->least);
    if (p == -INFINITY) { for (int64_t j = 0; j < m; j++) t->high += x[j] != x[j] ? NAN : 0; return m; }
    if (!(fabs(p) <= LARGEST)) { t->high = NAN; return m; }
    real K = shift_of(all(p));
    int wide = !(t->least >= p - FAR);
    words S = kept ? wide ? sum_block_as(x, m, 1, 0, p, K, kept) : sum_block_as(x, m, 0, 0, p, K, kept)
        : accurate ? wide ? sum_block_as(x, m, 1, 1, p, K, NULL) : sum_block_as(x, m, 0, 1, p, K, NULL)
        : wide ? sum_block_as(x, m, 1, 0, p, K, NULL) : sum_block_as(x, m, 0, 0, p, K, NULL);
    t->shift = K[0]; t->high = S.high[0]; t->low = S.low[0];
    return m;
}
INLINE void sum_source_to(source x, double *terms, total *t) {
    t->error = NARROW_SUM;
    t->largest = max_of_source(x, &t->least);
    if (t->largest == -INFINITY) {
        for (int64_t j = 0; j < x.n; j += LANES) { real v = next_vector(x, j); t->high += differ(v, v) ? NAN : 0; }
        return;
    }
    if (!(fabs(t->largest) <= LARGEST)) { t->high = NAN; return; }
    real K = shift_of(all(t->largest));
    words S = t->least >= t->largest - FAR ? sum_source(x, 0, t->largest, K, terms)
                                           : sum_source(x, 1, t->largest, K, terms);
    t->shift = K[0]; t->high = S.high[0]; t->low = S.low[0];
}
static void sum_narrow_block(const row *r, int64_t i, int64_t m, double *terms, total *t) {
    double room[BLOCK + LANES] ALIGNED;
    source x = source_of(r, i, m, room);
    if (x.direct) sum_source_to((source){x.direct, NULL, m}, terms, t);
    else sum_source_to((source){NULL, room, m}, terms, t);
}
/* Adds t to s. Their units may differ: this scales by powers of 2, and adds an error of 2^-104. */
INLINE void merge(total *s, const total *t) {
    double K = s->shift > t->shift ? s->shift : t->shift;
    words sum = add(scaled((words){all(s->high), all(s->low)}, all(power_of_two(s->shift - K))),
                    scaled((words){all(t->high), all(t->low)}, all(power_of_two(t->shift - K))));
    *s = (total){K, sum.high[0], sum.low[0], s->least < t->least ? s->least : t->least,
                 s->largest > t->largest ? s->largest : t->largest,
                 (s->error > t->error ? s->error : t->error) + 0x1p-104};
}
/* The total of a row. Returns 0 if it has NaN, inf or |max| > LARGEST (high is NaN then), or only -inf (0).
   terms: where to keep the terms of a row shorter than BLOCK, if its tier is NARROW or QUICK, or NULL. */
static int sum_row(const row *r, int tier, double *terms, total *out) {
    for (int64_t i = 0, m; i < r->n; i += m) {
        total t = {-0x1p40, 0, 0, INFINITY, -INFINITY, 0};
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        if (tier == NARROW) sum_narrow_block(r, i, m, terms, &t);
        else m = sum_block(r, i, m, tier == ACCURATE, terms, &t);
        if (i == 0) *out = t;
        else merge(out, &t);
    }
    return out->high > 0;
}
INLINE words log_of_total(const total *s, real *error) {
    words S = {all(s->high), all(s->low)};
    words L = logarithm(S, ordered_sum(S.high - 1, S.low), all(s->shift), error);
    *error += s->error;
    return L;
}

/* The indices of results that stay in doubt. */
typedef struct { int64_t *at, room, count; } doubts;
static void doubt(doubts *d, int64_t where, int64_t step, unsigned mask) {
    for (; mask; mask &= mask - 1) {
        if (d->count < d->room) d->at[d->count] = where + __builtin_ctz(mask) * step;
        d->count++;
    }
}
#endif
