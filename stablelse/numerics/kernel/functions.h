/* Sums of two words, exponentials, sums of exponentials and logarithms, each with its error bound.

   u = 2^-53; a rounding errs by at most half a unit in the last place, so by at most u times the
   result, and by 2^(e-53) if the result is below 2^(e+1). Bounds are relative to their term, sum or
   quotient, unless they are called absolute. */
#ifndef STABLELSE_FUNCTIONS_H
#define STABLELSE_FUNCTIONS_H
#include <float.h>
#include <math.h>
#include "simd.h"
#include "tables.h"

#define MAGIC 0x1.8p52 /* MAGIC + k holds the integer k in its last bits, |k| < 2^51 */
#define LARGEST 0x1p20 /* the fast phases take rows with |max| up to this ... */
#define FAR 640        /* ... and terms down to exp(max - FAR) = exp(max) 2^-923 */
#define BLOCK (255 * LANES) /* elements summed into one vector: each lane adds up at most 256 */

INLINE real magnitude(real a) { return (real)((whole)a & INT64_MAX); }
/* a + b as words, exactly; the second form needs a = 0, |a| >= |b|, or a multiple of b's last bit */
INLINE words two_sum(real a, real b) {
    real s = a + b, t = s - a;
    return (words){s, (a - (s - t)) + (b - t)};
}
INLINE words ordered_sum(real a, real b) {
    real s = a + b;
    return (words){s, (a - s) + b};
}
/* a + b, both positive, to 2^-104: two roundings of low words below 2^-52 of the result */
INLINE words add(words a, words b) {
    words s = two_sum(a.high, b.high);
    return ordered_sum(s.high, s.low + (a.low + b.low));
}
/* 1 / a to 2^-103: one Newton step, whose square is 2^-106, and roundings of low words. (The low word of an
   accurate term or sum is 2^-37 of it; the square would be 2^-74.) */
INLINE words inverse(words a) {
    a = ordered_sum(a.high, a.low);
    real r = 1 / a.high, p = r * a.high, low = fma_(r, a.high, -p);
    return (words){r, r * (((1 - p) - low) - r * a.low)};
}
/* a b, b.low below 2^-53 of b: to 2^-102 if a.low is, too: a.low b.low is left out (2^-106), low words are
   rounded (3 x 2^-105). To 2^-88 if a.low is 2^-37 of a. */
INLINE words multiply(words a, words b) {
    real p = a.high * b.high;
    return (words){p, fma_(a.high, b.low, fma_(a.low, b.high, fma_(a.high, b.high, -p)))};
}
INLINE words scaled(words a, real power) { return (words){a.high * power, a.low * power}; }
INLINE real swapped(real a, int distance) {
    real b;
    for (int i = 0; i < LANES; i++) b[i] = a[i ^ distance];
    return b;
}
INLINE words sum_of_lanes(words S) {
    for (int w = LANES / 2; w; w /= 2) S = add(S, (words){swapped(S.high, w), swapped(S.low, w)});
    return S;
}
INLINE double largest_lane(real a) {
    double m = a[0];
    for (int i = 1; i < LANES; i++) m = a[i] > m ? a[i] : m;
    return m;
}
INLINE double smallest_lane(real a) {
    double m = a[0];
    for (int i = 1; i < LANES; i++) m = a[i] < m ? a[i] : m;
    return m;
}
/* 2^e; 0 if that is too small to matter */
static double power_of_two(double e) {
    if (e < -1000) return 0;
    union { uint64_t bits; double value; } u = {(uint64_t)(e + 1023) << 52};
    return u.value;
}
INLINE real powers_of_two(real e) { return (real)((natural)(e + (MAGIC + 1023)) << 52); } /* -1022 <= e */

/* ---- The shift. All terms of a sum are in units of 2^K, K the integer nearest to max / ln 2: so the
   largest is between 2^-0.51 and 2^0.51, x - max is not computed (nor rounded), and sums with
   different K can be merged exactly. K enters through a magic number and costs nothing. */
INLINE real shift_of(real largest) { return fma_(largest, all(STEPS / 1024), all(MAGIC)) - MAGIC; }
INLINE real magic_of(real K) { return MAGIC - 1024 * K; }
INLINE real wide_magic_of(real K) { return MAGIC - 16 * K; }

