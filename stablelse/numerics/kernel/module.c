/* The extension module: NumPy arrays in, jobs for the kernel, NumPy arrays out.

   It compiles without Python.h and NumPy's headers. It declares by hand what it uses of two binary
   interfaces that do not change: CPython's stable ABI (of 3.11, so one file serves every later
   version), and NumPy's C API, whose table and structures are the same in all of NumPy 2. */
#include "kernel.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- CPython's stable ABI. Objects have this layout only in builds with the GIL. ---- */
typedef ptrdiff_t Py_ssize_t;
typedef struct object { Py_ssize_t references; struct object *type; } PyObject;
typedef PyObject *(*fastcall)(PyObject *, PyObject *const *, Py_ssize_t);
typedef struct { const char *name; fastcall function; int flags; const char *doc; } PyMethodDef;
typedef struct {
    PyObject head; void *init; Py_ssize_t index; PyObject *copy; /* PyModuleDef_Base */
    const char *name, *doc;
    Py_ssize_t size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
} PyModuleDef;
enum { METH_FASTCALL = 0x80, ABI_VERSION = 3 };

#ifdef _WIN32
__declspec(dllimport)
#endif
extern PyObject _Py_NoneStruct, PyLong_Type, *PyExc_TypeError, *PyExc_ValueError, *PyExc_ImportError;
extern void Py_IncRef(PyObject *), Py_DecRef(PyObject *);
extern void PyErr_SetString(PyObject *, const char *);
extern void PyErr_Clear(void);
extern PyObject *PyErr_NoMemory(void), *PyErr_Occurred(void);
extern long PyLong_AsLong(PyObject *);
extern double PyFloat_AsDouble(PyObject *);
extern PyObject *PyLong_FromLong(long), *PyObject_CallFunctionObjArgs(PyObject *, ...);
extern PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
extern int PyBytes_AsStringAndSize(PyObject *, char **, Py_ssize_t *);
extern PyObject *PyUnicode_FromString(const char *), *PyTuple_New(Py_ssize_t);
extern int PyUnicode_CompareWithASCIIString(PyObject *, const char *);
extern int PyTuple_SetItem(PyObject *, Py_ssize_t, PyObject *);
extern PyObject *PyModule_Create2(PyModuleDef *, int);
extern int PyModule_AddStringConstant(PyObject *, const char *, const char *);
extern int PyObject_SetAttrString(PyObject *, const char *, PyObject *);
extern void *PyCapsule_GetPointer(PyObject *, const char *);
extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *);

/* ---- NumPy 2. The beginning of a dtype, and an array. ---- */
typedef struct { PyObject head; PyObject *scalar; char kind, letter, order, unused; int number; } Dtype;
typedef struct {
    PyObject head;
    char *data;
    int nd;
    Py_ssize_t *shape, *strides;
    PyObject *base;
    Dtype *dtype;
    int flags;
} Array;
enum { C_CONTIGUOUS = 1, ALIGNED = 0x100, WRITEABLE = 0x400 };
enum { BOOL = 0, INT8 = 1, INT64 = sizeof(long) == 8 ? 7 : 9 };
/* NumPy's type numbers of the formats, in the order of kernel.h. ml_dtypes gets its own on import. */
static int numbers[] = {12, 11, 23, -1, -1, -1};
static const int sizes[] = {8, 4, 2, 2, 1, 1};
enum { FORMATS = sizeof numbers / sizeof *numbers };

static PyObject *array_type;
static PyObject *rest; /* the function that settles results in doubt */
static Dtype *(*dtype_of_number)(int);
static PyObject *(*new_array)(PyObject *, Dtype *, int, const Py_ssize_t *, const Py_ssize_t *, void *, int, PyObject *);
static PyObject *(*as_scalar)(PyObject *); /* leaves an array with axes unchanged */

/* ---- The kernels, best first. ---- */
typedef struct {
    const char *name;
    int (*is_here)(void);
    int64_t (*settle)(const job *);
    void (*sum_piece)(const job *, int64_t, int64_t, total *);
    void (*merge_pieces)(total *, const total *);
    int64_t (*settle_piece)(const job *, int64_t, int64_t, const total *);
    void (*add_rows)(const job *, int, state *);
    void (*merge_states)(state *, const state *);
    int64_t (*settle_elements)(const job *, const state *);
} kernel;
#define KERNEL(name) {#name, has_##name, settle_##name, sum_piece_##name, merge_pieces_##name, settle_piece_##name, \
                      add_rows_##name, merge_states_##name, settle_elements_##name}

