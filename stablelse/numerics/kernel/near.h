/* The third phase: logsumexp near zero, to about 2^-124, where the sum is 1 to 2^-9.

   log S for S near 1 keeps few digits of S: if |log S| is 2^-53, two words leave 2^-28 of it. */
#ifndef STABLELSE_NEAR_H
#define STABLELSE_NEAR_H
#include "functions.h"

#define NEAR 0x1p-10      /* this phase handles rows with |logsumexp| below this */
#define NEAR_LOWEST (-100) /* smaller x count as this: e^-100 < 2^-144 */

/* exp(x) = t (1 + a + b + c), for -100 <= x <= 1; |a| <= 2^-11.5, |b| <= 2^-63, |c| <= 2^-115.

   Reduction, as in exponential(): |k| < 2^17.2, so k NEAR2 (18 + 35 bits) is exact, like h, and
   p = -k NEAR2 <= 2^-48.1. low = T'' - k NEAR3 and what p + T' leaves: <= 2^-84; two roundings and
   NEAR3's own error, 2^-137 each. r = r0 + r1 + r2: |r0| <= c = 2^-11.528, |r1| <= 2^-65 or so,
   |r2| <= 2^-118.
   e^r - 1 = r + r^2/2 + r^3 V, V = 1/6 + r/24 + r^2 Q, Q = 1/5! + .. + r^4/9! (rest 2^-79.4).
   Q: F5 + a, |a| <= 2^-21 in one word: its roundings, 1/6!'s and r1/6!: 2^-72.6.
   r^2 = s + s': one rounding 2^-128, r1^2 2^-130 and 2 r0 r2 2^-128.5 left out; halved: 2^-127.9.
   r^2 Q: 2^-95.7 from Q, other errors below 2^-133. r/24 in two words: 2^-121. V: 2^-95.7.
   r V: 2^-107.2, roundings 2^-117. r^3 V: 2^-130.3, roundings 2^-141.
   The sum: ordered sums and two_sums are exact; s'/2 + (r^3 V)'s low word, 2^-75: 2^-129.
   Together: 2^-135.4 + 2^-127.9 + 2^-130.3 + 2^-129 < 2^-127 = NEAR_TERM. */
#define NEAR_TERM 0x1p-127
typedef struct { real t, a, b, c; } near_term;
INLINE real look_up_low(whole i) {
    real a;
    for (int j = 0; j < LANES; j++) a[j] = POWERS_LOW[i[j] & 1023];
    return a;
}
INLINE near_term near_exponential(real x) {
    real t = fma_(x, all(STEPS), all(MAGIC)), k = t - MAGIC;
    words T = look_up_pairs(POWERS, (whole)t);
    real lowest = look_up_low((whole)t);
    words middle = two_sum(k * -NEAR2, T.low);
    words r = two_sum(fma_(-k, all(STEP1), x), middle.high);
    words r_low = two_sum(r.low, middle.low + fma_(k, all(-NEAR3), lowest));
    real r0 = r.high, r1 = r_low.high;
    t = times_power(T.high, t, 10);

    real s = r0 * r0, s_low = fma_(2 * r0, r1, fma_(r0, r0, -s));
    real a = fma_(fma_(all(1. / 362880), r0, all(1. / 40320)), r0, all(1. / 5040));
    words Q = ordered_sum(all(F5), fma_(fma_(a, r0, all(1. / 720)), r0, all(F5_LOW)));
    real p = s * Q.high, p_low = fma_(s, Q.low, fma_(s_low, Q.high, fma_(s, Q.high, -p)));
    real g = r0 * F4, g_low = fma_(r1, all(F4), fma_(r0, all(F4_LOW), fma_(r0, all(F4), -g)));
    words G = ordered_sum(g, p), V = ordered_sum(all(F3), G.high);
    V.low += F3_LOW + (G.low + (g_low + p_low));
    real w = r0 * V.high, w_low = fma_(r1, V.high, fma_(r0, V.low, fma_(r0, V.high, -w)));
    real v = s * w, v_low = fma_(s_low, w, fma_(s, w_low, fma_(s, w, -v)));

    words e = ordered_sum(r0, .5 * s), f = ordered_sum(e.high, v);
    words b = two_sum(e.low, f.low), d = two_sum(b.high, r1);
    words h = two_sum(d.high, fma_(all(.5), s_low, v_low));
    return (near_term){t, f.high, h.high, (b.low + d.low) + (h.low + r_low.low)};
}

