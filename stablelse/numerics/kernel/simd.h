/* Vectors of LANES float64, and the few operations that C's operators lack.

   Only this file depends on instruction sets: it is compiled once for each of them. Everything else
   uses the vector extensions of GCC and Clang: + - * / < & work on each lane. */
#ifndef STABLELSE_SIMD_H
#define STABLELSE_SIMD_H
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 8
#define NAMED(name) name##_v4
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define LANES 4
#define NAMED(name) name##_v3
#elif defined(__aarch64__)
#include <arm_neon.h>
#define LANES 2
#define NAMED(name) name##_neon
#else
#error "The kernel needs x86-64-v3, x86-64-v4 or aarch64."
#endif
#define INLINE static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline))
#define ALIGNED __attribute__((aligned(64)))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef double real __attribute__((vector_size(8 * LANES)));
typedef int64_t whole __attribute__((vector_size(8 * LANES)));
typedef double real_anywhere __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef uint64_t natural __attribute__((vector_size(8 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(8 * LANES))); /* twice as many float32 */
typedef struct { real high, low; } words; /* a number as the sum of two */

INLINE real all(double a) { return a - (real){0}; }
INLINE whole all_whole(int64_t a) { return a - (whole){0}; }
INLINE real load(const double *p) { return *(const real_anywhere *)p; }
INLINE void store(double *p, real a) { *(real_anywhere *)p = a; }
/* a 2^e, e in the bits of t from bit `from` on; modulo 2^12 */
INLINE real times_power(real a, real t, int from) { return (real)((natural)a + ((natural)t >> from << 52)); }
/* Lanes of a (0 ..) and b (LANES ..) */
#if __has_builtin(__builtin_shufflevector)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(a, b, ...) __builtin_shuffle(a, b, (whole){__VA_ARGS__})
#endif
/* Swap lanes i + width of a with lanes i of b, for lanes i in every other group of `width`. */
#define SWAP(a, b, first, second) do { real t_ = MIX(a, b, first); (b) = MIX(a, b, second); (a) = t_; } while (0)
#define LANES_OF(...) __VA_ARGS__
INLINE void transpose(real *a) { /* LANES vectors */
#if LANES == 8
    for (int i = 0; i < 8; i += 2) SWAP(a[i], a[i + 1], LANES_OF(0, 8, 2, 10, 4, 12, 6, 14), LANES_OF(1, 9, 3, 11, 5, 13, 7, 15));
    for (int i = 0; i < 8; i += 4) for (int k = i; k < i + 2; k++) SWAP(a[k], a[k + 2], LANES_OF(0, 1, 8, 9, 4, 5, 12, 13), LANES_OF(2, 3, 10, 11, 6, 7, 14, 15));
    for (int i = 0; i < 4; i++) SWAP(a[i], a[i + 4], LANES_OF(0, 1, 2, 3, 8, 9, 10, 11), LANES_OF(4, 5, 6, 7, 12, 13, 14, 15));
#elif LANES == 4
    for (int i = 0; i < 4; i += 2) SWAP(a[i], a[i + 1], LANES_OF(0, 4, 2, 6), LANES_OF(1, 5, 3, 7));
    for (int i = 0; i < 2; i++) SWAP(a[i], a[i + 2], LANES_OF(0, 1, 4, 5), LANES_OF(2, 3, 6, 7));
#else
    SWAP(a[0], a[1], LANES_OF(0, 2), LANES_OF(1, 3));
#endif
}
INLINE real select(whole mask, real a, real b) { return (real)((mask & (whole)a) | (~mask & (whole)b)); }

#if LANES == 8
INLINE real fma_(real a, real b, real c) { return (real)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
/* the larger, the smaller; b where either is NaN */
INLINE real larger(real a, real b) { return (real)_mm512_max_pd((__m512d)a, (__m512d)b); }
INLINE real smaller(real a, real b) { return (real)_mm512_min_pd((__m512d)a, (__m512d)b); }
/* one bit per lane: where a < b (not with NaN), where they differ (also with NaN) */
INLINE unsigned less(real a, real b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ); }
INLINE unsigned differ(real a, real b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_NEQ_UQ); }
INLINE unsigned bits_of(whole mask) { return _mm512_movepi64_mask((__m512i)mask); }
/* a, or 0 where x < y */
INLINE real zero_below(real a, real x, real y) {
    return (real)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_NLT_UQ), (__m512d)a);
}
/* a, or b where x < y */
INLINE real replace_below(real a, real b, real x, real y) {
    return (real)_mm512_mask_mov_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_LT_OQ), (__m512d)b);
}
INLINE real widen(const float *p) { return (real)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
/* The first `valid` lanes from or to memory, without touching the rest; the other lanes are `other`. */
INLINE real load_part(const double *p, int valid, real other) {
    return (real)_mm512_mask_loadu_pd((__m512d)other, (__mmask8)((1u << valid) - 1), p);
}
INLINE void store_part(double *p, real a, int valid) { _mm512_mask_storeu_pd(p, (__mmask8)((1u << valid) - 1), (__m512d)a); }
INLINE real widen_part(const float *p, int valid, float other) {
    return (real)_mm512_cvtps_pd(_mm256_mask_loadu_ps(_mm256_set1_ps(other), (__mmask8)((1u << valid) - 1), p));
}
INLINE floats larger_floats(floats a, floats b) { return (floats)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE floats smaller_floats(floats a, floats b) { return (floats)_mm512_min_ps((__m512)a, (__m512)b); }
/* Store a as float32 at p, -0 as 0; where does it differ from b as float32? */
INLINE unsigned narrow(float *p, real a, real b) {
    __m256 low = _mm512_cvtpd_ps((__m512d)a), high = _mm512_cvtpd_ps((__m512d)b);
    _mm256_storeu_ps(p, low + (__m256){0});
    return _mm256_cmp_ps_mask(low, high, _CMP_NEQ_UQ);
}
/* LANES elements of 16 bits as float64, and float32 bits as elements of 16 bits */
INLINE real widen_float16(const char *p) { return (real)_mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)p))); }
INLINE real widen_bfloat16(const char *p) {
    return (real)_mm512_cvtps_pd((__m256)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)p)), 16));
}
INLINE ints float32_bits(real a) { return (ints)_mm512_cvtpd_ps((__m512d)a); }
INLINE ints float16_codes(ints a) { return (ints)_mm256_cvtepu16_epi32(_mm256_cvtps_ph((__m256)a, 0)); }
INLINE void store_16(char *p, ints a) { _mm_storeu_si128((__m128i_u *)p, _mm256_cvtepi32_epi16((__m256i)a)); }
INLINE unsigned differ_ints(ints a, ints b) { return _mm256_cmpneq_epi32_mask((__m256i)a, (__m256i)b); }
/* LANES elements of 8 or 16 bits as integers */
INLINE whole load_16(const char *p) { return (whole)_mm512_cvtepu16_epi64(_mm_loadu_si128((const __m128i_u *)p)); }
INLINE whole load_8(const char *p) { return (whole)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i_u *)p)); }
INLINE void store_8(char *p, whole a) { _mm_storel_epi64((__m128i_u *)p, _mm512_cvtepi64_epi8((__m512i)a)); }
/* entries of a table of 16, by the lowest 4 bits of i */
typedef struct { __m512d low, high; } table16;
INLINE table16 table_of(const double *t) { return (table16){_mm512_load_pd(t), _mm512_load_pd(t + 8)}; }
INLINE real look_up(table16 t, whole i) { return (real)_mm512_permutex2var_pd(t.low, (__m512i)i, t.high); }
/* pairs of a table of 1024, by the lowest 10 bits of i. The indices pass through memory: eight
   extractions would cost more, and the gather instruction twice as much. */
