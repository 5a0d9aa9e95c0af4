/* Short rows, LANES at a time: a lane is a row, a vector is the j-th elements of the rows. */
#ifndef STABLELSE_SHORT_H
#define STABLELSE_SHORT_H
#include "long.h"

#define SHORT 128 /* rows shorter than this are short */
typedef struct { double at[SHORT * LANES] ALIGNED; } block; /* element j of row r is at[j * LANES + r] */

/* The elements of `valid` rows; the others are 0. */
INLINE void read_lanes(const job *j, int64_t first, int valid, block *t) {
    double room[(SHORT + 1) * LANES] ALIGNED;
    const double *x = room;
    int64_t n = j->length, i = 0;
    row r = row_of(j, first);
    if (j->row_stride == n * j->stride && valid == LANES
        && (!j->mask || j->mask_row_stride == n * j->mask_stride)) x = elements(&r, 0, n * LANES, room); /* one row of all */
    else for (int k = 0; k < LANES; k++) {
        double *to = room + k * n;
        r = row_of(j, first + k);
        const double *from = k < valid ? elements(&r, 0, n, to) : NULL;
        if (!from) memset(to, 0, (size_t)n * 8);
        else if (from != to) memcpy(to, from, (size_t)n * 8);
    }
    for (; i + LANES <= n; i += LANES) {
        real v[LANES];
        for (int k = 0; k < LANES; k++) v[k] = load(x + k * n + i);
        transpose(v);
        for (int k = 0; k < LANES; k++) store(t->at + (i + k) * LANES, v[k]);
    }
    for (; i < n; i++) {
        real v;
        for (int k = 0; k < LANES; k++) v[k] = x[k * n + i];
        store(t->at + i * LANES, v);
    }
}
/* The results of `valid` rows, side by side at y. */
INLINE void write_lanes(int format, const block *t, int64_t n, int valid, char *y) {
    double flat[(SHORT + 1) * LANES] ALIGNED, *out = format == FLOAT64 && valid == LANES ? (double *)y : flat;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        real v[LANES];
        for (int k = 0; k < LANES; k++) v[k] = load(t->at + (i + k) * LANES);
        transpose(v);
        for (int k = 0; k < LANES; k++) store(out + k * n + i, v[k]);
    }
    for (; i < n; i++) for (int k = 0; k < LANES; k++) out[k * n + i] = t->at[i * LANES + k];
    if (out != flat) return;
    for (int64_t m = n * valid, k = 0; k < m; k += LANES)
        write(format, y + k * LAYOUTS[format].size, load(flat + k), m - k < LANES ? (int)(m - k) : LANES);
}
INLINE real largest_of_lanes(const block *t, int64_t n) {
    real a = load(t->at);
    for (int64_t i = 1; i < n; i++) a = larger(a, load(t->at + i * LANES));
    return a;
}
/* the largest element below the largest, or max - FAR if that is more */
INLINE real next_of_lanes(const block *t, int64_t n, real largest) {
    real a = largest - FAR;
    for (int64_t i = 0; i < n; i++) {
        real v = load(t->at + i * LANES);
        a = larger(a, select((whole)(v < largest), v, a));
    }
    return a;
}

/* Sums of exp(x) of all elements (below: of those below the largest, with the number of the others), in
   units of 2^K, where K is the shift of `first`. Elements below it by more than FAR count as FAR below.
   kept: where to keep the terms, or NULL. */