/* A sum as five numbers. Each starts at START[i], more than any single addend, so that its rounding
   error is exact (ordered_sum) and goes to the next.
   high takes t: what it leaves is below 2^-51 (high < 8), and small takes t a. lower takes what these
   two leave, the low word of t a and t b (2^-63): each below 2^-51, 256 of them below 2^-41 / 4.
   What lower leaves (2^-94, four times), the low word of t b and t c are added (roundings 3 x 2^-146)
   and go to lowest, whose rest (2^-135) is summed plainly: 2^-180.
   So a sum errs by NEAR_TERM S, and by 2^-144.4 + 2^-144.2 (NEAR_LOWEST) = 2^-143.3 for each element. */
typedef struct { real high, small, lower, lowest, rest; } near_sum;
#define NEAR_START ((near_sum){all(4), all(1), all(0x1p-41), all(0x1p-82), all(0)})
INLINE real into(real *S, real a) { /* S += a; returns the rounding error */
    words s = ordered_sum(*S, a);
    *S = s.high;
    return s.low;
}
INLINE void near_add(near_sum *S, real x) {
    near_term e = near_exponential(larger(all(NEAR_LOWEST), x));
    real ta = e.t * e.a, tb = e.t * e.b;
    real left = into(&S->lower, into(&S->high, e.t)) + into(&S->lower, into(&S->small, ta));
    left += into(&S->lower, fma_(e.t, e.a, -ta)) + into(&S->lower, tb);
    left += fma_(e.t, e.c, fma_(e.t, e.b, -tb));
    S->rest += into(&S->lowest, left);
}
/* Subtracts the START, exactly: all are multiples of their last bits. */
INLINE void near_unstart(near_sum *S) {
    S->high -= 4; S->small -= 1; S->lower -= 0x1p-41; S->lowest -= 0x1p-82;
}
/* S += T, after near_unstart: exactly, for high is a multiple of 2^-50 below 2, and small one of 2^-53 below 2^-11. */
INLINE void near_merge(near_sum *S, near_sum T) {
    S->high += T.high; S->small += T.small;
    words lower = two_sum(S->lower, T.lower), lowest = two_sum(S->lowest, T.lowest);
    words with = two_sum(lowest.high, lower.low);
    S->lower = lower.high; S->lowest = with.high;
    S->rest += (lowest.low + with.low) + T.rest;
}
/* log S = y0 + z, for n elements; y0 is log S to 2^-48, as the fast phase of every format has it.
   z = S e^-y0 - 1, |z| < 2^-47; z^2/2 is subtracted, z^3/3 < 2^-142 is left out.
   S = S0 + S1 + S2 with |S1| < n 2^-50, |S2| < n 2^-92; e^-y0 = E0 + E1 + E2 exactly, but for NEAR_TERM. S0 E0 - 1,
   S0 E1 and S1 E0 are exact in two words each and summed with their rounding errors; S2, all other products and the
   sums of both are rounded eight times, by n 2^-145 each, and z and z - z^2/2 once. Together: 2 NEAR_TERM and 2^-141,
   n 2^-143.3 of the sum and n 2^-142, 2^-52 |z|. */
INLINE words near_logarithm(near_sum S, real y0, double n, real *error) {
    near_term e = near_exponential(-y0);
    real ta = e.t * e.a, tb = e.t * e.b;
    words E = ordered_sum(e.t, ta), f = two_sum(E.low, fma_(e.t, e.a, -ta)), g = two_sum(f.high, tb);
    real E0 = E.high, E1 = g.high, E2 = (f.low + g.low) + fma_(e.t, e.c, fma_(e.t, e.b, -tb));
    words s = two_sum(S.high, S.small), h = two_sum(s.low, S.lower);
    real S0 = s.high, S1 = h.high, S2 = h.low + (S.lowest + S.rest);

    real p = S0 * E0, q = S0 * E1, r = S1 * E0;
    words a = two_sum(p - 1, fma_(S0, E0, -p)), b = two_sum(a.high, q), c = two_sum(b.high, r);
    real left = fma_(S0, E1, -q) + fma_(S1, E0, -r) + fma_(S0, E2, fma_(S1, E1, S2 * E0));
    real z = c.high + ((a.low + b.low) + (c.low + left));
    *error = fma_(magnitude(z), all(0x1p-52), all(0x1.1p-126 + n * 0x1p-141));
    return ordered_sum(y0, fma_(-.5 * z, z, z));
}
#endif