#if defined(__x86_64__)
#include <cpuid.h>
/* __builtin_cpu_supports would do, except that it finds nothing in ziglang's clang. XCR0 says which registers the
   system saves. */
static int has(unsigned more_of_7, unsigned registers) {
    unsigned a, b, c, d, low, high;
    const unsigned fma_movbe_osxsave_f16c = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 29, bmi_avx2_bmi2 = 1u << 3 | 1u << 5 | 1u << 8;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ~c & fma_movbe_osxsave_f16c) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (~low & registers || !__get_cpuid(0x80000001, &a, &b, &c, &d) || ~c & 1u << 5 /* lzcnt */) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && !(~b & (bmi_avx2_bmi2 | more_of_7));
}
static int has_v3(void) { return has(0, 0x6); }
static int has_v4(void) { return has(1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31 /* f dq cd bw vl */, 0xe6); }
static const kernel kernels[] = {KERNEL(v4), KERNEL(v3)};
#elif defined(__aarch64__)
static int has_neon(void) { return 1; }
static const kernel kernels[] = {KERNEL(neon)};
#else
#error "no kernel for this processor"
#endif
enum { KERNELS = sizeof kernels / sizeof *kernels };

static const kernel *used;

static PyObject *none(void) { return Py_IncRef(&_Py_NoneStruct), &_Py_NoneStruct; }

/* use(name): compute with that kernel from now on. */
static PyObject *use(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    for (int i = 0; count == 1 && i < KERNELS; i++)
        if (kernels[i].is_here() && !PyUnicode_CompareWithASCIIString(args[0], kernels[i].name))
            return used = &kernels[i], none();
    return PyErr_SetString(PyExc_ValueError, "use takes one of the available kernels"), NULL;
}

/* attach(capsule): find NumPy's functions in its _ARRAY_API. */
static PyObject *attach(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    void **api = count == 1 ? PyCapsule_GetPointer(args[0], NULL) : NULL;
    if (!api) return PyErr_Occurred() ? NULL : (PyErr_SetString(PyExc_TypeError, "attach takes a capsule"), NULL);
    if (((unsigned (*)(void))api[0])() >> 24 != 2)
        return PyErr_SetString(PyExc_ImportError, "this NumPy has another binary interface than NumPy 2"), NULL;
    array_type = api[2];
    dtype_of_number = (Dtype * (*)(int)) api[45];
    as_scalar = (PyObject * (*)(PyObject *)) api[76];
    new_array = (PyObject * (*)(PyObject *, Dtype *, int, const Py_ssize_t *, const Py_ssize_t *, void *, int,
                                PyObject *)) api[94];
    return none();
}

/* on_doubt(rest): call rest(function, x, axis, y, indices) for results in doubt, which puts them into y. */
static PyObject *on_doubt(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 1) return PyErr_SetString(PyExc_TypeError, "on_doubt takes a function"), NULL;
    Py_IncRef(args[0]);
    if (rest) Py_DecRef(rest);
    rest = args[0];
    return none();
}

/* ---- Jobs. ---- */
enum {
    ROOM = 64,     /* places on the stack for results in doubt */
    LARGE = 4096,  /* from this many numbers on, releasing the GIL pays */
    MOST = 1 << 18 /* the most numbers for the caller's thread alone */
};

/* The object as an array, if it is one, of a format of the kernel, aligned and in native byte order. */
static Array *readable(PyObject *object, int *format) {
    if (object->type != array_type || !array_type || !used) return NULL;
    Array *x = (Array *)object;
    if (!(x->flags & ALIGNED) || (x->dtype->order != '=' && x->dtype->order != '|')) return NULL;
    for (*format = 0; *format < FORMATS; ++*format)
        if (x->dtype->number == numbers[*format]) return x;
    return NULL;
}

/* know(format, x): the dtype of x is that format. */
static PyObject *know(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    long format = count == 2 ? PyLong_AsLong(args[0]) : -1;
    if (PyErr_Occurred()) return NULL;
    if (format < 0 || format >= FORMATS || args[1]->type != array_type)
        return PyErr_SetString(PyExc_TypeError, "know takes the number of a format, and an array"), NULL;
    return numbers[format] = ((Array *)args[1])->dtype->number, none();
}

