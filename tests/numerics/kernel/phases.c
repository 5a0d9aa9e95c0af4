/* The kernel's phases by themselves: values and bounds, for tests. All arrays have LANES entries. */
#include "kernel.c"

EXPORT int lanes(void) { return LANES; }
/* exp(x) = (high + low) 2^K */
EXPORT void phase_exponential(const double *x, const double *K, int accurate, double *high, double *low) {
    real magic = magic_of(load(K));
    words e = accurate ? words_of(exponential(load(x), magic, 1), 1) : words_of(exponential(load(x), magic, 0), 0);
    store(high, e.high);
    store(low, e.low);
}
EXPORT void phase_narrow_exponential(const double *x, const double *K, double *y) {
    store(y, narrow_exponential(load(x), wide_magic_of(load(K)), table_of(POWERS16_HIGH)));
}
EXPORT void phase_near_exponential(const double *x, double *t, double *a, double *b, double *c) {
    near_term e = near_exponential(load(x));
    store(t, e.t); store(a, e.a); store(b, e.b); store(c, e.c);
}
/* log(high + low) + K ln 2, and a bound of the error; b: high + low - 1 */
EXPORT void phase_logarithm(const double *S, const double *S_low, const double *b, const double *b_low, const double *K, double *high, double *low, double *error) {
    real e;
    words L = logarithm((words){load(S), load(S_low)}, (words){load(b), load(b_low)}, load(K), &e);
    store(high, L.high); store(low, L.low); store(error, e);
}
EXPORT void phase_narrow_logarithm(const double *S, const double *b, const double *K, double *y) {
    store(y, narrow_logarithm(load(S), load(b), load(K)));
}
/* exp(x) / S, S[0] being the sum of all: e + low .. e + high */
EXPORT void phase_lean(const double *x, const double *S, double *e, double *low, double *high) {
    quotients Q = prepare_quotients(inverse((words){all(S[0]), all(0)}));
    bounds b = lean_quotient(load(x), all(MAGIC), &Q);
    store(e, b.e); store(low, b.low); store(high, b.high);
}
/* a row of float64 or, for NARROW, of float32 in `room` */
static row row_for(int tier, const double *x, int64_t n, float *room) {
    for (int64_t i = 0; tier == NARROW && i < n; i++) room[i] = (float)x[i];
    if (tier == NARROW) return (row){.x = (const char *)room, .n = n, .stride = 4, .format = FLOAT32};
    return (row){.x = (const char *)x, .n = n, .stride = 8, .format = FLOAT64};
}
/* a row's sum: K, high, low, the bound; 0 if there is none */
EXPORT int phase_sum(const double *x, int64_t n, int tier, double *out) {
    float room[8192];
    row r = row_for(tier, x, n, room);
    total s;
    int ok = sum_row(&r, tier, NULL, &s);
    out[0] = s.shift; out[1] = s.high; out[2] = s.low; out[3] = s.error;
    return ok;
}
/* lambda: high, low, error, scale, p; and 1/S in units of 2^-K */
EXPORT void phase_careful(const double *x, int64_t n, double *out) {
    row r = {.x = (const char *)x, .n = n, .stride = 8, .format = FLOAT64};
    careful c;
    prepare(&c, &r);
    out[0] = c.lambda.high[0]; out[1] = c.lambda.low[0]; out[2] = c.error[0]; out[3] = c.scale;
    out[4] = c.inverse.high[0]; out[5] = c.inverse.low[0]; out[6] = c.K; out[7] = c.origin;
}
/* logsumexp next to zero: high, low, error */
EXPORT void phase_near(const double *x, int64_t n, double estimate, double *out) {
    row r = {.x = (const char *)x, .n = n, .stride = 8, .format = FLOAT64};
    real error;
    words L = near_logarithm(near_total(&r), all(estimate), (double)(n + LANES), &error);
    out[0] = L.high[0]; out[1] = L.low[0]; out[2] = error[0];
}
/* a row in two pieces, as a state: top, high, low, error, scale, near_error, near */
EXPORT void phase_state(const double *x, int64_t n, int64_t cut, int tier, double *out) {
    float room[8192];
    state s = {.top = -INFINITY}, t = s;
    row r = row_for(tier, x, cut, room);
    if (cut) add_row(&r, tier == NARROW, &s);
    r = row_for(tier, x + cut, n - cut, room);
    if (n > cut) add_row(&r, tier == NARROW, &t);
    merge_states(&s, &t);
    memcpy(out, &s, sizeof s);
}
/* What settle_elements needs of it: lambda, its error and scale; the quotient of the largest element, and its error; the
   sum of all, its units and its error */
EXPORT void phase_of_state(const double *x, int64_t n, int64_t cut, int tier, double *out) {
    state s;
    careful c;
    total t;
    phase_state(x, n, cut, tier, (double *)&s);
    careful_of_state(&s, &c, &t);
    words q = multiply(words_of(exponential(all(c.p - c.origin), magic_of(all(c.K)), 1), 1), c.inverse);
    double all_of_it[] = {c.lambda.high[0], c.lambda.low[0], c.error[0], c.scale, q.high[0], q.low[0], c.quotient, t.high, t.low, t.shift, t.error};
    memcpy(out, all_of_it, sizeof all_of_it);
}
/* a label's loss: high, low, error; 1 - p and the inverse: high, low; K; nothing if it is left to the reference */
EXPORT void phase_label(const double *x, int64_t n, int64_t label, double *out) {
    row r = {.x = (const char *)x, .n = n, .stride = 8, .format = FLOAT64};
    labelled a;
    if (!label_row(&r, label, &a)) return;
    out[0] = a.loss.high[0]; out[1] = a.loss.low[0]; out[2] = a.error[0]; out[3] = a.less.high[0]; out[4] = a.less.low[0];
    out[5] = a.inverse.high[0]; out[6] = a.inverse.low[0]; out[7] = a.K;
}
/* the loss of targets in two words: high, low, error; 1 if it is not left to the reference */
EXPORT void phase_targets(const double *x, int64_t n, const double *t, double *out) {
    row r = {.x = (const char *)x, .n = n, .stride = 8, .format = FLOAT64};
    int64_t l = 0;
    for (int64_t i = 1; i < n; i++) l = x[i] > x[l] ? i : l;
    labelled a;
    if (!label_row(&r, l, &a)) return;
    target_row(&r, t, t + n, &a);
    out[0] = a.loss.high[0]; out[1] = a.loss.low[0]; out[2] = a.error[0]; out[3] = a.error[0] == a.error[0];
}
/* the positive and the negative part of sum b exp(x), in units of 2^K, and K; a row of blocks of up to `size` */
EXPORT void phase_weighted(const double *x, int64_t n, const double *b, int64_t size, double *out) {
    real K = all(-0x1p40);
    words P = {all(0), all(0)}, N = P;
    for (int64_t i = 0; i < n; i += size) sum_weighted(x + i, b + i, n - i < size ? n - i : size, 0, &K, &P, &N);
    out[0] = P.high[0]; out[1] = P.low[0]; out[2] = N.high[0]; out[3] = N.low[0]; out[4] = K[0];
}