/* ---- exp(x) 2^-K = t (1 + m + l), for |x| <= 2^20 + 2^12, t 2^-1022 or more.

   Reduction. t holds k - 1024 K, k the integer nearest to x STEPS; x STEPS is off by less than 2^-22
   (u |k|, |k| < 2^30.6), so x = k ln2/1024 + r, |r| <= c = 2^-11.528. An entry of the table is
   (T, T') with 2^(j/1024) = T e^T', |T'| <= 2^-53 (and to 2^-106).
   h = x - k STEP1 is exact: STEP1 has the last bit 2^-63, x has a last bit of 2^-64 or more unless
   |x| < 2^-12, and then k is 0; so |h| < 2^-11 is a multiple of 2^-64.
   l = T' - k STEP2: |l| <= 2^-34.6; STEP2's own error 2^-119 k <= 2^-88.4, one rounding 2^-88.6,
   T' 2^-106: together 2^-87.4. If k is 0, l is 0. h is 0 or a multiple of l's last bit.
   e^x 2^-K = T 2^e e^(h + l), and e^r = 1 + r + r^2/2 + r^3 (A3 + A4 r + A5 r^2) to 2^-81.88
   (tables.py computes it).

   Quick: m = h, l = r^2 (1/2 + ..) + l, r = h + l rounded; |l| <= c^2/2 + .. <= 2^-24.05. In units
   of 2^-77: r is off by 2^-65, in r^2/2 that is c 2^-65: 1.39; the rounding of r^2 (2^-77), halved:
   0.5; that of the polynomial (2^-54 c^2): 0.96; that of l (2^-78): 0.5; the rest: 0.04 + 0.01.
   Together 3.4. sum() adds 0.96, so a sum of such terms is right to 4.4 x 2^-77 = 2^-74.86.

   Accurate: (r, l) = h + l exactly, |l| <= 2^-65; (s, s') = r^2 exactly; m = r + s/2 rounded, its
   error (r - m) + s/2 exact. l = l + l r + s'/2 + r^3 (..) + that error, |l| <= 2^-37.1. Errors:
   e^r: 2^-81.88; the reduction: 2^-87.4; left out: l r^2/2 <= 2^-89.0, s' r/6 <= 2^-91.1;
   rounded: r s (2^-88) / 6: 2^-90.6; A3 and the polynomial (2^-57.5 + 2^-56) c^3: 2^-90.1; l twice
   2^-91 and twice 2^-118. Together 2^-81.88 (1 + 0.035) = 2^-81.83. */
typedef struct { real t, m, l; } term;
INLINE term exponential(real x, real magic, int accurate) {
    real t = fma_(x, all(STEPS), magic), k = t - magic;
    words T = look_up_pairs(POWERS, (whole)t);
    real h = fma_(-k, all(STEP1), x), l = fma_(k, all(-STEP2), T.low);
    t = times_power(T.high, t, 10);
    real r = h + l, s = r * r;
    real q = fma_(fma_(all(A5), r, all(A4)), r, all(A3));
    if (!accurate) return (term){t, h, fma_(fma_(q, r, all(.5)), s, l)};
    l = (h - r) + l;
    real m = fma_(all(.5), s, r);
    l = fma_(all(.5), fma_(r, r, -s), fma_(l, r, l));
    l = fma_(q, r * s, l) + fma_(all(.5), s, r - m);
    return (term){t, m, l};
}
/* A term as words. high = t + t (m + l), or t + t m, rounded; t - high is exact (|m| < 1/2). What is
   left, t m - (high - t), is below 2^-24.05 of t (quick) or 2^-53 (accurate), so its rounding is
   at most 0.96 x 2^-77 (quick) or 2^-106; the last one is 2^-77 l at most: quick 2^-106 (it is
   a correction of a rounding then), accurate 2^-90. */
INLINE words words_of(term e, int accurate) {
    real high = fma_(e.t, accurate ? e.m : e.m + e.l, e.t);
    return (words){high, fma_(e.t, e.l, fma_(e.t, e.m, e.t - high))};
}
/* S += term, without turning the term into words. S.high starts at START, more than any term, so
   S.high - s is exact (ordered_sum), and so is adding t: S.high - s is -(t + t m + ..) to half a unit
   of s, and a multiple of t's last bit. What follows is as in words_of: 0.96 x 2^-77 of the term
   (quick); a rounding of a number below u s + 2^-24 t otherwise (2^-106 s).
   S.low: 256 additions of at most u s + 2^-37 t, each rounded. That is 2^8 x 2^8 u^2 (START + S),
   2^-90 START a lane: with 8 lanes and S >= 2^-0.51, 2^-84.4; and 2^8 u 2^-37 S (accurate): 2^-82.
   Together: quick 4.4 x 2^-77 + 2^-84 < QUICK_SUM, accurate 2^-81.83 + 2^-82 + 2^-84.4 + 2^-98
   < 2^-80.7 < ACCURATE_SUM; the lanes and blocks that are added up then: 2^-104 each. */
#define START 4
#define QUICK_SUM 0x1.2p-75    /* 4.5 x 2^-77 */
#define ACCURATE_SUM 0x1.4p-81 /* 2^-80.68 */
INLINE void sum(words *S, term e, int accurate) {
    real s = S->high + fma_(e.t, accurate ? e.m : e.m + e.l, e.t);
    S->low += fma_(e.t, e.l, fma_(e.t, e.m, (S->high - s) + e.t));
    S->high = s;
}
/* The same for a term in words, which are kept: the bounds of words_of and of sum */
INLINE void sum_words(words *S, words e) {
    real s = S->high + e.high;
    S->low += ((S->high - s) + e.high) + e.low;
    S->high = s;
}

