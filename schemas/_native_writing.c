/* Writes the envelope of an event as Avro: the common case of prefix_writer.py, and nothing else.
 *
 * Whatever is out of the ordinary (other classes than the envelope's own, what is no plain text or
 * number, a text that UTF-8 cannot hold, a number that is too large) is not judged here: what was
 * written so far is dropped and the fallback, the writer in Python, is called with the same
 * envelope. Its bytes or its error are the answer. So no error about an event comes from this file.
 *
 * "Gives up" below means: returns -1, or NULL, with no exception set or one that the fallback will
 * meet again.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_block.h"
#include "_varint.h"

/* What native.py must speak; raised when arguments, fields or bytes change. */
#define WRITING_FORMAT 1

/* Where the envelope, and what is in it, have their members. */
enum { ID, TYPE, CATEGORY, PRIORITY, VERSION, TIMESTAMP_MS, SOURCE, CORRELATION_ID, CAUSATION_ID,
       AGGREGATE, METADATA, ENVELOPE_SIZE };
enum { AGGREGATE_TYPE, AGGREGATE_ID, AGGREGATE_VERSION, AGGREGATE_SIZE };
enum { USER_ID, TRACE_ID, RETRY_COUNT, EXTRA, METADATA_SIZE };

/* Members of an envelope that all events of a schema have alike: from its type to its version. */
#define ALIKE (VERSION - TYPE + 1)

/* Bytes on the stack; nearly all envelopes need no more. */
#define FIRST_ROOM 512

/* The branches of an optional value. */
#define ABSENT 0
#define PRESENT 2

typedef struct {
    PyObject_HEAD
    PyTypeObject *envelope_type, *aggregate_type, *metadata_type;
    PyObject *no_extra;
    PyObject *kind; /* the bytes of what all events of a schema have alike */
    PyObject *fallback;
} EnvelopeWriter;

/* ------------------------------------------------------------------ single values */

static int
put_byte(Block *block, char byte)
{
    char *at = grow(block, 1);
    if (at == NULL) {
        return -1;
    }
    *at = byte;
    return 0;
}

static int
put_bytes(Block *block, const char *bytes, Py_ssize_t size)
{
    char *at = grow(block, size);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, bytes, (size_t)size);
    return 0;
}

static int
put_long(Block *block, int64_t number)
{
    char *at = grow(block, LONGEST_VARINT);
    if (at == NULL) {
        return -1;
    }
    end_at(block, write_varint_at(at, zigzag_of(number)));
    return 0;
}

static int
put_number(Block *block, PyObject *value, int64_t least, int64_t most)
{
    int is_beyond = 0;
    if (!PyLong_CheckExact(value)) {
        return -1;
    }
    long long number = PyLong_AsLongLongAndOverflow(value, &is_beyond);
    return is_beyond || number < least || number > most ? -1 : put_long(block, number);
}

/* Bytes behind their number. */
static int
put_counted(Block *block, const char *bytes, Py_ssize_t size)
{
    return put_long(block, size) < 0 ? -1 : put_bytes(block, bytes, size);
}

static int
put_text(Block *block, PyObject *value)
{
    if (!PyUnicode_CheckExact(value)) {
        return -1;
    }
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
        return put_counted(block, (const char *)PyUnicode_1BYTE_DATA(value),
                           PyUnicode_GET_LENGTH(value));
    }
    /* A temporary one: the other way would be kept with the text. */
    PyObject *encoded = PyUnicode_AsUTF8String(value);
    if (encoded == NULL) {
        return -1;
    }
    int done = put_counted(block, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
    return done;
}

static int
put_optional_text(Block *block, PyObject *value)
{
    if (value == Py_None) {
        return put_byte(block, ABSENT);
    }
    return put_byte(block, PRESENT) < 0 ? -1 : put_text(block, value);
}

static int
put_optional_number(Block *block, PyObject *value, int64_t least, int64_t most)
{
    if (value == Py_None) {
        return put_byte(block, ABSENT);
    }
    return put_byte(block, PRESENT) < 0 ? -1 : put_number(block, value, least, most);
}

