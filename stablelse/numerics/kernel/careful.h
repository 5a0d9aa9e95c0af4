/* The second phase: any row with finite elements, however large, far apart or alone at the top.

   p is the largest element, rho the sum of all other terms as a multiple of exp(p), and
   lambda = log(1 + rho). Then logsumexp = p + lambda; log_softmax = (x - p) - lambda, which is
   -lambda for p itself, with all digits of a small rho; and softmax = exp(x - p) / (1 + rho). */
#ifndef STABLELSE_CAREFUL_H
#define STABLELSE_CAREFUL_H
#include "near.h"
#include "rows.h"

/* origin: 0, or p if |p| > LARGEST: x - origin is exact where x matters (between p/2 and 2 p).
   lambda is in units of 2^scale: scale is 0, or about -900 and less, where lambda is rho.
   inverse: 2^K / sum of exp(x - origin). */
typedef struct {
    row r;
    int ready, alone;
    double p, origin, copies, K, scale, quotient; /* quotient: the relative error of one */
    words rho, lambda, inverse;                   /* rho in units of 2^scale, too */
    real error;                                   /* of lambda, in its units */
} careful;

/* the largest element, and the largest below it */
static void find_largest(const row *r, double *first, double *second) {
    double room[BLOCK + LANES] ALIGNED;
    real a = all(-INFINITY), b = a;
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        for (int64_t j = 0; j < m; j += LANES) {
            real v = get(x + j, m - j < LANES ? (int)(m - j) : LANES, -INFINITY);
            real low = smaller(a, v);
            a = larger(a, v);
            b = larger(b, select((whole)(low < a), low, b));
        }
    }
    *first = largest_lane(a);
    *second = -INFINITY;
    for (int j = 0; j < LANES; j++) {
        if (a[j] < *first && a[j] > *second) *second = a[j];
        if (b[j] < *first && b[j] > *second) *second = b[j];
    }
}
/* The largest of m elements below p, less the origin, or `least` if that is more. */
static double largest_below(const double *x, int64_t m, double p, double origin, double least) {
    real top = all(least);
    for (int64_t j = 0; j < m; j += LANES) {
        real v = get(x + j, m - j < LANES ? (int)(m - j) : LANES, -INFINITY);
        top = larger(top, select((whole)(v == p), top, v - origin));
    }
    return largest_lane(top);
}
/* The terms below p, in units of 2^K; counts the copies of p. next: the largest x below it, less the origin. Each block
   has its own units, those of its largest term: the bound of sum() is relative to START. */
static words sum_below(const row *r, double p, double origin, double next, real K, double *copies) {
    double room[BLOCK + LANES] ALIGNED;
    words total = {all(0), all(0)};
    *copies = 0;
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK - LANES ? r->n - i : BLOCK - LANES;
        const double *x = elements(r, i, m, room);
        double first = m == r->n ? next : largest_below(x, m, p, origin, next - FAR);
        real K_here = shift_of(all(first)), magic = magic_of(K_here), lowest = all(first - FAR), highest = all(first);
        words S = {all(START), all(0)};
        for (int64_t j = 0; j < m; j += LANES) {
            real v = get(x + j, m - j < LANES ? (int)(m - j) : LANES, -INFINITY);
            whole equal = (whole)(v == p);
            v -= origin;
            term e = exponential(smaller(highest, larger(lowest, v)), magic, 1);
            e.t = select(equal, all(0), zero_below(e.t, v, lowest));
            sum(&S, e, 1);
            *copies += __builtin_popcount(bits_of(equal));
        }
        S.high -= START;
        total = add(total, scaled(sum_of_lanes(S), all(power_of_two(K_here[0] - K[0]))));
    }
    return total;
}
/* rho: its sum errs by ACCURATE_SUM, exp(p) by 2^-81.83, products and the inverse by 2^-88: 2^-80.1. A
   quotient: two terms (2^-81.83) and a sum, at most ACCURATE_SUM and 2^-81.83, too. Both 2^-104 more for each
   block, of 2^8 elements or more. */
