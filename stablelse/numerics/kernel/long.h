/* Rows one by one: the fast phase, which passes on what it leaves in doubt. */
#ifndef STABLELSE_LONG_H
#define STABLELSE_LONG_H
#include "careful.h"

#define LONG 32768 /* rows from this length on use ACCURATE right away: some element would need it */

/* ---- logsumexp of one row that the fast phase left in doubt; y is its estimate */
static near_sum near_total(const row *r) {
    double room[BLOCK + LANES] ALIGNED;
    near_sum S = {all(0), all(0), all(0), all(0), all(0)};
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        near_sum T = NEAR_START;
        for (int64_t j = 0; j < m; j += LANES) {
            int valid = m - j < LANES ? (int)(m - j) : LANES;
            near_add(&T, get(x + j, valid, -INFINITY)); /* -inf counts as e^-100, which the bound includes */
        }
        near_unstart(&T);
        near_merge(&S, T);
    }
    for (int w = LANES / 2; w; w /= 2)
        near_merge(&S, (near_sum){swapped(S.high, w), swapped(S.small, w), swapped(S.lower, w),
            swapped(S.lowest, w), swapped(S.rest, w)});
    return S;
}
INLINE unsigned settle_near(int format, near_sum S, real y0, double n, real *y) {
    real error;
    words L = near_logarithm(S, y0, n, &error);
    return settle(format, L.high, L.low - error, L.low + error, y);
}
COLD void logsumexp_again(const row *r, double estimate, char *y, int64_t at, doubts *d) {
    real a, error;
    unsigned bad = 1;
    total s;
    if (r->format != FLOAT64 && sum_row(r, QUICK, NULL, &s)) {
        words L = log_of_total(&s, &error);
        bad = settle(r->format, L.high, L.low - error, L.low + error, &a) & 1;
    }
    if (bad && fabs(estimate) < NEAR)
        bad = settle_near(r->format, near_total(r), all(estimate), (double)(r->n + LANES), &a) & 1;
    if (bad) {
        careful c;
        prepare(&c, r);
        bad = careful_logsumexp(&c, &a) & 1;
    }
    write(r->format, y, a, 1);
    doubt(d, at, 1, bad);
}

/* ---- softmax and log_softmax of one row. Vectors in doubt wait in a queue, so that the fast loops contain
   no calls. */
#define WAITING 64
typedef struct {
    int function, count, valid[WAITING];
    int64_t at[WAITING], first; /* of the row's elements, and the row's first in y */
    char *y;
    doubts *d;
    careful c;
    /* softmax of float64: the terms' magic number, 1 / S and the error of a quotient; tier of both */
    int tier;
    real magic, lowest, gone; /* below max - FAR; below half the smallest number */
    words inverse;
    double error;
    /* log_softmax: the logarithm of the sum and its error; again: is it QUICK's (1), or is there none (-1)? */
    words L;
    real L_error;
    int again;
} queue;
INLINE unsigned careful_result(int function, const careful *c, real x, real *y) {
    return function == SOFTMAX ? careful_softmax(c, x, y) : careful_log_softmax(c, x, y);
}
/* x - L, L to `error`, is between the result + low and the result + high. Result + e = x - L.high exactly;
   e - (L.low +- error) is rounded: 2^-106 of the result, and 2^-106 |L|, which `error` must include. */
