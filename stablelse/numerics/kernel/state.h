/* States: the sums of pieces of a row, merged in any order. They give the results of the whole row.

   The terms of a state sum to e^top (1 + R), R = (high + low +- error) 2^scale, with top the largest
   element. So R is the sum of all terms but the largest, as careful.h needs it: however small it is, it keeps
   its digits. error is 0 only if all elements equal top: then R is exactly their number minus one.
   scale is 0, or about -900 and less. An R below 2^-2800 only breaks ties, so only its sign matters: its error
   is nominal.

   near holds the plain sum of the terms, with the error near_error, while that can be close to 1; then inf. */
#ifndef STABLELSE_STATE_H
#define STABLELSE_STATE_H
#include "long.h"

#define VANISHING 2000 /* below e^-VANISHING, 2^-2885, an R of any number of terms .. */
#define SIGN_ONLY -2800 /* .. is below 2^SIGN_ONLY, and counts as that */
#define NEAR_SUM (1 + 0x1p-8)

INLINE real scaling(double e) { return all(power_of_two(e)); } /* e <= 0 */
/* 1 + R, without its scale */
INLINE words all_terms(const state *s) {
    return add((words){all(1), all(0)}, scaled((words){all(s->high), all(s->low)}, scaling(s->scale)));
}
/* The approximate sum of a state's terms, at most 2 NEAR_SUM. */
static double plain_sum(const state *s) {
    if (!(s->top > -700)) return s->top < 0 ? 0 : s->top; /* NaN stays */
    if (s->top > 1) return 2 * NEAR_SUM;
    return words_of(exponential(all(s->top), all(MAGIC), 1), 1).high[0] * all_terms(s).high[0];
}
/* s += t. With d = t.top - s.top <= 0, R = R_s + e^d (1 + R_t), or R_s + 1 + R_t if d is 0, which is exact if
   both are (integers).
   d = d + d' exactly, |d'| <= 2^-43. e^d: 2^-81.83 from exponential(); e^d' = 1 + d' to 2^-87. The low word of e^d is
   brought below 2^-53 first, for `multiply` leaves out its product with d': so both products err by 2^-95. 1 + R_t: its
   own error, and 2^-104. Together 2^-81.79 < MERGE_TERM of what is added, e^d times the error of R_t, and for the sum
   2^-103 of R. A change of scale loses less than 2^-900 of R. Below e^-VANISHING only the sign is kept. */
#define MERGE_TERM 0x1.3p-82 /* 2^-81.75 */
static void merge_tops(state *s, const state *t) {
    words R = {all(s->high), all(s->low)}, T = all_terms(t);
    double scale = 0, error = t->error * scaling(t->scale)[0];
    if (s->top == t->top) {
        R = add(scaled(R, scaling(s->scale)), T);
        error += s->error * scaling(s->scale)[0];
        s->error = s->error + t->error == 0 ? 0 : error + R.high[0] * 0x1p-103; /* a scaled error may vanish */
    } else {
        words d = two_sum(all(t->top), -all(s->top));
        real K = shift_of(larger(all(-VANISHING), d.high));
        if (d.high[0] < -VANISHING) {
            T = (words){all(1), all(0)};
            K = all(SIGN_ONLY);
            error = .5;
        } else {
            words E = words_of(exponential(d.high, magic_of(K), 1), 1);
            E = ordered_sum(E.high, E.low);
            T = multiply(multiply(E, (words){all(1), d.low}), T);
            error = 1.01 * E.high[0] * error + T.high[0] * MERGE_TERM;
        }
        scale = K[0] > -900 ? 0 : K[0];
        if (R.high[0] > 0 && s->scale > scale) scale = s->scale;
        T = scaled(T, scaling(K[0] - scale));
        error *= scaling(K[0] - scale)[0];
        if (R.high[0] > 0) {
            real down = scaling(s->scale - scale);
            R = add(scaled(R, down), T);
            error += s->error * down[0];
        } else R = ordered_sum(T.high, T.low);
        s->error = error + R.high[0] * 0x1p-103;
    }
    s->high = R.high[0]; s->low = R.low[0]; s->scale = scale;
}
/* Two sums close to 1: first words are below 2, second ones below 2^-39, so the third has a rounding error of
   2^-52 of what goes into it. */