/* ------------------------------------------------------------------ the parts of an envelope */

/* Whether it is of exactly this class, with all its members. */
static inline int
is_whole(PyObject *object, PyTypeObject *type, Py_ssize_t size)
{
    return Py_IS_TYPE(object, type) && PyTuple_GET_SIZE(object) == size;
}

static int
put_kind(EnvelopeWriter *self, Block *block, PyObject *envelope)
{
    PyObject *alike[ALIKE];
    for (int at = 0; at < ALIKE; at++) {
        alike[at] = PyTuple_GET_ITEM(envelope, TYPE + at);
    }
    PyObject *kind = PyObject_Vectorcall(self->kind, alike, ALIKE, NULL);
    int done = kind == NULL || !PyBytes_CheckExact(kind)
                   ? -1
                   : put_bytes(block, PyBytes_AS_STRING(kind), PyBytes_GET_SIZE(kind));
    Py_XDECREF(kind);
    return done;
}

static int
put_aggregate(EnvelopeWriter *self, Block *block, PyObject *aggregate)
{
    if (aggregate == Py_None) {
        return put_byte(block, ABSENT);
    }
    if (!is_whole(aggregate, self->aggregate_type, AGGREGATE_SIZE)
        || put_byte(block, PRESENT) < 0
        || put_text(block, PyTuple_GET_ITEM(aggregate, AGGREGATE_TYPE)) < 0
        || put_text(block, PyTuple_GET_ITEM(aggregate, AGGREGATE_ID)) < 0) {
        return -1;
    }
    return put_optional_number(block, PyTuple_GET_ITEM(aggregate, AGGREGATE_VERSION), INT64_MIN,
                               INT64_MAX);
}

/* Nothing below calls Python, so the entries stay as many as they are. */
static int
put_extra(EnvelopeWriter *self, Block *block, PyObject *extra)
{
    if (extra == self->no_extra) {
        return put_byte(block, 0);
    }
    if (!PyDict_CheckExact(extra)) {
        return -1;
    }
    PyObject *key, *value;
    Py_ssize_t place = 0, count = PyDict_GET_SIZE(extra);
    if (count > 0 && put_long(block, count) < 0) {
        return -1;
    }
    while (PyDict_Next(extra, &place, &key, &value)) {
        if (put_text(block, key) < 0 || put_text(block, value) < 0) {
            return -1;
        }
    }
    return put_byte(block, 0);
}

static int
put_metadata(EnvelopeWriter *self, Block *block, PyObject *metadata)
{
    if (!is_whole(metadata, self->metadata_type, METADATA_SIZE)
        || put_optional_text(block, PyTuple_GET_ITEM(metadata, USER_ID)) < 0
        || put_optional_text(block, PyTuple_GET_ITEM(metadata, TRACE_ID)) < 0
        || put_optional_number(block, PyTuple_GET_ITEM(metadata, RETRY_COUNT), INT32_MIN,
                               INT32_MAX) < 0) {
        return -1;
    }
    return put_extra(self, block, PyTuple_GET_ITEM(metadata, EXTRA));
}

static int
put_envelope(EnvelopeWriter *self, Block *block, PyObject *envelope)
{
    if (!is_whole(envelope, self->envelope_type, ENVELOPE_SIZE)
        || put_text(block, PyTuple_GET_ITEM(envelope, ID)) < 0
        || put_kind(self, block, envelope) < 0
        || put_number(block, PyTuple_GET_ITEM(envelope, TIMESTAMP_MS), INT64_MIN, INT64_MAX) < 0
        || put_text(block, PyTuple_GET_ITEM(envelope, SOURCE)) < 0
        || put_optional_text(block, PyTuple_GET_ITEM(envelope, CORRELATION_ID)) < 0
        || put_optional_text(block, PyTuple_GET_ITEM(envelope, CAUSATION_ID)) < 0
        || put_aggregate(self, block, PyTuple_GET_ITEM(envelope, AGGREGATE)) < 0) {
        return -1;
    }
    return put_metadata(self, block, PyTuple_GET_ITEM(envelope, METADATA));
}

/* ------------------------------------------------------------------ the writer */