INLINE real less_log(real x, words L, real error, real *low, real *high) {
    words t = two_sum(x, -L.high);
    real c = fma_(magnitude(t.high), all(0x1p-105), error);
    *low = t.low - (L.low + c);
    *high = t.low - (L.low - c);
    return t.high;
}
/* The same rounded to float64; the lanes in doubt. */
INLINE unsigned log_quotient(real x, words L, real error, int wide, real *y) {
    real low, high, t = less_log(x, L, error, &low, &high);
    *y = t + low;
    unsigned bad = differ(*y, t + high);
    if (!wide) return bad;
    whole masked = (whole)(x == -INFINITY);
    *y = select(masked, x, *y);
    return bad & ~bits_of(masked);
}
/* log_softmax of a narrow format near zero: with the sum of QUICK. */
static unsigned log_softmax_again(queue *q, real x, real *y) {
    real low, high;
    if (!q->again) {
        total s;
        q->again = sum_row(&q->c.r, QUICK, NULL, &s) ? 1 : -1;
        q->L = log_of_total(&s, &q->L_error);
        q->L_error += magnitude(q->L.high) * 0x1p-104;
    }
    if (q->again < 0) return ~0u;
    whole masked = (whole)(x == -INFINITY);
    real t = less_log(x, q->L, q->L_error, &low, &high);
    unsigned bad = settle(q->c.r.format, t, low, high, y) & ~bits_of(masked);
    *y = select(masked, x, *y);
    return bad;
}
/* Settle a vector of the row, trying all phases. */
static void settle_vector(queue *q, int64_t i, int valid) {
    double room[2 * LANES] ALIGNED;
    const double *x = elements(&q->c.r, i, valid, room);
    real v = get(x, valid, x[0]), y = v;
    unsigned bad = 1, mask = (1u << valid) - 1;
    if (q->tier != NARROW) {
        real w = larger(q->lowest, v);
        int accurate = q->tier == ACCURATE;
        words e = accurate ? words_of(exponential(w, q->magic, 1), 1) : words_of(exponential(w, q->magic, 0), 0);
        words p = multiply(e, q->inverse);
        real error = p.high * q->error;
        bad = settle(FLOAT64, p.high, p.low - error, p.low + error, &y);
        bad = (bad | less(v, q->lowest)) & ~less(v, q->gone) & mask;
        y = zero_below(y, v, q->gone);
    } else if (q->function == LOG_SOFTMAX && q->c.r.format != FLOAT64 && !q->c.ready)
        bad = log_softmax_again(q, v, &y) & mask;
    if (bad) {
        if (!q->c.ready) prepare(&q->c, &q->c.r);
        bad = careful_result(q->function, &q->c, v, &y) & mask;
    }
    write(q->c.r.format, q->y + i * LAYOUTS[q->c.r.format].size, y, valid);
    if (bad) doubt(q->d, q->first + i, 1, bad);
}
COLD void empty_queue(queue *q) {
    for (int j = 0; j < q->count; j++) settle_vector(q, q->at[j], q->valid[j]);
    q->count = 0;
}
INLINE void enqueue(queue *q, unsigned doubtful, int64_t i, int valid) {
    q->at[q->count] = i;
    q->valid[q->count] = valid;
    q->count += doubtful != 0;
    if (UNLIKELY(q->count == WAITING)) empty_queue(q);
}

/* exp(x) / S of float64, to 2^-62.3: a table of 16 powers, each times 1/S, with the error subtracted.
   An entry is (T, T'), 2^(j/16) / S = T (1 + T' + LEAN); T' is off by 2^-105 and the error of S.
   The reduction is that of narrow_exponential; |r| <= c = 2^-5.52, l = T' - k WIDE_STEP2 (roundings 2^-86).
   exp(x) / S = T 2^e (1 + h + q), q = r^2 (Q0 + .. + Q5 r^5) + l.
   Errors in units of 2^-65: the polynomial 0.8 (tables.py); r 2^-59 off, times r: 1.42; r^2: 0.5;
   the polynomial's rounding: 0.97 + 0.01; q's: 0.5; e = T + T h is corrected by its residual, exactly
   but for 2^-106; f = T q + that: 0.97. Together 5.2, 5.3 of exp(x)/S (up to 1.022 T), and LEAN is 6.5.
   The upper bound is 2.05 LEAN higher: 6.3 with its own rounding, against 1.05 LEAN = 6.8. */