/* The elements from .. to of the first row of a job, with the sum of the row; without a sum, all rows, which are
   pieces of longer ones if there are states. */
typedef struct { int64_t from, to; const total *sum; const state *states; } piece;

/* Run a job with `results` results. Returns an array of the flat indices of those in doubt, or NULL; with an
   error if `failed`. */
static PyObject *run(job *work, piece part, int64_t results, int *failed) {
    int64_t few[ROOM], room = results / 8 + 8, *at = few;
    *failed = 1;
    if (room > ROOM && !(at = malloc(room * sizeof *at))) return PyErr_NoMemory();
    work->doubtful = at, work->room = room < ROOM ? ROOM : room;
    int64_t size = part.sum ? part.to - part.from : work->rows * work->length;
    void *thread = size < LARGE ? NULL : PyEval_SaveThread();
    int64_t count = part.sum ? used->settle_piece(work, part.from, part.to, part.sum)
        : part.states ? used->settle_elements(work, part.states) : used->settle(work);
    if (thread) PyEval_RestoreThread(thread);
    PyObject *doubtful = NULL;
    int is_all = count > work->room;
    Py_ssize_t length = is_all ? results : count;
    if (length && (doubtful = new_array(array_type, dtype_of_number(INT64), 1, &length, NULL, NULL, 0, NULL))) {
        int64_t *to = (int64_t *)((Array *)doubtful)->data;
        if (!is_all) memcpy(to, at, length * sizeof *at);
        else for (Py_ssize_t i = 0; i < length; i++) to[i] = part.from + i;
    }
    if (at != few) free(at);
    *failed = length && !doubtful;
    return doubtful;
}

/* Read a mask of rows, where False stands for an element of -inf; None for none. */
static int as_mask(PyObject *object, job *work) {
    if (object == &_Py_NoneStruct) return 1;
    Array *mask = (Array *)object;
    if (object->type != array_type || mask->dtype->number != BOOL || mask->nd != 2 || mask->shape[0] != work->rows
        || mask->shape[1] != work->length)
        return PyErr_SetString(PyExc_TypeError, "takes a mask of booleans in the shape of the rows, or None"), 0;
    work->mask = mask->data, work->mask_row_stride = mask->strides[0], work->mask_stride = mask->strides[1];
    return 1;
}

/* Read (function, x, y, mask): rows, shape (m, n), where to put the results, shape (m,) or (m, n), in C order, and a
   mask of the rows or None. */
static int as_job(PyObject *const *args, job *work) {
    int format, format_y;
    long function = PyLong_AsLong(args[0]);
    if (PyErr_Occurred()) return 0;
    Array *x = function < 0 || function > LOG_SOFTMAX ? NULL : readable(args[1], &format);
    Array *y = x ? readable(args[2], &format_y) : NULL;
    if (!y || x->nd != 2 || format != format_y || y->nd != (function == LOGSUMEXP ? 1 : 2) || x->shape[1] < 1
        || y->shape[0] != x->shape[0] || (y->nd == 2 && y->shape[1] != x->shape[1])
        || (y->flags & (C_CONTIGUOUS | WRITEABLE)) != (C_CONTIGUOUS | WRITEABLE))
        return PyErr_SetString(PyExc_TypeError, "takes a function, rows, and where to put the results"), 0;
    *work = (job){.function = (int)function, .format = format, .x = x->data, .y = y->data,
                  .rows = x->shape[0], .length = x->shape[1], .row_stride = x->strides[0], .stride = x->strides[1]};
    return as_mask(args[3], work);
}

/* Read (b, signs): weights of logsumexp, and an int8 array for the signs of the sums. */
static int as_weights(PyObject *const *args, job *work) {
    int format;
    Array *b = readable(args[0], &format), *signs = (Array *)args[1];
    if (!b || work->function != LOGSUMEXP || format != work->format || b->nd != 2 || b->shape[0] != work->rows
        || b->shape[1] != work->length || signs->head.type != array_type || signs->dtype->number != INT8
        || signs->nd != 1 || signs->shape[0] != work->rows
        || (signs->flags & (C_CONTIGUOUS | WRITEABLE)) != (C_CONTIGUOUS | WRITEABLE))
        return PyErr_SetString(PyExc_TypeError, "takes weights as the numbers are, and a place for the signs"), 0;
    work->b = b->data, work->b_row_stride = b->strides[0], work->b_stride = b->strides[1];
    work->signs = (signed char *)signs->data;
    return 1;
}