/* write(envelope) */
static PyObject *
write_envelope(EnvelopeWriter *self, PyObject *envelope)
{
    char first[FIRST_ROOM];
    Block block = {.begin = first, .room = FIRST_ROOM};
    PyObject *written = NULL;
    if (put_envelope(self, &block, envelope) == 0) {
        written = PyBytes_FromStringAndSize(block.begin, block.size);
    }
    PyMem_Free(block.grown);
    if (written != NULL) {
        return written;
    }
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    return PyObject_CallOneArg(self->fallback, envelope);
}

/* EnvelopeWriter(envelope class, aggregate class, metadata class, no_extra, kind, fallback) */
static PyObject *
new_writer(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    PyTypeObject *envelope_type, *aggregate_type, *metadata_type;
    PyObject *no_extra, *kind, *fallback;
    if (!PyArg_ParseTuple(arguments, "O!O!O!OOO:EnvelopeWriter", &PyType_Type, &envelope_type,
                          &PyType_Type, &aggregate_type, &PyType_Type, &metadata_type, &no_extra,
                          &kind, &fallback)) {
        return NULL;
    }
    if (!PyType_IsSubtype(envelope_type, &PyTuple_Type)
        || !PyType_IsSubtype(aggregate_type, &PyTuple_Type)
        || !PyType_IsSubtype(metadata_type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "an envelope and its parts are named tuples");
        return NULL;
    }
    EnvelopeWriter *self = (EnvelopeWriter *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->envelope_type = (PyTypeObject *)Py_NewRef(envelope_type);
        self->aggregate_type = (PyTypeObject *)Py_NewRef(aggregate_type);
        self->metadata_type = (PyTypeObject *)Py_NewRef(metadata_type);
        self->no_extra = Py_NewRef(no_extra);
        self->kind = Py_NewRef(kind);
        self->fallback = Py_NewRef(fallback);
    }
    return (PyObject *)self;
}

static int
traverse_writer(EnvelopeWriter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->envelope_type);
    Py_VISIT(self->aggregate_type);
    Py_VISIT(self->metadata_type);
    Py_VISIT(self->no_extra);
    Py_VISIT(self->kind);
    Py_VISIT(self->fallback);
    return 0;
}

static int
clear_writer(EnvelopeWriter *self)
{
    Py_CLEAR(self->envelope_type);
    Py_CLEAR(self->aggregate_type);
    Py_CLEAR(self->metadata_type);
    Py_CLEAR(self->no_extra);
    Py_CLEAR(self->kind);
    Py_CLEAR(self->fallback);
    return 0;
}

static void
free_writer(EnvelopeWriter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear_writer(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef WRITER_METHODS[] = {
    {"write", (PyCFunction)write_envelope, METH_O, "The envelope's part of the composed record."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot WRITER_SLOTS[] = {
    {Py_tp_doc, "Writes envelopes; see schemas/prefix_writer.py."},
    {Py_tp_new, new_writer},
    {Py_tp_dealloc, free_writer},
    {Py_tp_traverse, traverse_writer},
    {Py_tp_clear, clear_writer},
    {Py_tp_methods, WRITER_METHODS},
    {0, NULL},
};

static PyType_Spec WRITER_SPEC = {
    .name = "schemas._native_writing.EnvelopeWriter",
    .basicsize = sizeof(EnvelopeWriter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = WRITER_SLOTS,
};

/* ------------------------------------------------------------------ the module */

static int
fill_module(PyObject *module)
{
    if (PyModule_AddIntConstant(module, "WRITING_FORMAT", WRITING_FORMAT) < 0) {
        return -1;
    }
    PyObject *writer = PyType_FromModuleAndSpec(module, &WRITER_SPEC, NULL);
    int done = writer == NULL ? -1 : PyModule_AddObjectRef(module, "EnvelopeWriter", writer);
    Py_XDECREF(writer);
    return done;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_writing",
    .m_doc = "Writes envelopes; see schemas/prefix_writer.py.",
    .m_size = 0,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_writing(void)
{
    return PyModuleDef_Init(&MODULE);
}
