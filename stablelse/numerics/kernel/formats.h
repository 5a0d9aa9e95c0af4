/* The formats: elements become float64 (exactly), results become elements (rounded to nearest). */
#ifndef STABLELSE_FORMATS_H
#define STABLELSE_FORMATS_H
#include <math.h>
#include "kernel.h"
#include "simd.h"

/* size in bytes; bits of the fraction; the bias of exponents; the code of infinity, or its stand-in;
   the code of a NaN; below exp(-vanishing) a result is less than half the smallest number */
typedef struct { int size, fraction, bias; int64_t infinity, nan; double vanishing; } layout;
static const layout LAYOUTS[] = {
    [FLOAT64] = {8, 52, 1023, 0x7FF0000000000000, 0x7FF8000000000000, 746},
    [FLOAT32] = {4, 23, 127, 0x7F800000, 0x7FC00000, 105},
    [FLOAT16] = {2, 10, 15, 0x7C00, 0x7E00, 105},
    [BFLOAT16] = {2, 7, 127, 0x7F80, 0x7FC0, 105},
    [FLOAT8_E4M3FN] = {1, 3, 7, 0x7F, 0x7F, 105},
    [FLOAT8_E5M2] = {1, 2, 15, 0x7C, 0x7E, 105},
};
INLINE double power(int e) { /* 2^e, -1022 <= e */
    union { int64_t bits; double value; } u = {(int64_t)(e + 1023) << 52};
    return u.value;
}

/* Codes of `valid` elements `stride` bytes apart. */
INLINE whole codes_of(const char *p, int64_t stride, int size, int valid) {
    if (size == 2 && stride == 2 && valid == LANES) return load_16(p);
    if (size == 1 && stride == 1 && valid == LANES) return load_8(p);
    whole c = {0};
    for (int j = 0; j < valid; j++) {
        uint64_t code = 0;
        memcpy(&code, p + j * stride, (size_t)size); /* little-endian */
        c[j] = (int64_t)code;
    }
    return c;
}
/* Codes as numbers. Shifted to float64's place they are too small by 2^(1023 - bias), even if they
   are subnormal: the product is exact. */
INLINE real decode(whole code, const layout f) {
    int64_t sign = (int64_t)1 << (8 * f.size - 1);
    whole size = code & (sign - 1), special = (whole)(size >= f.infinity);
    real a = (real)(size << (52 - f.fraction)) * power(1023 - f.bias);
    a = select(special, select((whole)(size == f.infinity), all(f.infinity == f.nan ? NAN : INFINITY), all(NAN)), a);
    return select((whole)((code & sign) != 0), -a, a);
}
/* Numbers to the nearest codes, ties to even: adding and subtracting 1.5 2^52 units rounds to a
   multiple of the unit. Too large numbers become infinity's code, and -0 becomes 0. */
INLINE whole encode(real a, const layout f) {
    real size = smaller(all(0x1p300), (real)((whole)a & INT64_MAX));
    real unit = (real)((whole)size & ((int64_t)0x7FF << 52)) * power(-f.fraction);
    real magic = larger(unit, all(power(1 - f.bias - f.fraction))) * 0x1.8p52;
    whole code = (whole)(((size + magic) - magic) * power(f.bias - 1023)) >> (52 - f.fraction);
    whole over = (whole)(code > f.infinity);
    code = (over & f.infinity) | (~over & code);
    return code | ((whole)(a < 0) & (whole)(code != 0) & ((int64_t)1 << (8 * f.size - 1)));
}

/* Both 16-bit formats usually go through float32: if the bounds are moved apart by 2^-23, and by 2^-149 for
   float32's subnormal numbers, the nearest float32s are bounds too, and rounding these is monotone.
   Returns one bit per lane where they differ. */
INLINE unsigned settle_16(int format, char *p, real low, real high) {
    real wider = all(0x1p-23), least = all(0x1p-149);
    ints a = float32_bits(fma_((real)((whole)low | INT64_MIN), wider, low - least));
    ints b = float32_bits(fma_(smaller(all(0x1p1000), (real)((whole)high & INT64_MAX)), wider, high + least)); /* -inf stays */
    if (format == FLOAT16) { a = float16_codes(a); b = float16_codes(b); }
    else {
        a = (a + 0x7FFF + ((a >> 16) & 1)) >> 16 & 0xFFFF;
        b = (b + 0x7FFF + ((b >> 16) & 1)) >> 16 & 0xFFFF;
    }
    a &= a != 0x8000; /* not -0 */
    store_16(p, a);
    return differ_ints(a, b & (b != 0x8000));
}
/* Write `valid` results with the bounds low and high, rounded to the format. Returns one bit per lane: do
   the bounds round to different numbers? */
INLINE unsigned settle_to(int format, char *p, real low, real high, int valid) {
    const layout f = LAYOUTS[format];
    unsigned mask = (1u << valid) - 1;
    if (format == FLOAT64) {
        if (valid == LANES) store((double *)p, low);
        else store_part((double *)p, low, valid);
        return differ(low, high) & mask;
    }
    if (format == FLOAT32) {
        float a[LANES];
        unsigned bad = narrow(valid == LANES ? (float *)p : a, low, high);
        if (valid < LANES) memcpy(p, a, (size_t)valid * 4);
        return bad & mask;
    }
    if (f.size == 2 && valid == LANES && !settle_16(format, p, low, high)) return 0;
    whole a = encode(low, f), b = encode(high, f);
    if (f.size == 1 && valid == LANES) store_8(p, a);
    else for (int j = 0; j < valid; j++) { int64_t code = a[j]; memcpy(p + j * f.size, &code, (size_t)f.size); }
    return bits_of((whole)(a != b)) & mask;
}
/* The same without writing. */
INLINE unsigned undecided(int format, real low, real high) {
    char nowhere[8 * LANES] ALIGNED;
    return settle_to(format, nowhere, low, high, LANES);
}
INLINE void write(int format, char *p, real a, int valid) { settle_to(format, p, a, a, valid); }
/* Write n numbers with the same code. */
static void fill(int format, char *p, int64_t code, int64_t n) {
    for (int64_t j = 0, size = LAYOUTS[format].size; j < n; j++) memcpy(p + j * size, &code, (size_t)size);
}
#endif
