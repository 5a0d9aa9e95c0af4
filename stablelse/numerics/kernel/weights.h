/* log |sum of b exp(x)| and the sign of the sum, row by row. Positive and negative terms have separate sums. */
#ifndef STABLELSE_WEIGHTS_H
#define STABLELSE_WEIGHTS_H
#include "long.h"

#define FAR_BITS 900 /* terms below 2^-900 of the largest are left out: together they are below 2^-860 of it */

/* Weights are factor 2^exponent, 1 <= |factor| < 2, or 0. `level` is log2 of exp(x) 2^exponent, to 2^-20, so the term
   is less than twice as large; it is -inf without a term: b is 0, x is -inf or below -LARGEST. */
typedef struct { real x, factor, exponent, level; } weighted;
INLINE weighted weigh(real x, real b) {
    whole tiny = (whole)(magnitude(b) < 0x1p-1000);
    b *= select(tiny, all(0x1p100), all(1));
    real exponent = (real)((((whole)b >> 52) & 0x7FF) + (whole)all(MAGIC)) - (MAGIC + 1023);
    whole none = (whole)(b == 0) | (whole)(x < -LARGEST);
    exponent -= select(tiny, all(100), all(0));
    real factor = (real)(((whole)b & ~((int64_t)0x7FF << 52)) | (whole)all(1));
    real level = fma_(x, all(STEPS / 1024), exponent);
    return (weighted){x, select(none, all(0), factor), exponent, select(none, all(-INFINITY), level)};
}
/* A vector of the row, minus the origin, and its weights; invalid lanes have the weight 0. */
INLINE weighted weighted_at(const double *x, const double *b, int64_t i, int64_t m, double origin) {
    int valid = m - i < LANES ? (int)(m - i) : LANES;
    return weigh(get(x + i, valid, 0) - origin, get(b + i, valid, 0));
}
/* Adds a block's terms to P and N, in units of 2^K, and raises K if the block has larger ones. Its own units are those of
   its largest term: so, as in sum(), the bound is relative to that. A term has 2^-81.83 and two roundings of its low
   word, 2^-90 each. P and N are off by 2^-81.80 + 2^-82 of themselves and 2^-84.4 each of the largest term, which is in
   one of them: 2^-80.6 of P + N, and less than CAREFUL with the lanes, the blocks and the difference's low words
   (2^-89). */
INLINE void sum_weighted(const double *x, const double *b, int64_t m, double origin, real *K, words *P, words *N) {
    words p = {all(START), all(0)}, n = p;
    real top = all(-INFINITY);
    for (int64_t i = 0; i < m; i += LANES) top = larger(top, weighted_at(x, b, i, m, origin).level);
    double level = largest_lane(top);
    if (level == -INFINITY) return;
    real K_here = all(level) + MAGIC - MAGIC, lowest = K_here - FAR_BITS, units = larger(*K, K_here);
    for (int64_t i = 0; i < m; i += LANES) {
        weighted w = weighted_at(x, b, i, m, origin);
        real shift = K_here - w.exponent, f = magnitude(w.factor);
        real v = replace_below(w.x, shift * 0x1.62e42fefa39efp-1, w.level, lowest); /* not exponentiated */
        words t = words_of(exponential(v, magic_of(shift), 1), 1);
        real high = t.high * f, low = fma_(t.low, f, fma_(t.high, f, -high));
        whole far = (whole)(w.level < lowest), negative = (whole)(w.factor < 0);
        high = select(far, all(0), high);
        low = select(far, all(0), low);
        sum_words(&p, (words){select(negative, all(0), high), select(negative, all(0), low)});
        sum_words(&n, (words){select(negative, high, all(0)), select(negative, low, all(0))});
    }
    p.high -= START;
    n.high -= START;
    real before = all(power_of_two(((*K) - units)[0])), here = all(power_of_two((K_here - units)[0]));
    *P = add(scaled(*P, before), scaled(sum_of_lanes(p), here));
    *N = add(scaled(*N, before), scaled(sum_of_lanes(n), here));
    *K = units;
}
/* One row; returns 1 if it is in doubt, for example if a weight or an x with a weight is NaN or infinite (but not
   -inf). p is the largest x with a weight. If |p| > LARGEST / 2, all terms are those of x - p. That is exact between
   p/2 and 2 p; any other x is at least LARGEST / 4 below p, and weights make up for 2^2200 at most: it is far. */
static unsigned weighted_row(const row *x, const row *b, real *y, signed char *sign) {
    double room[BLOCK + LANES] ALIGNED, weights[BLOCK + LANES] ALIGNED, p = -INFINITY;
    *y = all(NAN);
    *sign = 0;
    for (int64_t i = 0, m; i < x->n; i += m) {
        m = x->n - i < BLOCK ? x->n - i : BLOCK;
        const double *v = elements(x, i, m, room), *f = elements(b, i, m, weights);
        for (int64_t j = 0; j < m; j++) {
            if (!(fabs(f[j]) <= DBL_MAX) || (f[j] != 0 && !(v[j] <= DBL_MAX))) return 1;
            p = f[j] != 0 && v[j] > p ? v[j] : p;
        }
    }
    if (p == -INFINITY) return *y = all(p), 0;
    double origin = fabs(p) <= LARGEST / 2 ? 0 : p;
    real K = all(-0x1p40);
    words P = {all(0), all(0)}, N = P;
    for (int64_t i = 0, m; i < x->n; i += m) {
        m = x->n - i < BLOCK ? x->n - i : BLOCK;
        sum_weighted(elements(x, i, m, room), elements(b, i, m, weights), m, origin, &K, &P, &N);
    }
    words d = two_sum(P.high, -N.high);
    words S = two_sum(d.high, d.low + (P.low - N.low));
    real relative = (P.high + N.high) * CAREFUL(x->n) / magnitude(S.high), error;
    if (!(relative[0] < 0x1p-20)) return 1;
    *sign = S.high[0] < 0 ? -1 : 1;
    S = scaled(S, all(*sign));
    words below = two_sum(S.high, all(-1));
    words L = logarithm(S, ordered_sum(below.high, below.low + S.low), K, &error);
    error = fma_(relative, all(1.0001), error);
    if (origin == 0) return settle(x->format, L.high, L.low - error, L.low + error, y) & 1;
    words s = two_sum(all(origin), L.high);
    return settle(x->format, s.high, to_odd(s.low, L.low - error), to_odd(s.low, L.low + error), y) & 1;
}
static void weighted_rows(const job *j, doubts *d) {
    for (int64_t i = 0; i < j->rows; i++) {
        row x = row_of(j, i), b = {.x = j->b + i * j->b_row_stride, .n = x.n, .stride = j->b_stride,
            .format = x.format};
        signed char sign;
        real y;
        unsigned bad = weighted_row(&x, &b, &y, &sign);
        write(x.format, j->y + i * LAYOUTS[x.format].size, y, 1);
        if (j->signs) j->signs[i] = sign;
        doubt(d, i, 1, bad);
    }
}
#endif