#define LEAN 0x1.ap-63
typedef struct { table16 T, low; } quotients;
INLINE quotients prepare_quotients(words inverse_) {
    double T[16] ALIGNED, low[16] ALIGNED;
    for (int i = 0; i < 16; i += LANES) {
        words p = multiply((words){load(POWERS16_HIGH + i), load(POWERS16_LOW + i)}, inverse_);
        p = ordered_sum(p.high, p.low);
        store(T + i, p.high);
        store(low + i, p.low / p.high - LEAN);
    }
    return (quotients){table_of(T), table_of(low)};
}
typedef struct { real e, low, high; } bounds; /* e + low .. e + high */
INLINE bounds lean_quotient(real x, real magic, const quotients *Q) {
    real t = fma_(x, all(WIDE_STEPS), magic), k = t - magic;
    real T = times_power(look_up(Q->T, (whole)t), t, 4);
    real l = fma_(k, all(-WIDE_STEP2), look_up(Q->low, (whole)t)), h = fma_(-k, all(WIDE_STEP1), x);
    real r = h + l;
    real q = fma_(fma_(all(Q5), r, all(Q4)), r, all(Q3));
    q = fma_(fma_(fma_(q, r, all(Q2)), r, all(Q1)), r, all(Q0));
    q = fma_(q, r * r, l);
    real e = fma_(T, h, T), f = fma_(T, q, fma_(T, h, T - e));
    return (bounds){e, f, fma_(T, all(2.05 * LEAN), f)};
}
/* Prepare what softmax needs from the sum. */
INLINE void prepare_softmax(const row *r, const total *s, queue *q) {
    q->tier = r->n < LONG ? QUICK : ACCURATE;
    q->magic = magic_of(all(s->shift));
    q->lowest = all(s->largest - FAR);
    q->gone = all(s->largest - LAYOUTS[FLOAT64].vanishing);
    q->inverse = inverse((words){all(s->high), all(s->low)});
    q->error = 2 * s->error; /* of a term and of the sum */
}
/* The same with terms that sum_row kept: a quotient has an error of twice QUICK_SUM. */
INLINE void softmax_kept(const row *r, const total *s, const double *terms, queue *q, int wide) {
    double room[BLOCK + LANES] ALIGNED;
    const double *x = elements(r, 0, r->n, room);
    real far = q->lowest;
    EACH(x, r->n, {
        words p = multiply((words){load(terms), load(terms + KEPT)}, q->inverse);
        real error = p.high * q->error, z = p.high + (p.low - error);
        unsigned bad = differ(z, p.high + (p.low + error)) & ((1u << valid) - 1);
        if (wide) {
            real v = get(x + i, valid, s->largest);
            bad = (bad | less(v, far)) & ~less(v, q->gone);
            z = zero_below(z, v, q->gone);
        }
        write(FLOAT64, q->y + 8 * i, z, valid);
        if (UNLIKELY(bad)) enqueue(q, bad, i, valid);
        terms += LANES;
    });
    empty_queue(q);
}
INLINE void softmax_row(const row *r, int64_t from, int64_t to, const total *s, queue *q, int wide) {
    double room[BLOCK + LANES] ALIGNED;
    real magic = wide_magic_of(all(s->shift));
    quotients Q = prepare_quotients(q->inverse);
    /* far ones are not exponentiated: subnormals are slow */
    real far = q->lowest, gone = q->gone, top = all(s->largest);
    for (int64_t j = from, m; j < to; j += m) {
        m = is_plain(r) || to - j < BLOCK ? to - j : BLOCK;
        const double *x = elements(r, j, m, room);
        double *y = (double *)q->y + j;
        EACH(y, m, {
            real v = get(x + i, valid, s->largest);
            bounds b = lean_quotient(wide ? replace_below(v, top, v, far) : v, magic, &Q);
            real z = b.e + b.low;
            unsigned bad = differ(z, b.e + b.high);
            if (wide) {
                bad = (bad | less(v, far)) & ~less(v, gone);
                z = zero_below(z, v, gone);
            }
            write(FLOAT64, (char *)(y + i), z, valid);
            enqueue(q, bad, j + i, valid);
        });
    }
    empty_queue(q);
}
INLINE void log_softmax_row(const row *r, int64_t from, int64_t to, const total *s, queue *q, int wide) {
    double room[BLOCK + LANES] ALIGNED;
    words L = q->L;
    real error = fma_(magnitude(L.high), all(0x1p-104), q->L_error);
    for (int64_t j = from, m; j < to; j += m) {
        m = is_plain(r) || to - j < BLOCK ? to - j : BLOCK;
        const double *x = elements(r, j, m, room);
        double *y = (double *)q->y + j;
        EACH(y, m, {
            real z;
            unsigned bad = log_quotient(get(x + i, valid, s->largest), L, error, wide, &z);
            write(FLOAT64, (char *)(y + i), z, valid);
            if (UNLIKELY(bad)) enqueue(q, bad, j + i, valid);
        });
    }
    empty_queue(q);
}