#define CAREFUL(n) (0x1p-80 + (double)(n) * 0x1p-112)
static void prepare(careful *c, const row *r) {
    double next;
    c->r = *r;
    c->ready = 1;
    find_largest(r, &c->p, &next);
    c->origin = fabs(c->p) > LARGEST ? c->p : 0;
    c->alone = next == -INFINITY;
    int vanishing = c->p - next > 2000; /* rho < 2^-2800 */
    double p = c->p - c->origin, below = vanishing ? p - 2000 : next - c->origin;
    real K = shift_of(all(p)), K_below = shift_of(all(below));
    words rest = sum_below(r, c->p, c->origin, below, K_below, &c->copies);
    words one = words_of(exponential(all(p), magic_of(K), 1), 1);
    double extra = c->copies - 1, scale = K_below[0] - K[0];
    words part = scaled(rest, all(power_of_two(scale)));
    words many = multiply(one, (words){all(c->copies), all(0)});
    c->K = K[0];
    c->inverse = inverse(add(many, part));
    c->scale = 0;
    c->quotient = CAREFUL(r->n);
    c->error = all(0);
    if (p - below > FAR && extra == 0 && !c->alone) { /* lambda is rho, to 2^-900 of it */
        c->scale = scale;
        c->rho = c->lambda = multiply(rest, inverse(one));
        c->error = c->lambda.high * CAREFUL(r->n);
        return;
    }
    words rho = c->rho = add(multiply(part, inverse(one)), (words){all(extra), all(0)});
    c->lambda = logarithm(add(rho, (words){all(1), all(0)}), rho, all(0), &c->error);
    if (!c->alone) c->error += smaller(all(1), rho.high) * CAREFUL(r->n); /* d log(1 + rho) = d rho / (1 + rho) */
}

/* a + b rounded to odd: if it is not exact, the last bit of the result is 1. A sum of this and of
   a much larger number, or its rounding to fewer bits, then gives the same result as the exact a + b. */
INLINE real to_odd(real a, real b) {
    words s = two_sum(a, b);
    whole inexact = (whole)(s.low != 0), bits = (whole)s.high;
    whole step = 1 - 2 * (((bits ^ (whole)s.low) >> 63) & 1);
    return (real)(bits + (inexact & ~-(bits & 1) & step));
}
/* a + b, where b is known to lie between low and high: rounded, and the lanes in doubt. */
INLINE unsigned settle(int format, real a, real low, real high, real *y) {
    if (format == FLOAT64) { low = a + low; high = a + high; }
    else { low = to_odd(a, low); high = to_odd(a, high); }
    *y = low + 0; /* not -0 */
    return undecided(format, low, high);
}
/* The float64 nearest to (high + low +- error) 2^-512, which may be subnormal: then adding 2^-510, whose
   last bit is 2^(512 - 1074), rounds to a multiple of the smallest number. v must be in order, or its sum could be on
   the other side of 2^-510 than its high word. */
INLINE unsigned settle_scaled(words v, real error, real *y) {
    v = ordered_sum(v.high, v.low);
    real unit = select((whole)(v.high < 0), all(-0x1p-510), all(0x1p-510));
    unit = select((whole)(magnitude(v.high) < 0x1p-510), unit, all(0));
    words s = two_sum(unit, v.high);
    error += magnitude(s.low) * 0x1p-52; /* the roundings of the next two sums */
    real low = s.high + (s.low + (v.low - error)), high = s.high + (s.low + (v.low + error));
    *y = (low - unit) * 0x1p-512 + 0;
    return differ(low, high);
}
INLINE words lambda_scaled(const careful *c) { return scaled(c->lambda, all(power_of_two(c->scale + 512))); }