INLINE words sum_lanes(const block *t, int64_t n, int format, int below, real largest, real first,
    real *copies, block *kept, block *kept_low) {
    real K = shift_of(first), lowest = first - FAR, magic = magic_of(K), wide_magic = wide_magic_of(K);
    table16 T = table_of(POWERS16_HIGH);
    words S = {all(format == FLOAT64 ? START : 0), all(0)};
    real part = all(0);
    *copies = all(0);
    for (int64_t i = 0; i < n; i++) {
        real v = load(t->at + i * LANES), w = larger(lowest, v);
        whole top = (whole)(v == largest);
        if (below) *copies += select(top, all(1), all(0));
        if (format != FLOAT64) {
            real e = narrow_exponential(w, wide_magic, T);
            if (below) e = select(top, all(0), e);
            part += e; /* 16 terms are added up plainly, as in sum_narrow_block */
            if (i % 16 == 15 || i == n - 1) { S = add(S, (words){part, all(0)}); part = all(0); }
            if (kept) store(kept->at + i * LANES, e);
            continue;
        }
        term e = exponential(w, magic, 0);
        if (below) e.t = select(top, all(0), e.t);
        if (kept) {
            words k = words_of(e, 0);
            sum_words(&S, k);
            store(kept->at + i * LANES, k.high);
            store(kept_low->at + i * LANES, k.low);
        } else sum(&S, e, 0);
    }
    if (format == FLOAT64) { S.high -= START; S = ordered_sum(S.high, S.low); }
    return S;
}

/* Rows in doubt, one by one. bad: the rows; elements: those of them in doubt, or NULL. */
typedef struct { unsigned odd, bad, columns[SHORT]; } verdict;

/* Take the lanes in doubt from y, except `left`; returns the lanes left. */
INLINE unsigned take_settled(real *to, real y, unsigned doubtful, unsigned left) {
    for (unsigned settled = doubtful & ~left; settled; settled &= settled - 1) {
        int k = __builtin_ctz(settled);
        (*to)[k] = y[k];
    }
    return doubtful & left;
}
INLINE void short_logsumexp(const job *j, int format, int64_t first, int valid, const block *t, real largest,
    real K, verdict *v) {
    real copies, error, y;
    int size = LAYOUTS[format].size;
    words S = sum_lanes(t, j->length, format, 0, largest, largest, &copies, NULL, NULL);
    words L = logs_of(format, S, K, all(format == FLOAT64 ? QUICK_SUM : NARROW_SUM), &error);
    real estimate = L.high, low = L.high + (L.low - error), high = L.high + (L.low + error);
    v->odd |= ~less(all(0), S.high);
    unsigned bad = undecided(format, low, high) & ~v->odd & ((1u << valid) - 1);
    if (UNLIKELY(bad) && format != FLOAT64) {
        S = sum_lanes(t, j->length, FLOAT64, 0, largest, largest, &copies, NULL, NULL);
        L = logs_of(FLOAT64, S, K, all(QUICK_SUM), &error);
        unsigned left = settle(format, L.high, L.low - error, L.low + error, &y);
        bad = take_settled(&low, y, bad, left);
    }
    if (UNLIKELY(less(magnitude(estimate), all(NEAR)) & bad)) {
        near_sum N = NEAR_START;
        for (int64_t i = 0; i < j->length; i++) near_add(&N, load(t->at + i * LANES));
        near_unstart(&N);
        unsigned left = settle_near(format, N, estimate, (double)j->length, &y);
        bad = take_settled(&low, y, bad, left | ~less(magnitude(estimate), all(NEAR)));
    }
    write(format, j->y + first * size, low, valid);
    v->bad = bad;
}
INLINE void short_softmax(int format, block *t, int64_t n, real largest, verdict *v) {
    block kept, kept_low;
    real copies;
    words S = sum_lanes(t, n, format, 0, largest, largest, &copies, &kept, format == FLOAT64 ? &kept_low : NULL);
    v->odd |= ~less(all(0), S.high);
    if (format != FLOAT64) {
        real R = 1 / S.high, less_ = R * (1 - (NARROW_SUM + NARROW_QUOTIENT)),
            more = R * (1 + (NARROW_SUM + NARROW_QUOTIENT));
        for (int64_t i = 0; i < n; i++) {
            real e = load(kept.at + i * LANES), low = e * less_;
            v->columns[i] = undecided(format, low, e * more);
            v->bad |= v->columns[i];
            store(t->at + i * LANES, low);
        }
        return;
    }
    words R = inverse(S);
    real far = largest - FAR, gone = largest - LAYOUTS[FLOAT64].vanishing;
    for (int64_t i = 0; i < n; i++) {
        real x = load(t->at + i * LANES), y;
        words p = multiply((words){load(kept.at + i * LANES), load(kept_low.at + i * LANES)}, R);
        real error = p.high * (2 * QUICK_SUM);
        unsigned bad = settle(FLOAT64, p.high, p.low - error, p.low + error, &y);
        unsigned below = less(x, far);
        if (UNLIKELY(below)) {
            y = zero_below(y, x, gone);
            bad = (bad | below) & ~less(x, gone);
        }
        v->columns[i] = bad;
        v->bad |= bad;
        store(t->at + i * LANES, y);
    }
}
/* Differences x - p of short numbers are often ties, and even a tiny lambda breaks them: as in
   careful_log_softmax, in the lanes of `bad`. Returns the lanes still in doubt. */