/* ---- The same for narrower formats. A logarithm: the sum's error, 2^-50.9 of the series, 2^-53 for the sum's low
   word, two roundings. A quotient: the sum's error, NARROW_TERM, and five roundings at most: 1 / S, its low word, 1 - E
   of a lower bound (E is all of this), and two products. An upper bound is more times the lower one, which may be 2 E
   below; E^2 counts little, and two more roundings 2^-52. */
INLINE real narrow_log_error(real L, real sum_error) {
    return fma_(magnitude(L), all(0x1.1p-52), sum_error + 0x1p-50);
}
#define NARROW_QUOTIENT (NARROW_TERM + 5 * 0x1p-53)
/* v - L, with two more roundings; where x is -inf so are both bounds */
INLINE void narrow_log_quotient(real x, real L, real error, real *low, real *high) {
    real t = x - L, c = fma_(smaller(all(0x1p1000), magnitude(t)), all(0x1.1p-52), error);
    *low = t - c;
    *high = t + c;
}
INLINE table16 scaled_table(real factor) {
    double t[16] ALIGNED;
    for (int i = 0; i < 16; i += LANES) store(t + i, load(POWERS16_HIGH + i) * factor);
    return table_of(t);
}
/* terms: those of elements from..to, if kept, else NULL */
INLINE void narrow_row(const row *r, int64_t from, int64_t to, int function, int format, int direct,
    const total *s, const double *terms, queue *q) {
    double room[BLOCK + LANES] ALIGNED;
    int size = LAYOUTS[format].size;
    real magic = wide_magic_of(all(s->shift)), lowest = all(s->largest - FAR), R = 1 / all(s->high);
    real L = q->L.high, error = q->L_error;
    real less_ = R * (1 - (s->error + NARROW_QUOTIENT)), more = all(1 + 2.1 * (s->error + NARROW_QUOTIENT) + 0x1p-51);
    table16 T = scaled_table(terms ? all(1) : less_);
    for (int64_t j = from, m; j < to; j += m) {
        m = to - j < BLOCK ? to - j : BLOCK;
        source x = terms ? (source){NULL, terms, m} : direct ? (source){(const float *)r->x + j, NULL, m}
            : (source){NULL, elements(r, j, m, room), m};
        char *y = q->y + j * size;
        for (int64_t i = 0; i < m; i += LANES) {
            int valid = m - i < LANES ? (int)(m - i) : LANES;
            real v = next_vector(x, i), low, high;
            if (function == SOFTMAX) {
                low = terms ? v * less_ : narrow_exponential(larger(lowest, v), magic, T);
                high = low * more;
            } else narrow_log_quotient(v, L, error, &low, &high);
            unsigned bad = settle_to(format, y + i * size, low, high, valid);
            if (UNLIKELY(bad)) enqueue(q, bad, j + i, valid);
        }
    }
    empty_queue(q);
}
static void narrow_row_of(const row *r, int64_t from, int64_t to, int function, const total *s,
    const double *terms, queue *q) {
#define OF(format, direct) if (function == LOG_SOFTMAX) narrow_row(r, from, to, LOG_SOFTMAX, format, direct, s, NULL, q); \
    else if (terms) narrow_row(r, from, to, SOFTMAX, format, direct, s, terms, q); \
    else narrow_row(r, from, to, SOFTMAX, format, direct, s, NULL, q)
    switch (r->format) {
    case FLOAT32: if (is_float32(r)) { OF(FLOAT32, 1); } else { OF(FLOAT32, 0); } break;
    case FLOAT16: OF(FLOAT16, 0); break;
    case BFLOAT16: OF(BFLOAT16, 0); break;
    case FLOAT8_E4M3FN: OF(FLOAT8_E4M3FN, 0); break;
    default: OF(FLOAT8_E5M2, 0);
    }
}