/* ---- exp(x) 2^-K to 2^-52, for the formats narrower than float64. As above with 16 entries: |r| <= c =
   2^-5.52, e^r = 1 + r N(r) to 2^-56 (tables.py); x - k WIDE_STEP1 is exact, and what is left of
   k ln2/16 is below 2^-58 with an error of u times that. Rounded: the entry (2^-54), the result (2^-53),
   r (2^-59), t r (u c = 2^-58.5), N (u c, and u c^2): 2^-52.3 in all, with the polynomial 2^-52.1. */
#define NARROW_TERM 0x1p-52
INLINE real narrow_exponential(real x, real magic, table16 T) {
    real t = fma_(x, all(WIDE_STEPS), magic), k = t - magic;
    real r = fma_(-k, all(WIDE_STEP2), fma_(-k, all(WIDE_STEP1), x));
    real power = times_power(look_up(T, (whole)t), t, 4);
    real q = fma_(fma_(fma_(all(N5), r, all(N4)), r, all(N3)), r, all(N2));
    q = fma_(fma_(q, r, all(N1)), r, all(N0));
    return fma_(power * r, q, power);
}

/* ---- log S + K ln 2. b = S - 1, in words that are good where b is small: log(1 + b).

   S = 2^e M, 2^-0.5 <= M < 2^0.5 (to rounding), and b = M - 1 then. f = b / (2 + b), log M = 2 f +
   2 f^3/3 + ..; |f| <= 0.1716. The series stops after f^17: what is left is 2^-50.0 of it, and
   roundings, b's low word among them, are less than 2^-51: y = log M (1 + a), |a| < 2^-49.

   narrow_logarithm stops here: an error of 2^-50.9 (|log M| < 0.35), and of 2^-52.9 |L| for N ln 2 and the sum
   (two roundings).

   logarithm goes on with z = M e^-y - 1, so log M = y + z - z^2/2 ..: z^2/2 < 2^-101 |y| is left out.
   Let E = e^-y = (1 + m + l) t. z = b E + (E - 1), where E - 1 is m + l if t is 1. Products are exact
   with their low words; b E and E - 1 cancel exactly (they differ by z). Low words are below
   2^-53 |b|, but E's below 2^-37, or y^3/5 where t is 1: roundings, and b.low E.low, which is left
   out, are below 2^-88 |y|, and y^3 2^-54 or 2^-89 in all.
   E is right to 2^-81.83. Where t is 1, r is -y and the reduction exact: the series is off by at most
   r^4 (0.893 c^2 - r^2)/720, |r| <= c = ln2/2048, which is 2^-69.97 |r| at most (r = 0.73 c), and
   roundings by 2^-54 |r|^3. Together: |y| 2^-69.95 at most, and 2^-81.8 at most.
   N = e + K, |N| <= 2^22: N LN2_HIGH is exact, LN2_LOW is off by 2^-86, and two roundings of about
   N LN2_LOW < 2^-32.2 |N|: 2^-85.2 |N| each. Together |N| 2^-83.8.
   The error of S itself is not included: it adds to that of log S in absolute terms. */
typedef struct { real y, N; words M, b; } log_start;
INLINE log_start start_of_logarithm(words S, words b, real K) {
    whole e = (whole)((natural)S.high - 0x3FE6A09E667F3BCD) >> 52, within = e == 0;
    real down = (real)((natural)(1023 - e) << 52), M = S.high * down, low = S.low * down;
    b = (words){select(within, b.high, M - 1), select(within, b.low, low)};
    real f = b.high / (2 + b.high), g = f * f;
    real q = fma_(all(2. / 17), g, all(2. / 15));
    q = fma_(fma_(q, g, all(2. / 13)), g, all(2. / 11));
    q = fma_(fma_(q, g, all(2. / 9)), g, all(2. / 7));
    q = fma_(fma_(q, g, all(2. / 5)), g, all(2. / 3));
    real N = (real)(e + (whole)all(MAGIC)) - MAGIC;
    return (log_start){fma_(f * g, q, f + f), N + K, {M, low}, b};
}
INLINE real narrow_logarithm(real S, real b, real K) {
    log_start s = start_of_logarithm((words){S, all(0)}, (words){b, all(0)}, K);
    return fma_(s.N, all(LN2_HIGH), fma_(s.N, all(LN2_LOW), s.y));
}
INLINE words logarithm(words S, words b, real K, real *error) {
    log_start s = start_of_logarithm(S, b, K);
    term e = exponential(-s.y, all(MAGIC), 1);
    words E = words_of(e, 1);
    whole one = (whole)(e.t == 1);
    real below = select(one, e.m, E.high - 1), low = select(one, e.l, E.low);
    real p = s.b.high * E.high, p_low = fma_(s.b.high, E.high, -p);
    real z = (p + below) + ((p_low + low) + fma_(s.b.high, E.low, s.b.low * E.high));
    words L = two_sum(s.N * LN2_HIGH, s.y);
    *error = fma_(magnitude(s.N), all(0x1.3p-84), smaller(magnitude(s.y) * 0x1.1p-70, all(0x1.3p-82)));
    return ordered_sum(L.high, L.low + fma_(s.N, all(LN2_LOW), z));
}
#endif