INLINE unsigned short_tie(int format, real x, real p, real lambda, real error, unsigned bad, real *y) {
    words d = two_sum(x, -p);
    real low = to_odd(d.high, to_odd(d.low, -lambda - error)), high = to_odd(d.high, to_odd(d.low, error - lambda));
    return take_settled(y, low, bad, undecided(format, low, high));
}
/* lambda = log(1 + rho) as in careful.h, but with the fast phase's terms: so the largest element, which
   often dominates a short row, keeps the digits of a small rho. All other terms are in units of the
   largest of them, since the bound of sum() is relative to START. If they are all below max - FAR, or
   close to it, we only know that rho is below 2^-900: then in float64 the largest element is in doubt;
   in other formats its result is 0, and lambda breaks ties.
   rho errs by QUICK_SUM, and the term of the largest by 2^-74.86: 2^-73.8 = 2 QUICK_SUM. */
INLINE void short_log_softmax(int format, block *t, int64_t n, real largest, real K, verdict *v) {
    real copies, error, next = format == FLOAT64 ? next_of_lanes(t, n, largest) : largest;
    words S = sum_lanes(t, n, format, 1, largest, next, &copies, NULL, NULL);
    if (format != FLOAT64) {
        table16 T = table_of(POWERS16_HIGH);
        real rho = S.high / narrow_exponential(largest, wide_magic_of(K), T) + (copies - 1);
        real lambda = narrow_logarithm(1 + rho, rho, all(0)), L = largest + lambda;
        v->odd |= ~less(all(-1), rho);
        /* rho: two terms' errors and a sum's; relative to lambda, with rho / (1 + rho) <= lambda */
        error = narrow_log_error(L, all(2 * NARROW_SUM));
        real own = lambda * (2 * NARROW_SUM + 0x1p-48);
        real y[SHORT];
        for (int64_t i = 0; i < n; i++) {
            real x = load(t->at + i * LANES), low, high;
            whole top = (whole)(x == largest);
            narrow_log_quotient(x, L, error, &low, &high);
            low = select(top, -lambda - own, low);
            high = select(top, own - lambda, high);
            v->columns[i] = undecided(format, low, high);
            v->bad |= v->columns[i];
            y[i] = low;
        }
        if (UNLIKELY(v->bad & ~v->odd)) {
            v->bad = 0;
            for (int64_t i = 0; i < n; i++) {
                real x = load(t->at + i * LANES);
                if (v->columns[i]) v->columns[i] = short_tie(format, x, largest, lambda, own, v->columns[i], &y[i]);
                v->bad |= v->columns[i];
            }
        }
        for (int64_t i = 0; i < n; i++) store(t->at + i * LANES, y[i]);
        return;
    }
    words one = words_of(exponential(largest, magic_of(K), 0), 0);
    words rho = multiply(scaled(S, powers_of_two(shift_of(next) - K)), inverse(one));
    unsigned vanishing = less(rho.high, all(0x1p-900));
    rho = add(rho, (words){copies - 1, all(0)});
    words lambda = logarithm(add(rho, (words){all(1), all(0)}), rho, all(0), &error);
    error = fma_(smaller(all(1), rho.high), all(2 * QUICK_SUM), error);
    words L = two_sum(largest, lambda.high);
    L.low += lambda.low;
    v->odd |= ~less(all(-1), rho.high);
    real own, c = fma_(magnitude(L.high), all(0x1p-104), error);
    unsigned own_bad = settle(FLOAT64, -lambda.high, -lambda.low - error, error - lambda.low, &own) | vanishing;
    for (int64_t i = 0; i < n; i++) {
        real x = load(t->at + i * LANES), y;
        whole top = (whole)(x == largest);
        unsigned bad = log_quotient(x, L, c, 1, &y), mask = bits_of(top);
        v->columns[i] = (bad & ~mask) | (own_bad & mask);
        v->bad |= v->columns[i];
        store(t->at + i * LANES, select(top, own, y));
    }
}
/* Settle the rows in doubt of a block, one by one. */
COLD void settle_left(const job *j, int64_t first, int valid, const verdict *v, doubts *d) {
    int size = LAYOUTS[j->format].size;
    for (int k = 0; k < valid; k++) {
        if (!((v->odd | v->bad) >> k & 1)) continue;
        row r = row_of(j, first + k);
        int64_t at = j->function == LOGSUMEXP ? first + k : (first + k) * j->length;
        char *y = j->y + at * size;
        if (v->odd >> k & 1) { odd_row(j->function, &r, 0, r.n, y, at, d); continue; }
        if (j->function == LOGSUMEXP) { logsumexp_again(&r, 1, y, at, d); continue; }
        careful c;
        prepare(&c, &r);
        for (int64_t i = 0; i < r.n; i++) {
            if (!(v->columns[i] >> k & 1)) continue;
            double room[2 * LANES] ALIGNED;
            real z;
            unsigned bad = careful_result(j->function, &c, all(*elements(&r, i, 1, room)), &z) & 1;
            write(r.format, y + i * size, z, 1);
            doubt(d, at + i, 1, bad);
        }
    }
}
INLINE void short_rows_of(const job *j, int function, int format, doubts *d) {
    block t;
    int64_t n = j->length;
    for (int64_t first = 0; first < j->rows; first += LANES) {
        int valid = j->rows - first < LANES ? (int)(j->rows - first) : LANES;
        verdict v;
        read_lanes(j, first, valid, &t);
        real largest = largest_of_lanes(&t, n);
        v.bad = 0;
        v.odd = ~less(magnitude(largest), all(LARGEST));
        real K = shift_of(largest);
        if (function == LOGSUMEXP) short_logsumexp(j, format, first, valid, &t, largest, K, &v);
        else {
            if (function == SOFTMAX) short_softmax(format, &t, n, largest, &v);
            else short_log_softmax(format, &t, n, largest, K, &v);
            write_lanes(format, &t, n, valid, j->y + first * n * LAYOUTS[format].size);
        }
        unsigned mask = (1u << valid) - 1;
        if (UNLIKELY((v.odd | v.bad) & mask)) settle_left(j, first, valid, &v, d);
    }
}
static void short_rows(const job *j, doubts *d) {
#define ALL_OF(format) case format: \
    if (j->function == LOGSUMEXP) short_rows_of(j, LOGSUMEXP, format, d); \
    else if (j->function == SOFTMAX) short_rows_of(j, SOFTMAX, format, d); \
    else short_rows_of(j, LOG_SOFTMAX, format, d); \
    break
    switch (j->format) {
    ALL_OF(FLOAT64);
    ALL_OF(FLOAT32);
    ALL_OF(FLOAT16);
    ALL_OF(BFLOAT16);
    ALL_OF(FLOAT8_E4M3FN);
    ALL_OF(FLOAT8_E5M2);
    }
}
#endif