/* ---- A row with NaN or infinities, or whose largest element is too large for the fast phases: results
   from..to */
COLD void odd_row(int function, const row *r, int64_t from, int64_t to, char *y, int64_t at, doubts *d) {
    double room[BLOCK + LANES] ALIGNED;
    const layout f = LAYOUTS[r->format];
    int has_nan = 0, has_inf = 0, has_finite = 0;
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        for (int64_t k = 0; k < m; k++) {
            has_nan |= x[k] != x[k];
            has_inf |= x[k] == INFINITY;
            has_finite |= fabs(x[k]) <= DBL_MAX;
        }
    }
    if (has_nan || has_inf || !has_finite) {
        int64_t minus = f.infinity == f.nan ? f.nan : f.infinity | (int64_t)((uint64_t)1 << (8 * f.size - 1));
        if (function != LOGSUMEXP) fill(r->format, y + from * f.size, f.nan, to - from);
        else fill(r->format, y, has_nan ? f.nan : has_inf ? f.infinity : minus, 1);
        return;
    }
    if (function == LOGSUMEXP) { logsumexp_again(r, 1, y, at, d); return; }
    queue q = {.function = function, .first = at, .y = y, .d = d, .c = {.r = *r}, .tier = NARROW};
    for (int64_t i = from; i < to; i += LANES) settle_vector(&q, i, to - i < LANES ? (int)(to - i) : LANES);
}

static row row_of(const job *j, int64_t i) {
    const char *mask = j->mask ? j->mask + i * j->mask_row_stride : NULL;
    return (row){j->x + i * j->row_stride, j->length, j->stride, j->format, mask, j->mask_stride};
}
static int tier_of(const job *j) {
    return j->format != FLOAT64 ? NARROW : j->function == SOFTMAX && j->length >= LONG ? ACCURATE : QUICK;
}

/* The logarithms of LANES sums, in one word for narrow formats. */
INLINE words logs_of(int format, words S, real K, real sum_error, real *error) {
    if (format != FLOAT64) {
        real L = narrow_logarithm(S.high, S.high - 1, K);
        *error = narrow_log_error(L, sum_error);
        return (words){L, all(0)};
    }
    words L = logarithm(S, ordered_sum(S.high - 1, S.low), K, error);
    *error += sum_error;
    return L;
}
/* Results from..to of row i, from its total and, for log_softmax, the total's logarithm. known: what careful.h
   knows about the row, or NULL. */