static void merge_near(state *s, const state *t) {
    words a = two_sum(all(s->near[0]), all(t->near[0])), b = two_sum(all(s->near[1]), all(t->near[1]));
    words c = two_sum(a.low, b.high);
    real left = b.low + c.low, third = left + (all(s->near[2]) + all(t->near[2]));
    real size = magnitude(left) + all(fabs(s->near[2]) + fabs(t->near[2]));
    s->near[0] = a.high[0]; s->near[1] = c.high[0]; s->near[2] = third[0];
    s->near_error += t->near_error + size[0] * 0x1p-51;
}
static void merge_states(state *s, const state *t) {
    int is_near = s->near_error < INFINITY && t->near_error < INFINITY;
    if (is_near) merge_near(s, t);
    state top = *s, other = *t;
    if (other.top > top.top || other.top != other.top) { top = *t; other = *s; }
    if (fabs(top.top) <= DBL_MAX && other.top > -INFINITY) merge_tops(&top, &other);
    top.near_error = is_near ? s->near_error : INFINITY;
    memcpy(top.near, s->near, sizeof s->near);
    *s = top;
}
/* 1 + R = S e^-top: S errs by its own error, e^top by 2^-81.83, the inverse and the product by 2^-88. */
static void state_of_total(const total *t, int64_t n, state *s) {
    *s = (state){.top = t->largest};
    if (t->least == t->largest) { s->high = (double)(n - 1); return; }
    real magic = magic_of(all(t->shift));
    words Q = multiply((words){all(t->high), all(t->low)},
        inverse(words_of(exponential(all(t->largest), magic, 1), 1)));
    words below = two_sum(Q.high, all(-1)), R = two_sum(below.high, below.low + Q.low);
    s->high = R.high[0]; s->low = R.low[0];
    s->error = Q.high[0] * (t->error + 0x1.3p-82);
}
/* The state of a row with NaN, infinities, a large element, or one that dominates. */
COLD void careful_state(const row *r, state *s) {
    careful c;
    prepare(&c, r);
    *s = (state){.top = c.p, .high = c.rho.high[0], .low = c.rho.low[0], .scale = c.scale};
    s->error = c.alone ? 0 : s->high * c.quotient;
    if (!c.alone && s->high == 0) *s = (state){.top = c.p, .high = 1, .error = .5, .scale = SIGN_ONLY};
}
COLD void odd_state(const row *r, state *s) {
    double room[BLOCK + LANES] ALIGNED, top = -INFINITY;
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        for (int64_t k = 0; k < m; k++) if (!(x[k] <= top) && top == top) top = x[k];
    }
    if (fabs(top) <= DBL_MAX) careful_state(r, s);
    else *s = (state){.top = top};
}
/* The state of a row; `above`: the largest element so far. If the row's is as large, a row that it dominates
   is looked at closely, and so are elements that seem to be equal (the padding counts as -inf). */
static void state_of_row(const row *r, int tier, double above, state *s) {
    total t;
    if (!sum_row(r, tier, NULL, &t)) { odd_state(r, s); return; }
    state_of_total(&t, r->n, s);
    double more = s->high + 1 - (double)r->n;
    if (s->top >= above && s->error > 0 && (s->high < .5 || fabs(more) < 0x1p-40 * (double)r->n)) careful_state(r, s);
}
/* s += the row. Results in a narrow format need fewer digits, unless log S is small. */
static void add_row(const row *r, int is_narrow, state *s) {
    state t, sum = *s;
    state_of_row(r, is_narrow ? NARROW : ACCURATE, s->top, &t);
    t.near_error = INFINITY;
    merge_states(&sum, &t);
    double plain = plain_sum(&sum);
    if (is_narrow && plain < 2) {
        state_of_row(r, ACCURATE, s->top, &t);
        t.near_error = INFINITY;
    } else if (!is_narrow && plain <= NEAR_SUM && s->near_error < INFINITY) {
        t.near_error = (double)(r->n + LANES) * 0x1p-142;
        if (t.top > NEAR_LOWEST) { /* otherwise e^NEAR_LOWEST bounds all terms */
            near_sum S = near_total(r);
            words a = two_sum(S.high, S.small), b = two_sum(a.low, S.lower);
            t.near[0] = a.high[0]; t.near[1] = b.high[0]; t.near[2] = (b.low + (S.lowest + S.rest))[0];
            t.near_error += NEAR_TERM * 1.01 * t.near[0] + 0x1p-134;
        }
    }
    merge_states(s, &t);
}

/* ---- softmax and log_softmax of elements of a row, from its state. The error of the quotient: that of careful.h
   and of 1 + R; of the sum: that of 1 + R, of e^top and of a product (2^-81.83 + 2^-88). */
static void careful_of_state(const state *s, careful *c, total *t) {
    *c = (careful){.ready = 1, .alone = s->error == 0, .p = s->top, .scale = s->scale};
    c->origin = fabs(c->p) > LARGEST ? c->p : 0;
    real p = all(c->p - c->origin), K = shift_of(p);
    words S = all_terms(s), sum = multiply(words_of(exponential(p, magic_of(K), 1), 1), S);
    double error = 1.01 * s->error * scaling(s->scale)[0] / S.high[0];
    sum = ordered_sum(sum.high, sum.low);
    c->K = K[0];
    c->copies = S.high[0];
    c->inverse = inverse(sum);
    c->quotient = error + 0x1p-80;
    c->rho = c->lambda = (words){all(s->high), all(s->low)};
    c->error = all(s->error);
    if (s->scale == 0) {
        c->lambda = logarithm(S, c->rho, all(0), &c->error);
        c->error += error;
    }
    *t = (total){K[0], sum.high[0], sum.low[0], -INFINITY, c->p, error + 0x1.3p-82};
}
static void settle_elements(const job *j, const state *states, doubts *d) {
    int64_t size = LAYOUTS[j->format].size;
    for (int64_t i = 0; i < j->rows; i++) {
        char *y = j->y + i * j->length * size;
        careful c;
        total t;
        if (!(fabs(states[i].top) <= DBL_MAX)) { fill(j->format, y, LAYOUTS[j->format].nan, j->length); continue; }
        careful_of_state(&states[i], &c, &t);
        /* softmax_row's quotients allow no larger error */
        if (c.origin == 0 && (j->format != FLOAT64 || t.error < 0x1p-70)) {
            real error;
            words L = logs_of(j->format, (words){all(t.high), all(t.low)}, all(t.shift), all(t.error), &error);
            spread(j, i, 0, j->length, &t, NULL, &c, L, error, d);
            continue;
        }
        queue q = {.function = j->function, .first = i * j->length, .y = y, .d = d, .c = c, .tier = NARROW};
        q.c.r = row_of(j, i);
        for (int64_t k = 0; k < j->length; k += LANES)
            settle_vector(&q, k, j->length - k < LANES ? (int)(j->length - k) : LANES);
    }
}
#endif