/* rows(function, x, y, mask) or rows(function, x, y, mask, b, signs): a function of every row. Returns the flat indices
   of results in doubt, None without any. */
static PyObject *rows(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    int failed;
    if (count != 4 && count != 6) return PyErr_SetString(PyExc_TypeError, "rows takes 4 or 6 arguments"), NULL;
    if (!as_job(args, &work) || (count == 6 && !as_weights(args + 4, &work))) return NULL;
    PyObject *doubtful = run(&work, (piece){0}, work.rows * (work.function == LOGSUMEXP ? 1 : work.length), &failed);
    return doubtful || failed ? doubtful : none();
}

/* extent(x, y, low, high): put facts about every row of x (kernel.h) into y, float64 of shape (m, 4). */
static PyObject *extent(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    int format, format_y, failed;
    Array *x = count == 4 ? readable(args[0], &format) : NULL, *y = x ? readable(args[1], &format_y) : NULL;
    if (!y || x->nd != 2 || x->shape[1] < 1 || format_y != FLOAT64 || y->nd != 2 || y->shape[0] != x->shape[0]
        || y->shape[1] != 4 || (y->flags & (C_CONTIGUOUS | WRITEABLE)) != (C_CONTIGUOUS | WRITEABLE))
        return PyErr_SetString(PyExc_TypeError, "extent takes rows, a place for four numbers each, and two bounds"), NULL;
    job work = {.function = EXTENT, .format = format, .x = x->data, .y = y->data, .rows = x->shape[0],
                .length = x->shape[1], .row_stride = x->strides[0], .stride = x->strides[1]};
    work.low = PyFloat_AsDouble(args[2]), work.high = PyFloat_AsDouble(args[3]);
    if (PyErr_Occurred()) return NULL;
    run(&work, (piece){0}, 0, &failed);
    return failed ? NULL : none();
}

/* Read (function, x, y, mask, from, to): a piece of the first row of a job. */
static int as_piece(PyObject *const *args, Py_ssize_t count, job *work, piece *part) {
    if (count < 6) return PyErr_SetString(PyExc_TypeError, "takes a function, rows, a place, a mask, from, and to"), 0;
    if (!as_job(args, work)) return 0;
    part->from = PyLong_AsLong(args[4]), part->to = PyLong_AsLong(args[5]);
    if (PyErr_Occurred()) return 0;
    if (work->rows < 1 || part->from < 0 || part->to <= part->from || part->to > work->length)
        return PyErr_SetString(PyExc_ValueError, "there is no such piece"), 0;
    return 1;
}

/* sum_piece(function, x, y, mask, from, to): the sum of a piece of the first row, as bytes. */
static PyObject *sum_piece(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    piece part;
    total sum;
    if (!as_piece(args, count, &work, &part)) return NULL;
    void *thread = PyEval_SaveThread();
    used->sum_piece(&work, part.from, part.to, &sum);
    PyEval_RestoreThread(thread);
    return PyBytes_FromStringAndSize((const char *)&sum, sizeof sum);
}

/* settle_piece(function, x, y, mask, from, to, *sums): results of a piece, from the sums of all pieces. Returns the
   same as rows. */
static PyObject *settle_piece(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    piece part;
    total sum, other;
    int failed;
    if (!as_piece(args, count, &work, &part)) return NULL;
    if (count < 7) return PyErr_SetString(PyExc_TypeError, "settle_piece takes the sums of all pieces"), NULL;
    for (Py_ssize_t i = 6; i < count; i++) {
        char *bytes;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(args[i], &bytes, &size) < 0) return NULL;
        if (size != sizeof sum) return PyErr_SetString(PyExc_ValueError, "this is not the sum of a piece"), NULL;
        memcpy(i == 6 ? &sum : &other, bytes, sizeof sum);
        if (i > 6) used->merge_pieces(&sum, &other);
    }
    part.sum = &sum;
    PyObject *doubtful = run(&work, part, work.function == LOGSUMEXP ? 1 : part.to - part.from, &failed);
    return doubtful || failed ? doubtful : none();
}

/* The numbers of an array in C order, of a dtype and a size; NULL with an error if it is anything else. */
static void *numbers_of(PyObject *object, int number, int64_t size) {
    Array *x = (Array *)object;
    if (object->type == array_type && x->dtype->number == number && (x->flags & (C_CONTIGUOUS | ALIGNED | WRITEABLE)) == (C_CONTIGUOUS | ALIGNED | WRITEABLE)) {
        int64_t found = 1;
        for (int i = 0; i < x->nd; i++) found *= x->shape[i];
        if (found == size) return x->data;
    }
    return PyErr_SetString(PyExc_TypeError, "takes labels, words and targets as new arrays that fit the rows"), NULL;
}

