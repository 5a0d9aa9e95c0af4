/* Intervals that hold the results of rows, in 128-bit integers: no floating-point operation here rounds.

   With a the largest x of a row, the pivot, and d = x - a, a term is t = exp(d), the rest R is the sum of all
   other terms, and lambda = log(1 + R): logsumexp is a + lambda, softmax t / (1 + R), log_softmax d - lambda.
   With weights, R is the sum of all b t, and lambda = log |R|. A result is right if its interval lies between the
   middles of y and its neighbours. What is not seen to be right here is left to ball arithmetic, which also
   takes the logarithm. */
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef unsigned __int128 u128;
typedef __int128 i128;
typedef struct { u128 m; int64_t k; } term; /* m 2^(k-126) */
typedef struct { int64_t m, e; } number;    /* m 2^e */
enum { LOGSUMEXP, SOFTMAX, LOG_SOFTMAX };
#define ONE ((u128)1 << 126)

/* floor(a b / 2^128) */
static u128 high(u128 a, u128 b) {
    uint64_t a0 = (uint64_t)a, b0 = (uint64_t)b;
    u128 a1 = a >> 64, b1 = b >> 64, one = a1 * b0 + ((u128)a0 * b0 >> 64), other = a0 * b1 + (uint64_t)one;
    return a1 * b1 + (one >> 64) + (other >> 64);
}
static i128 shifted(i128 a, int64_t left) { /* floor(a 2^left), modulo 2^128 */
    return left >= 128 ? 0 : left >= 0 ? (i128)((u128)a << left) : left > -128 ? a >> -left : -(a < 0);
}
static number split(double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    int64_t m = (int64_t)(bits & ~(uint64_t)0 >> 12), e = bits >> 52 & 2047;
    if (e) m |= (int64_t)1 << 52; else e = 1;
    return (number){v < 0 ? -m : m, e - 1075};
}
/* floor(v / 2^unit), modulo 2^128 */
static i128 fixed(number v, int64_t unit) { return shifted(v.m, v.e - unit); }
static int leading(u128 a) {
    return a >> 64 ? __builtin_clzll((uint64_t)(a >> 64)) : 64 + __builtin_clzll((uint64_t)a);
}
/* the sign of a 2^i - b 2^j */
static int compare(u128 a, int64_t i, u128 b, int64_t j) {
    if (!a || !b) return (a > 0) - (b > 0);
    int s = leading(a), t = leading(b);
    a <<= s, b <<= t, i -= s, j -= t;
    return i != j ? (i > j) - (i < j) : (a > b) - (a < b);
}

/* exp(x - a), x <= a, to 2^-113 of it; m = 0 where it is less than 2^-2741.
   tables: exp(j / 2^8), exp(j / 2^16), exp(j / 2^24) in units of 2^-127, then ln 2 in those of 2^-126, rounded down.
   x and a in units of 2^-115 are off by less than 1 each, k <= 2742 multiples of ln 2 by that many 2^-126: r by
   2^-113.4 in all. With q < 2^-24 left of r: q^5/120 < 2^-126.9, and each product is rounded down by a unit of 2^-126
   and has a table's error, less than a unit: 9 units. Together less than 2^-113 of t. */
static term exponential(double x, double a, const u128 *tables) {
    double d = x - a;
    if (!(d >= -1900)) return (term){0, 0};
    u128 ln2 = tables[768], m = ONE;
    int64_t k = (int64_t)(d * 1.4426950408889634);
    u128 units = (u128)fixed(split(x), -115) - (u128)fixed(split(a), -115);
    i128 r = (i128)((units << 11) - ln2 * (u128)k);
    if (r < 0) r += (i128)ln2, k--;
    if (r >= (i128)ln2) r -= (i128)ln2, k++;
    u128 q = ((u128)r & (((u128)1 << 102) - 1)) << 2;
    m = ONE + (high(q, m) >> 2);
    m = ONE + high(high(q, m), ~(u128)0 / 3);
    m = ONE + (high(q, m) >> 1);
    m = ONE + high(q, m);
    for (int i = 0; i < 3; i++) m = high(m << 1, tables[256 * i + (int)(r >> (118 - 8 * i) & 255)]);
    return (term){m, k};
}

/* The terms of rows of n finite numbers or -inf, where the pivots are, and the rests in units of 2^unit, to 3 n units.
   A term's error is 2^-113 2^(126-19) = 2^-6 units for m < 2^127, 2^-5 with a weight, of which a product is rounded by
   as little; it is rounded down by a unit. Terms that are left out are less than 2^-2741, times a weight
   below 2^1024: less than a unit together. n < 2^18, so the sum is less than 2^127. */
void sum_rows(const double *x, const double *b, int64_t rows, int64_t n, const u128 *tables, term *t, int64_t *pivot,
    i128 *rest, int64_t *unit) {
    for (int64_t row = 0; row < rows; row++, x += n, t += n, b += b ? n : 0) {
        int64_t p = 0, largest = b ? -1500 + 107 : -2700 + 107;
        for (int64_t i = 1; i < n; i++) p = x[i] > x[p] ? i : p;
        for (int64_t i = 0; i < n; i++) {
            t[i] = exponential(x[i], x[p], tables);
            if (b && b[i] != 0) {
                number w = split(fabs(b[i]));
                int s = __builtin_clzll((uint64_t)w.m) - 1;
                t[i] = (term){high(t[i].m << 1, (u128)w.m << (s + 64)), t[i].k + w.e + 63 - s};
            }
            if (t[i].m && (b ? b[i] != 0 : i != p) && t[i].k > largest) largest = t[i].k;
        }
        rest[row] = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t right = 19 + largest - t[i].k;
            if (!t[i].m || (b ? b[i] == 0 : i == p) || right > 127) continue;
            i128 v = (i128)(t[i].m >> right);
            rest[row] += b && b[i] < 0 ? -v : v;
        }
        pivot[row] = p;
        unit[row] = largest - 107;
    }
}