/* p + lambda */
INLINE unsigned careful_logsumexp(const careful *c, real *y) {
    real p = all(c->p);
    if (c->scale == 0) {
        words s = two_sum(p, c->lambda.high);
        real low = to_odd(s.low, c->lambda.low - c->error), high = to_odd(s.low, c->lambda.low + c->error);
        return settle(c->r.format, s.high, low, high, y);
    }
    *y = p + 0;
    if (c->r.format != FLOAT64 || fabs(c->p) >= 0x1p-500) return 0; /* lambda < 2^-850 */
    words lambda = lambda_scaled(c), s = two_sum(p * 0x1p512, lambda.high);
    return settle_scaled((words){s.high, s.low + lambda.low},
        c->error * power_of_two(c->scale + 512) + magnitude(s.low) * 0x1p-52, y);
}
/* (x - p) - lambda. x - p = d + d', a + b = d - lambda, then b + d' + (lambda's low word and the error):
   all exact, except one rounding that is added to the error, until it is rounded to odd. So lambda may
   be tiny: if x - p is a tie, lambda breaks it. Numbers near overflow are scaled by 2^-60, so that only
   the result can overflow. */
INLINE unsigned careful_log_softmax(const careful *c, real x, real *y) {
    whole masked = (whole)(x == -INFINITY), same = (whole)(x == c->p);
    real f = select((whole)(magnitude(x) > 0x1p1000) | (whole)(all(fabs(c->p)) > 0x1p1000), all(0x1p-60), all(1));
    words d = two_sum(x * f, -c->p * f);
    unsigned bad;
    if (c->scale == 0) {
        words s = two_sum(d.high, -c->lambda.high * f), t = two_sum(s.low, d.low);
        real error = c->error * f + magnitude(t.low) * 0x1p-52, l = c->lambda.low * f;
        real low = to_odd(t.high, t.low - (l + error)), high = to_odd(t.high, t.low - (l - error));
        bad = settle(c->r.format, s.high, low, high, y);
    } else {
        real z, low = to_odd(d.low, all(-0x1p-900));
        bad = settle(c->r.format, d.high, low, low, y) & ~bits_of(same);
        unsigned own = settle_scaled(lambda_scaled(c), c->error * power_of_two(c->scale + 512), &z);
        if (c->r.format != FLOAT64) { own = 0; z = all(0); } /* lambda < 2^-850 */
        bad |= own & bits_of(same);
        *y = select(same, 0 - z, *y);
    }
    *y = select(masked, all(-INFINITY), *y / f + 0);
    return bad & ~bits_of(masked);
}
/* exp(x - p) / (1 + rho) */
INLINE unsigned careful_softmax(const careful *c, real x, real *y) {
    int wide = c->r.format == FLOAT64;
    double p = c->p - c->origin;
    real v = x - c->origin, lowest = all(p - LAYOUTS[c->r.format].vanishing);
    if (c->alone) { /* 1 / copies, exactly: the only quotient that can be a tie */
        real q = all(1 / c->copies), left = q * fma_(-q, all(c->copies), all(1));
        *y = zero_below(wide ? q : to_odd(q, left), x, all(c->p));
        return 0;
    }
    whole far = (whole)(v < p - FAR); /* these in units of 2^-512 */
    term e = exponential(larger(v, lowest - 1), magic_of(c->K - select(far, all(512), all(0))), 1);
    words q = multiply(words_of(e, 1), c->inverse);
    real error = q.high * c->quotient, z;
    unsigned bad = settle(c->r.format, q.high, q.low - error, q.low + error, y);
    if (wide && bits_of(far)) {
        unsigned bad_far = settle_scaled(q, error, &z), mask = bits_of(far);
        *y = select(far, z, *y);
        bad = (bad & ~mask) | (bad_far & mask);
    }
    *y = zero_below(*y, v, lowest);
    return bad & ~less(v, lowest);
}
#endif