/* Read (x, labels): rows, and a class for each. */
static int as_labelled(PyObject *const *args, job *work) {
    int format;
    Array *x = readable(args[0], &format);
    if (!x || x->nd != 2 || x->shape[1] < 1) return PyErr_SetString(PyExc_TypeError, "takes rows"), 0;
    *work = (job){.format = format, .x = x->data, .rows = x->shape[0], .length = x->shape[1],
                  .row_stride = x->strides[0], .stride = x->strides[1]};
    if (!(work->labels = numbers_of(args[1], INT64, work->rows))) return 0;
    for (int64_t i = 0; i < work->rows; i++)
        if (work->labels[i] < 0 || work->labels[i] >= work->length)
            return PyErr_SetString(PyExc_ValueError, "there is no such class"), 0;
    return as_mask(args[2], work);
}

/* Read targets in two words, shape (2, m, n); None for none. */
static int as_targets(PyObject *object, job *work) {
    if (object == &_Py_NoneStruct) return 1;
    return (work->targets = numbers_of(object, numbers[FLOAT64], 2 * work->rows * work->length)) != NULL;
}

/* losses(x, labels, mask, words, targets): put the losses of labels into words, shape (m, 3): high, low, error; or those
   of targets, if these are not None and labels are the places of the largest elements. */
static PyObject *losses(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    int failed;
    if (count != 5) return PyErr_SetString(PyExc_TypeError, "losses takes 5 arguments"), NULL;
    if (!as_labelled(args, &work) || !(work.losses = numbers_of(args[3], numbers[FLOAT64], 3 * work.rows))
        || !as_targets(args[4], &work)) return NULL;
    run(&work, (piece){0}, work.rows, &failed); /* none is in doubt: each has its error */
    return failed ? NULL : none();
}

/* gradients(x, labels, mask, y, factors, targets): put gradients into y, shape (m, n); see labels.h. factors: shape
   (m, 4); targets: shape (2, m, n), or None. Returns the same as rows. */
static PyObject *gradients(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    int failed, format;
    if (count != 6) return PyErr_SetString(PyExc_TypeError, "gradients takes 6 arguments"), NULL;
    if (!as_labelled(args, &work)) return NULL;
    int64_t size = work.rows * work.length;
    Array *y = readable(args[3], &format);
    if (!y || format != work.format || !(work.y = numbers_of(args[3], numbers[format], size))
        || !(work.factors = numbers_of(args[4], numbers[FLOAT64], 4 * work.rows)) || !as_targets(args[5], &work))
        return PyErr_Occurred() ? NULL : (PyErr_SetString(PyExc_TypeError, "takes a place for the gradients"), NULL);
    PyObject *doubtful = run(&work, (piece){0}, size, &failed);
    return doubtful || failed ? doubtful : none();
}

/* The states in an array, shape (m, 9), in C order; NULL if it is something else. */
static state *states_in(PyObject *object, int64_t rows) {
    int format;
    Array *s = readable(object, &format);
    if (s && format == FLOAT64 && s->nd == 2 && s->shape[0] == rows && s->shape[1] * sizeof(double) == sizeof(state)
        && (s->flags & (C_CONTIGUOUS | WRITEABLE)) == (C_CONTIGUOUS | WRITEABLE)) return (state *)s->data;
    return PyErr_SetString(PyExc_TypeError, "takes a state for each row"), NULL;
}

/* add_rows(x, narrow, states): add rows, shape (m, n), to states. */
static PyObject *add_rows(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    int format;
    Array *x = count == 3 ? readable(args[0], &format) : NULL;
    long narrow = x ? PyLong_AsLong(args[1]) : 0;
    if (PyErr_Occurred()) return NULL;
    if (!x || x->nd != 2 || x->shape[1] < 1) return PyErr_SetString(PyExc_TypeError, "takes rows, 0 or 1, and states"), NULL;
    state *states = states_in(args[2], x->shape[0]);
    if (!states) return NULL;
    job work = {.function = LOGSUMEXP, .format = format, .x = x->data, .rows = x->shape[0], .length = x->shape[1],
                .row_stride = x->strides[0], .stride = x->strides[1]};
    void *thread = PyEval_SaveThread();
    used->add_rows(&work, narrow != 0, states);
    PyEval_RestoreThread(thread);
    return none();
}