/* A format: its significand's bits, the exponent of its smallest number, its largest one. */
typedef struct { int64_t bits, least; double largest; } format;
#define ENDLESS ((number){1, 1 << 20})

/* The middles of y and its neighbours: what lies between them rounds to y, and to inf beyond the largest. */
static void middles(double y, const format *f, number *low, number *high_) {
    number v = split(fabs(isinf(y) ? f->largest : y));
    int64_t e = v.m ? v.e + 64 - __builtin_clzll((uint64_t)v.m) - f->bits : f->least;
    if (e < f->least) e = f->least;
    /* in units of a fourth of the distance to the next number; a power of two is nearer to the one below */
    int64_t m = (int64_t)shifted(v.m, v.e - e + 2), narrow = e > f->least && !(v.m & (v.m - 1));
    number more = {m + 2, e - 2}, less = {m - 2 + narrow, e - 2};
    if (isinf(y)) less = more, more = ENDLESS;
    *low = signbit(y) ? (number){-more.m, more.e} : less;
    *high_ = signbit(y) ? (number){-less.m, less.e} : more;
}

/* lambda: low 2^e .. high 2^e */
typedef struct { i128 low, high; int64_t e; } logarithm;

/* Does t / (1 + rest) lie between the middles? Then low (1 + rest) < t < high (1 + rest). */
static int is_quotient(term t, i128 rest, int64_t unit, int64_t n, number low, number high_) {
    if (high_.m <= 0) return 0;
    i128 one = (i128)1 << 107;
    u128 S_low = (u128)(one + shifted(rest > 3 * n ? rest - 3 * n : 0, unit + 107));
    u128 S_high = (u128)(one + shifted(rest + 3 * n, unit + 107) + 1), error = (u128)1 << 14;
    int s = leading(S_high);
    int64_t e = 56 - s - 107; /* of high(S 2^s, m 2^72) */
    if (low.m >= 0) {
        u128 least = high(S_high << s, (u128)low.m << 72) + 1;
        if (!t.m || compare(t.m - error, t.k - 126, least, low.e + e) <= 0) return 0;
    }
    if (!t.m) t = (term){1, -2741 + 126}, error = 0;
    return compare(t.m + error, t.k - 126, high(S_low << s, (u128)high_.m << 72), high_.e + e) < 0;
}
static int64_t exponent(number v) { return v.m ? v.e + 64 - __builtin_clzll((uint64_t)(v.m < 0 ? -v.m : v.m)) : -2000; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* Does x - a - lambda lie there, or for logsumexp a + lambda? In units of 2^-105, or such that all fit. */
static int is_difference(int function, number x, number a, const logarithm *l, number low, number high_) {
    int64_t size = larger(exponent(x), exponent(a));
    int no_low = low.e == ENDLESS.e, no_high = high_.e == ENDLESS.e;
    size = larger(size, larger(no_low ? 0 : exponent(low), no_high ? 0 : exponent(high_)));
    int64_t unit = larger(-105, size - 120);
    i128 l_low = shifted(l->low, l->e - unit), l_high = shifted(l->high, l->e - unit) + 1, from, to;
    if (function == LOGSUMEXP) from = fixed(a, unit), to = from + 1 + l_high, from += l_low;
    else from = fixed(x, unit) - fixed(a, unit), to = from + 1 - l_low, from -= 1 + l_high;
    return (no_low || fixed(low, unit) + 1 <= from) && (no_high || to <= fixed(high_, unit));
}
/* the sign of v 2^e - w */
static int compare_to(i128 v, int64_t e, number w) {
    if ((v < 0) != (w.m < 0)) return v < 0 ? -1 : 1;
    return v < 0 ? -compare((u128)-v, e, (u128)-w.m, w.e) : compare((u128)v, e, (u128)w.m, w.e);
}

/* Mark the results that are not seen to be right. y: one of each row for LOGSUMEXP. */
void judge_rows(int function, const double *x, const double *y, int64_t rows, int64_t n, const term *t,
    const int64_t *pivot, const i128 *rest, const int64_t *unit, const logarithm *l, const format *f, char *open) {
    for (int64_t row = 0; row < rows; row++, x += n, t += n, l++) {
        double top = x[pivot[row]];
        number a = split(top), low, high_;
        if (function == LOGSUMEXP) {
            middles(y[row], f, &low, &high_);
            open[row] = !is_difference(function, a, a, l, low, high_);
            continue;
        }
        for (int64_t i = 0; i < n; i++, y++, open++) {
            middles(*y, f, &low, &high_);
            if (isinf(x[i])) *open = *y != (function == SOFTMAX ? 0 : -INFINITY);
            else if (function == SOFTMAX) *open = !is_quotient(t[i], rest[row], unit[row], n, low, high_);
            else if (x[i] == top) { /* -lambda, however small */
                low.m = -low.m, high_.m = -high_.m;
                *open = !(compare_to(l->low, l->e, high_) > 0 && compare_to(l->high, l->e, low) < 0);
            } else *open = !is_difference(function, split(x[i]), a, l, low, high_);
        }
    }
}
