/* The loss of a label l, -log softmax(x)_l, in words; and gradients, correctly rounded.

   R is the sum of all terms but the label's e, and q = R / e. Then

       loss = log(1 + q),   1 - softmax(x)_l = q / (1 + q) = R / (R + e)

   without differences of almost equal numbers, so both keep all their digits. */
#ifndef STABLELSE_LABELS_H
#define STABLELSE_LABELS_H
#include "weights.h"

/* less: 1 - p of the label. inverse: 2^K / (R + e), 0 if e is the only term. `error`: the loss's absolute error;
   less and inverse have a relative error of CAREFUL(n). top: the largest element. */
typedef struct { words loss, less, inverse; real error; double K, top; } labelled;

/* Terms: 2^-81.83. R: ACCURATE_SUM, and 2^-104 for each block. Quotients of the two, R / (R + e) and
   softmax: 2^-80.14 with both, and four products and inverses at 2^-88 or less: below CAREFUL(n). The loss:
   d log(1 + q) = (1 - p) dq / q, and what `logarithm` says; 2^-104 for the rounding of sums.

   Returns 0 for a row that the reference must do: one with NaN or inf, with nothing but -inf, with an
   element beyond LARGEST that matters, or with 1 - p below exp(-FAR) n. */
static int label_row(const row *r, int64_t l, labelled *a) {
    row piece = *r;
    total R = {-0x1p40, 0, 0, INFINITY, -INFINITY, 0}, t = R;
    double room[LANES] ALIGNED, x = elements(r, l, 1, room)[0], rel = CAREFUL(r->n);
    piece.n = l;
    if (l) { sum_row(&piece, ACCURATE, NULL, &t); merge(&R, &t); }
    piece.n = r->n - l - 1;
    piece.x += (l + 1) * r->stride;
    if (r->mask) piece.mask += (l + 1) * r->mask_stride;
    if (piece.n) { sum_row(&piece, ACCURATE, NULL, &t); merge(&R, &t); }
    words zero = {all(0), all(0)}, one = {all(1), all(0)}, rest = {all(R.high), all(R.low)};
    a->top = R.largest > x ? R.largest : x;
    if (!(R.high >= 0) || !(x <= LARGEST) || !(a->top >= -LARGEST)) return 0;
    if (x < R.largest - FAR) { /* e is below 2^-900 of R */
        words L = log_of_total(&R, &a->error), s = two_sum(L.high, -all(x));
        a->loss = x == -INFINITY ? (words){all(INFINITY), all(0)} : ordered_sum(s.high, s.low + L.low);
        a->error += magnitude(s.high) * 0x1p-104;
        a->error = select((whole)(a->loss.high > DBL_MAX), all(0), a->error);
        a->less = one;
        a->inverse = inverse(rest);
        a->K = R.shift;
        return 1;
    }
    real K = shift_of(all(x));
    a->K = K[0];
    if (R.high == 0) {
        a->loss = a->less = a->inverse = zero;
        a->error = all(0);
        return 1;
    }
    if (R.largest < x - FAR) return 0;
    double D = R.shift - K[0], U = D > 0 ? D : 0; /* from here on in units of 2^(K + U) */
    words e = words_of(exponential(all(x), magic_of(K), 1), 1);
    rest = scaled(rest, all(power_of_two(D - U)));
    words q = multiply(rest, inverse(e)), S = add(q, (words){all(power_of_two(-U)), all(0)});
    words b = ordered_sum(q.high, q.low), below = two_sum(S.high, all(-1));
    if (U > 0) b = ordered_sum(below.high, below.low + S.low);
    a->loss = logarithm(S, b, all(U), &a->error);
    a->inverse = inverse(add(rest, scaled(e, all(power_of_two(-U)))));
    a->less = multiply(rest, a->inverse);
    a->error += fma_(a->less.high, all(rel), magnitude(a->loss.high) * 0x1p-104);
    a->K += U;
    return 1;
}

/* Targets t: sum t_j (a - x_j) + T log S, where a is the largest element, and T the sum of the t. A difference is exact.
   A product leaves out or rounds less than 2^-100, since low words are below 2^-51 of their high ones; t errs by
   2^-99, and each of n sums by 2^-103, for all terms have one sign. The error is NaN or infinite, which leaves the row
   to the reference, if an x with a t is -inf, or a t is neither 0 nor between 2^-900 and 2^900.

   So the head, T and T log S err by 2^-98 and n 2^-103 of themselves, and what underflows loses 2^-1073 in each of n + 1
   products: nothing if all x with a t are a, and S is 1 or T is 0. Then the loss is 0, exactly. */