/* merge_states(states, others): add the others to the states, one by one. */
static PyObject *merge_states(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    int format;
    Array *first = count == 2 ? readable(args[0], &format) : NULL;
    if (!first || first->nd != 2) return PyErr_SetString(PyExc_TypeError, "takes states, and others"), NULL;
    state *s = states_in(args[0], first->shape[0]), *t = s ? states_in(args[1], first->shape[0]) : NULL;
    if (!t) return NULL;
    for (int64_t i = 0; i < first->shape[0]; i++) used->merge_states(&s[i], &t[i]);
    return none();
}

/* settle_elements(function, x, y, mask, states): a function of elements of pieces of rows. Returns the same as rows. */
static PyObject *settle_elements(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    job work;
    int failed;
    if (count != 5) return PyErr_SetString(PyExc_TypeError, "settle_elements takes 5 arguments"), NULL;
    if (!as_job(args, &work)) return NULL;
    if (work.function == LOGSUMEXP) return PyErr_SetString(PyExc_ValueError, "it has no elements"), NULL;
    state *states = states_in(args[4], work.rows);
    if (!states) return NULL;
    PyObject *doubtful = run(&work, (piece){.states = states}, work.rows * work.length, &failed);
    return doubtful || failed ? doubtful : none();
}

/* Describe an array as rows along an axis, without a copy. Returns the axis from 0, -1 for all axes, or -2 if
   that is impossible. */
static int describe(const Array *x, PyObject *axis, job *work) {
    int nd = x->nd, at = -1;
    if (axis == &_Py_NoneStruct) {
        if (nd == 1) at = 0;
        else if (nd < 1 || !(x->flags & C_CONTIGUOUS)) return -2;
    } else {
        if (axis->type != &PyLong_Type) return -2;
        long given = PyLong_AsLong(axis);
        if (given == -1 && PyErr_Occurred()) return PyErr_Clear(), -2;
        if (given < -nd || given >= nd) return -2;
        at = (int)(given < 0 ? given + nd : given);
    }
    Py_ssize_t size = 1, row_stride = 0;
    for (int i = nd - 1; i >= 0; i--) {
        if (i == at) continue;
        if (x->shape[i] != 1) {
            if (size == 1) row_stride = x->strides[i];
            else if (x->strides[i] != row_stride * size) return -2;
        }
        size *= x->shape[i];
    }
    work->x = x->data;
    if (at < 0) work->rows = 1, work->length = size, work->row_stride = 0, work->stride = row_stride;
    else work->rows = size, work->length = x->shape[at], work->row_stride = row_stride, work->stride = x->strides[at];
    return work->rows < 1 || work->length < 1 ? -2 : at;
}

/* A new array of x's shape, in C order, with results of rows along axis `at` at the places of their elements in x. */
static PyObject *scattered(const Array *x, int at, const char *from, int64_t size) {
    Py_IncRef(&x->dtype->head);
    PyObject *result = new_array(array_type, x->dtype, x->nd, x->shape, NULL, NULL, 0, NULL);
    if (!result) return NULL;
    int64_t outer = 1, inner = 1, length = x->shape[at];
    for (int i = 0; i < at; i++) outer *= x->shape[i];
    for (int i = at + 1; i < x->nd; i++) inner *= x->shape[i];
    char *to = ((Array *)result)->data;
    for (int64_t o = 0; o < outer; o++, to += length * inner * size)
        for (int64_t i = 0; i < inner; i++)
            for (int64_t j = 0; j < length; j++, from += size) memcpy(to + (j * inner + i) * size, from, size);
    return result;
}

/* function(x, axis): the result, if x is an array of moderate size that needs no conversion; otherwise None, and
   the caller takes the general path. */