static void spread(const job *j, int64_t i, int64_t from, int64_t to, const total *s, const double *terms,
    const careful *known, words L, real L_error, doubts *d) {
    row r = row_of(j, i);
    int64_t at = i * j->length;
    char *y = j->y + at * LAYOUTS[j->format].size;
    if (!(s->high > 0)) { odd_row(j->function, &r, from, to, y, at, d); return; }
    int wide = !(s->least >= s->largest - FAR);
    queue q;
    q.function = j->function; q.count = 0; q.first = at; q.y = y; q.d = d; q.tier = NARROW;
    q.L = L; q.L_error = L_error; q.again = 0;
    if (known) q.c = *known;
    q.c.r = r; q.c.ready = known != NULL;
    if (j->format != FLOAT64) narrow_row_of(&r, from, to, j->function, s, terms, &q);
    else if (j->function == SOFTMAX) {
        prepare_softmax(&r, s, &q);
        if (known) { q.tier = ACCURATE; q.error = s->error + ACCURATE_SUM; }
        if (terms) { if (wide) softmax_kept(&r, s, terms, &q, 1); else softmax_kept(&r, s, terms, &q, 0); }
        else { if (wide) softmax_row(&r, from, to, s, &q, 1); else softmax_row(&r, from, to, s, &q, 0); }
    }
    else { if (wide) log_softmax_row(&r, from, to, s, &q, 1); else log_softmax_row(&r, from, to, s, &q, 0); }
}
static void softmax_rows(const job *j, doubts *d) {
    double terms[2 * KEPT] ALIGNED;
    int keep = j->length < BLOCK;
    for (int64_t i = 0; i < j->rows; i++) {
        row r = row_of(j, i);
        total s;
        sum_row(&r, tier_of(j), keep ? terms : NULL, &s);
        spread(j, i, 0, j->length, &s, keep ? terms : NULL, NULL, (words){all(0), all(0)}, all(0), d);
    }
}
/* The sums of m rows, and their logarithms, a lane each; odd: rows without one. */
static words logs_of_rows(const job *j, int64_t first, int m, total *s, real *error, unsigned *odd) {
    words S = {all(1), all(0)};
    real K = all(0), sum_error = all(0);
    *odd = 0;
    for (int k = 0; k < m; k++) {
        row r = row_of(j, first + k);
        if (!sum_row(&r, tier_of(j), NULL, &s[k])) { *odd |= 1u << k; continue; }
        S.high[k] = s[k].high; S.low[k] = s[k].low; K[k] = s[k].shift; sum_error[k] = s[k].error;
    }
    return logs_of(j->format, S, K, sum_error, error);
}
static void log_softmax_rows(const job *j, doubts *d) {
    int together = j->length < BLOCK ? LANES : 1; /* while they stay in the cache */
    for (int64_t i = 0; i < j->rows; i += together) {
        int m = j->rows - i < together ? (int)(j->rows - i) : together;
        total s[LANES];
        real error;
        unsigned odd;
        words L = logs_of_rows(j, i, m, s, &error, &odd);
        for (int k = 0; k < m; k++)
            spread(j, i + k, 0, j->length, &s[k], NULL, NULL, (words){all(L.high[k]), all(L.low[k])}, all(error[k]), d);
    }
}
static void logsumexp_rows(const job *j, doubts *d) {
    int size = LAYOUTS[j->format].size;
    for (int64_t i = 0; i < j->rows; i += LANES) {
        int m = j->rows - i < LANES ? (int)(j->rows - i) : LANES;
        total s[LANES];
        real error;
        unsigned odd;
        words L = logs_of_rows(j, i, m, s, &error, &odd);
        real low = L.high + (L.low - error), high = L.high + (L.low + error);
        unsigned bad = (undecided(j->format, low, high) | odd) & ((1u << m) - 1);
        write(j->format, j->y + i * size, low, m);
        for (; bad; bad &= bad - 1) {
            int k = __builtin_ctz(bad);
            row r = row_of(j, i + k);
            if (odd >> k & 1) odd_row(LOGSUMEXP, &r, 0, 1, j->y + (i + k) * size, i + k, d);
            else logsumexp_again(&r, L.high[k], j->y + (i + k) * size, i + k, d);
        }
    }
}
/* ---- One row in pieces */
static void settle_range(const job *j, int64_t from, int64_t to, const total *s, doubts *d) {
    row r = row_of(j, 0);
    if (j->function == LOGSUMEXP && !(s->high > 0)) { odd_row(LOGSUMEXP, &r, 0, 1, j->y, 0, d); return; }
    real error;
    words L = logs_of(j->format, (words){all(s->high), all(s->low)}, all(s->shift), all(s->error), &error);
    if (j->function != LOGSUMEXP) { spread(j, 0, from, to, s, NULL, NULL, L, error, d); return; }
    real low = L.high + (L.low - error);
    write(j->format, j->y, low, 1);
    if (undecided(j->format, low, L.high + (L.low + error))) logsumexp_again(&r, L.high[0], j->y, 0, d);
}
#endif