static void target_row(const row *r, const double *t, const double *t_low, labelled *l) {
    double room[BLOCK + LANES] ALIGNED;
    words head = {all(0), all(0)}, T = head;
    real a = all(l->top), farthest = all(0);
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        for (int64_t j = 0; j < m; j += LANES) {
            int valid = m - j < LANES ? (int)(m - j) : LANES;
            words f = {get(t + i + j, valid, 0), get(t_low + i + j, valid, 0)};
            whole none = (whole)(f.high == 0), wild = (whole)(f.high < 0x1p-900) | (whole)(f.high > 0x1p900);
            words d = two_sum(a, -select(none, a, get(x + j, valid, 0)));
            f.high = select(wild & ~none, all(NAN), f.high);
            head = add(head, multiply(f, d));
            T = add(T, f);
            farthest = larger(farthest, d.high);
        }
    }
    T = sum_of_lanes(T);
    int exact = largest_lane(farthest) == 0 && (T.high[0] == 0 || l->error[0] == 0);
    real relative = all(0x1p-97 + (double)r->n * 0x1p-101), lost = all(exact ? 0 : (double)r->n * 0x1p-1071);
    l->loss = add(sum_of_lanes(head), multiply(T, l->loss));
    l->error = fma_(l->loss.high, relative, lost) + 1.001 * T.high * l->error;
}

/* s softmax(x)_j - t_j, and -s (1 - softmax(x)_l) + o for the label: s and o are in words, s between 2^-100 and
   2^100; so are o and the t, which have a relative error of at most 2^-93, or are 0. Besides CAREFUL(n) |s p| and
   2^-92 |t| the error has 2^-1070: three operations of s p, and its product with CAREFUL(n), may underflow and lose
   2^-1075 each. The two are added exactly, except low words, which are below 2^-36 s p and 2^-52 t, so three roundings of them are below
   2^-87 and 2^-104. */
typedef struct { words s, o; const double *t, *t_low; } target;
static void gradient_row(const row *r, int64_t l, const target *f, char *y, int64_t at, doubts *d) {
    double room[BLOCK + LANES] ALIGNED, place[LANES] ALIGNED;
    const layout layout = LAYOUTS[r->format];
    int wide = r->format == FLOAT64;
    labelled a;
    if (!label_row(r, l, &a)) {
        fill(r->format, y, layout.nan, r->n);
        for (int64_t j = 0; j < r->n; j++) doubt(d, at + j, 1, 1);
        return;
    }
    for (int i = 0; i < LANES; i++) place[i] = i;
    real lowest = all(a.top - FAR), gone = all(wide ? a.top - layout.vanishing - 70 : INFINITY), magic = magic_of(all(a.K));
    words factor = multiply(a.inverse, f->s), own = multiply(a.less, f->s);
    for (int64_t i = 0, m; i < r->n; i += m) {
        m = r->n - i < BLOCK ? r->n - i : BLOCK;
        const double *x = elements(r, i, m, room);
        for (int64_t j = 0; j < m; j += LANES) {
            int valid = m - j < LANES ? (int)(m - j) : LANES;
            real v = get(x + j, valid, -INFINITY);
            words t = {all(0), all(0)};
            if (f->t) t = (words){get(f->t + i + j, valid, 0), get(f->t_low + i + j, valid, 0)};
            words p = multiply(words_of(exponential(larger(lowest, v), magic, 1), 1), factor);
            whole far = (whole)(v < lowest), label = (whole)(load(place) == (double)(l - i - j));
            /* exp(v) is left out: without a t it changes nothing, and in a narrow format it is tiny */
            whole lost = far & (whole)(v > -INFINITY) & ~label;
            lost &= (whole)(t.high != 0) | (whole)(v >= gone);
            p = (words){select(far, all(0), p.high), select(far, all(0), p.low)};
            p = (words){select(label, -own.high, p.high), select(label, -own.low, p.low)};
            t = (words){select(label, -f->o.high, t.high), select(label, -f->o.low, t.low)};
            words s = two_sum(p.high, -t.high);
            real b = s.low + (p.low - t.low), z;
            real error = fma_(magnitude(p.high), all(CAREFUL(r->n)), magnitude(t.high) * 0x1p-92);
            error += select((whole)(p.high != 0), all(0x1p-1070), all(0));
            unsigned bad = settle(r->format, s.high, b - error, b + error, &z) | bits_of(lost);
            write(r->format, y + (i + j) * layout.size, z, valid);
            bad &= (1u << valid) - 1;
            if (UNLIKELY(bad)) doubt(d, at + i + j, 1, bad);
        }
    }
}
static void labelled_rows(const job *j, doubts *d) {
    for (int64_t i = 0; i < j->rows; i++) {
        row r = row_of(j, i);
        int64_t at = i * j->length, all_of_them = j->rows * j->length;
        if (j->losses) {
            labelled a = {.loss = {all(NAN), all(NAN)}, .error = all(INFINITY)};
            if (label_row(&r, j->labels[i], &a) && j->targets)
                target_row(&r, j->targets + at, j->targets + at + j->rows * j->length, &a);
            for (int k = 0; k < 3; k++) j->losses[3 * i + k] = k == 0 ? a.loss.high[0] : k == 1 ? a.loss.low[0] : a.error[0];
            continue;
        }
        const double *s = j->factors + 4 * i;
        target f = {{all(s[0]), all(s[1])}, {all(s[2]), all(s[3])}, NULL, NULL};
        if (j->targets) f.t = j->targets + at, f.t_low = f.t + all_of_them;
        gradient_row(&r, j->labels[i], &f, j->y + at * LAYOUTS[r.format].size, at, d);
    }
}
#endif