static PyObject *call(int function, PyObject *const *args, Py_ssize_t count) {
    int format, failed, reduces = function == LOGSUMEXP;
    if (count != 2) return PyErr_SetString(PyExc_TypeError, "takes x and axis"), NULL;
    job work = {.function = function};
    Array *x = readable(args[0], &format);
    if (!x) return none();
    int at = describe(x, args[1], &work);
    if (at == -2 || work.rows > MOST / work.length) return none();
    Py_ssize_t shape[64];
    int nd = 0;
    for (int i = 0; i < x->nd; i++)
        if (!reduces || (at >= 0 && i != at)) shape[nd++] = x->shape[i];
    Py_IncRef(&x->dtype->head);
    PyObject *y = new_array(array_type, x->dtype, nd, shape, NULL, NULL, 0, NULL);
    if (!y) return NULL;
    work.format = format, work.y = ((Array *)y)->data;
    PyObject *doubtful = run(&work, (piece){0}, work.rows * (reduces ? 1 : work.length), &failed);
    if (doubtful && !rest) return Py_DecRef(y), Py_DecRef(doubtful), none();
    if (doubtful) {
        PyObject *number = PyLong_FromLong(function);
        PyObject *done = number ? PyObject_CallFunctionObjArgs(rest, number, args[0], args[1], y, doubtful, NULL) : NULL;
        failed = !done;
        if (done) Py_DecRef(done);
        if (number) Py_DecRef(number);
        Py_DecRef(doubtful);
    }
    if (failed) return Py_DecRef(y), NULL;
    if (reduces) return as_scalar(y);
    if (at < 0 || at == x->nd - 1) return y;
    PyObject *result = scattered(x, at, work.y, sizes[format]);
    return Py_DecRef(y), result;
}

static PyObject *logsumexp(PyObject *m, PyObject *const *a, Py_ssize_t n) { return (void)m, call(LOGSUMEXP, a, n); }
static PyObject *softmax(PyObject *m, PyObject *const *a, Py_ssize_t n) { return (void)m, call(SOFTMAX, a, n); }
static PyObject *log_softmax(PyObject *m, PyObject *const *a, Py_ssize_t n) { return (void)m, call(LOG_SOFTMAX, a, n); }

static PyMethodDef methods[] = {
    {"use", use, METH_FASTCALL, "Compute with a kernel from now on."},
    {"attach", attach, METH_FASTCALL, "Find NumPy's functions in its _ARRAY_API."},
    {"on_doubt", on_doubt, METH_FASTCALL, "Set the function that settles what is in doubt."},
    {"know", know, METH_FASTCALL, "Say which dtype a format is."},
    {"rows", rows, METH_FASTCALL, "Compute a function of rows into an array."},
    {"extent", extent, METH_FASTCALL, "Tell the extremes of rows, and how many elements are beyond two bounds."},
    {"losses", losses, METH_FASTCALL, "Compute the losses of labels in words."},
    {"gradients", gradients, METH_FASTCALL, "Compute gradients of losses into an array."},
    {"sum_piece", sum_piece, METH_FASTCALL, "Sum a piece of a row."},
    {"settle_piece", settle_piece, METH_FASTCALL, "Compute a function of a piece of a row into an array."},
    {"add_rows", add_rows, METH_FASTCALL, "Add rows to states."},
    {"merge_states", merge_states, METH_FASTCALL, "Add states to states."},
    {"settle_elements", settle_elements, METH_FASTCALL, "Compute a function of pieces of rows into an array."},
    {"logsumexp", logsumexp, METH_FASTCALL, "Compute log(sum(exp(x)))."},
    {"softmax", softmax, METH_FASTCALL, "Compute exp(x) / sum(exp(x))."},
    {"log_softmax", log_softmax, METH_FASTCALL, "Compute log(softmax(x))."},
    {NULL, NULL, 0, NULL}};

static PyModuleDef definition = {
    .head = {1, NULL}, .name = "compiled", .doc = "The compiled kernel.", .size = -1, .methods = methods};

__attribute__((visibility("default"))) PyObject *PyInit_compiled(void) {
    PyObject *module = PyModule_Create2(&definition, ABI_VERSION);
    if (!module || PyModule_AddStringConstant(module, "sources", SOURCES) < 0) return module ? Py_DecRef(module), NULL : NULL;
    Py_ssize_t count = 0;
    for (int i = 0; i < KERNELS; i++) count += kernels[i].is_here();
    PyObject *available = PyTuple_New(count);
    if (!available) return Py_DecRef(module), NULL;
    for (int i = KERNELS - 1; i >= 0; i--)
        if (kernels[i].is_here()) PyTuple_SetItem(available, --count, PyUnicode_FromString(kernels[i].name));
    int failed = PyObject_SetAttrString(module, "available", available) < 0;
    Py_DecRef(available);
    return failed ? Py_DecRef(module), NULL : module;
}