INLINE words look_up_pairs(const double *t, whole i) {
    int64_t j[8] ALIGNED;
    *(whole *)j = i & 1023;
    __asm__("" : "+m"(j));
#define TWO(a, b) _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_load_pd(t + 2 * j[a])), _mm_load_pd(t + 2 * j[b]), 1)
#define FOUR(a) _mm512_insertf64x4(_mm512_castpd256_pd512(TWO(a, a + 2)), TWO(a + 4, a + 6), 1)
    __m512d a = FOUR(0), b = FOUR(1);
    return (words){(real)_mm512_unpacklo_pd(a, b), (real)_mm512_unpackhi_pd(a, b)};
}
#elif LANES == 4
INLINE real fma_(real a, real b, real c) { return (real)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
INLINE real larger(real a, real b) { return (real)_mm256_max_pd((__m256d)a, (__m256d)b); }
INLINE real smaller(real a, real b) { return (real)_mm256_min_pd((__m256d)a, (__m256d)b); }
INLINE unsigned bits_of(whole mask) { return (unsigned)_mm256_movemask_pd((__m256d)mask); }
INLINE unsigned less(real a, real b) { return bits_of((whole)(a < b)); }
INLINE unsigned differ(real a, real b) { return bits_of((whole)(a != b)); }
INLINE real zero_below(real a, real x, real y) { return (real)(~(whole)(x < y) & (whole)a); }
INLINE real replace_below(real a, real b, real x, real y) { return select((whole)(x < y), b, a); }
INLINE real widen(const float *p) { return (real)_mm256_cvtps_pd(_mm_loadu_ps(p)); }
INLINE whole first_lanes(int valid) { return (whole)((whole){0, 1, 2, 3} < (whole){valid, valid, valid, valid}); }
INLINE real load_part(const double *p, int valid, real other) {
    return select(first_lanes(valid), (real)_mm256_maskload_pd(p, (__m256i)first_lanes(valid)), other);
}
INLINE void store_part(double *p, real a, int valid) { _mm256_maskstore_pd(p, (__m256i)first_lanes(valid), (__m256d)a); }
INLINE real widen_part(const float *p, int valid, float other) {
    ints mask = (ints){0, 1, 2, 3} < (ints){valid, valid, valid, valid};
    return select(first_lanes(valid), (real)_mm256_cvtps_pd(_mm_maskload_ps(p, (__m128i)mask)), all(other));
}
INLINE floats larger_floats(floats a, floats b) { return (floats)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE floats smaller_floats(floats a, floats b) { return (floats)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE unsigned narrow(float *p, real a, real b) {
    __m128 low = _mm256_cvtpd_ps((__m256d)a), high = _mm256_cvtpd_ps((__m256d)b);
    _mm_storeu_ps(p, low + (__m128){0});
    return (unsigned)_mm_movemask_ps(_mm_cmp_ps(low, high, _CMP_NEQ_UQ));
}
INLINE real widen_float16(const char *p) { return (real)_mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64((const __m128i_u *)p))); }
INLINE real widen_bfloat16(const char *p) {
    return (real)_mm256_cvtps_pd((__m128)_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i_u *)p)), 16));
}
INLINE ints float32_bits(real a) { return (ints)_mm256_cvtpd_ps((__m256d)a); }
INLINE ints float16_codes(ints a) { return (ints)_mm_cvtepu16_epi32(_mm_cvtps_ph((__m128)a, 0)); }
INLINE void store_16(char *p, ints a) { _mm_storel_epi64((__m128i_u *)p, _mm_packus_epi32((__m128i)a, (__m128i)a)); }
INLINE unsigned differ_ints(ints a, ints b) { return (unsigned)_mm_movemask_ps((__m128)(a != b)); }
INLINE whole load_16(const char *p) { return (whole)_mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i_u *)p)); }
INLINE words look_up_pairs(const double *t, whole i) {
#define TWO(a, b) _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_load_pd(t + 2 * (i[a] & 1023))), _mm_load_pd(t + 2 * (i[b] & 1023)), 1)
    __m256d a = TWO(0, 2), b = TWO(1, 3);
    return (words){(real)_mm256_unpacklo_pd(a, b), (real)_mm256_unpackhi_pd(a, b)};
}
#else
INLINE real fma_(real a, real b, real c) { return (real)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
INLINE unsigned bits_of(whole mask) { return (unsigned)((mask[0] & 1) | (mask[1] & 2)); }
INLINE unsigned less(real a, real b) { return bits_of((whole)(a < b)); }
INLINE unsigned differ(real a, real b) { return bits_of((whole)(a != b)); }
INLINE real larger(real a, real b) { return select((whole)(a > b), a, b); }
INLINE real smaller(real a, real b) { return select((whole)(a < b), a, b); }
INLINE real zero_below(real a, real x, real y) { return (real)(~(whole)(x < y) & (whole)a); }
INLINE real replace_below(real a, real b, real x, real y) { return select((whole)(x < y), b, a); }
INLINE real widen(const float *p) { return (real)vcvt_f64_f32(vld1_f32(p)); }
INLINE real load_part(const double *p, int valid, real other) {
    for (int i = 0; i < valid; i++) other[i] = p[i];
    return other;
}
INLINE void store_part(double *p, real a, int valid) { for (int i = 0; i < valid; i++) p[i] = a[i]; }
INLINE real widen_part(const float *p, int valid, float other) {
    real a = all(other);
    for (int i = 0; i < valid; i++) a[i] = p[i];
    return a;
}
INLINE floats larger_floats(floats a, floats b) {
    uint32x4_t m = vcgtq_f32((float32x4_t)a, (float32x4_t)b);
    return (floats)vbslq_f32(m, (float32x4_t)a, (float32x4_t)b);
}
INLINE floats smaller_floats(floats a, floats b) {
    uint32x4_t m = vcltq_f32((float32x4_t)a, (float32x4_t)b);
    return (floats)vbslq_f32(m, (float32x4_t)a, (float32x4_t)b);
}
INLINE unsigned narrow(float *p, real a, real b) {
    float32x2_t low = vcvt_f32_f64((float64x2_t)a), high = vcvt_f32_f64((float64x2_t)b);
    vst1_f32(p, vadd_f32(low, vdup_n_f32(0)));
    uint32x2_t same = vceq_f32(low, high);
    return (unsigned)((vget_lane_u32(same, 0) == 0) | (vget_lane_u32(same, 1) == 0) << 1);
}
INLINE real widen_float16(const char *p) {
    float16_t a[4] = {0};
    memcpy(a, p, 4);
    return (real)vcvt_f64_f32(vget_low_f32(vcvt_f32_f16(vld1_f16(a))));
}
INLINE real widen_bfloat16(const char *p) {
    uint16_t a[2];
    memcpy(a, p, 4);
    ints b = {(int32_t)((uint32_t)a[0] << 16), (int32_t)((uint32_t)a[1] << 16)};
    return (real)vcvt_f64_f32((float32x2_t)b);
}
INLINE ints float32_bits(real a) { return (ints)vcvt_f32_f64((float64x2_t)a); }
INLINE ints float16_codes(ints a) {
    float32x2_t b = (float32x2_t)a;
    uint16x4_t c = vreinterpret_u16_f16(vcvt_f16_f32(vcombine_f32(b, b)));
    return (ints){vget_lane_u16(c, 0), vget_lane_u16(c, 1)};
}
INLINE void store_16(char *p, ints a) {
    uint16_t b[2] = {(uint16_t)a[0], (uint16_t)a[1]};
    memcpy(p, b, 4);
}
INLINE unsigned differ_ints(ints a, ints b) { return (unsigned)((a[0] != b[0]) | (a[1] != b[1]) << 1); }
INLINE words look_up_pairs(const double *t, whole i) {
    const double *a = t + 2 * (i[0] & 1023), *b = t + 2 * (i[1] & 1023);
    return (words){(real){a[0], b[0]}, (real){a[1], b[1]}};
}
#endif
#if LANES < 8
typedef struct { double at[16] ALIGNED; } table16;
INLINE table16 table_of(const double *t) { table16 a; memcpy(a.at, t, sizeof a.at); return a; }
INLINE real look_up(table16 t, whole i) {
    real a;
    for (int j = 0; j < LANES; j++) a[j] = t.at[i[j] & 15];
    return a;
}
#endif

#if LANES < 8
INLINE whole load_8(const char *p) {
    whole a;
    for (int j = 0; j < LANES; j++) a[j] = (unsigned char)p[j];
    return a;
}
INLINE void store_8(char *p, whole a) {
    for (int j = 0; j < LANES; j++) p[j] = (char)a[j];
}
#endif
#if LANES == 2
INLINE whole load_16(const char *p) {
    uint16_t a[2];
    memcpy(a, p, 4);
    return (whole){a[0], a[1]};
}
#endif

/* The processor's rounding mode and its treatment of subnormal numbers; its flags stay unchanged. */
#if defined(__aarch64__)
typedef uint64_t rounding;
INLINE rounding get_rounding(void) { rounding r; __asm__ volatile("mrs %0, fpcr" : "=r"(r)); return r; }
INLINE void set_rounding(rounding r) { __asm__ volatile("msr fpcr, %0" : : "r"(r) : "memory"); }
#define TO_NEAREST 0
#else
typedef unsigned rounding;
INLINE rounding get_rounding(void) { return _mm_getcsr(); }
INLINE void set_rounding(rounding r) { _mm_setcsr(r); }
#define TO_NEAREST 0x1F80 /* no trap, to nearest, no flush to zero */
#endif
#endif
