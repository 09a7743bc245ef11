/* From the records of a Kafka batch, format 2, to raw records: the common case of
 * record_batches.py, and nothing else.
 *
 * Anything that a sound batch does not hold (lengths that pass the end, bytes that are left over,
 * offsets that do not rise, attributes, headers without a name, names that are no UTF-8) makes
 * `unpack` return None, and the client's own reader says what it is.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#include "../../schemas/_named_tuple.h"
#include "../../schemas/_varint.h"
#include "../_headers.h"
#include "../_raw_records.h"

/* What record_batches.py must speak; raised when the arguments of `unpack` change. */
#define UNPACK_FORMAT 2

typedef struct {
    const unsigned char *at, *end;
} Cursor;

/* What all records of a batch share. */
typedef struct {
    PyTypeObject *record_type, *headers_type; /* NULL: headers are tuples */
    PyObject *topic, *partition;
    long long base_offset, base_timestamp;
    int has_one_timestamp;
    long long first_offset; /* records below it are left out */
    long long last_offset;  /* of the record before */
} Batch;

static inline int
read_varint(Cursor *cursor, int64_t *value)
{
    uint64_t number;
    if (read_varint_at(&cursor->at, cursor->end, &number) < 0) {
        return -1;
    }
    *value = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
    return 0;
}

/* The length of bytes that are all there, -1 for none of them. */
static inline int
read_length(Cursor *cursor, Py_ssize_t *length)
{
    int64_t value;
    if (read_varint(cursor, &value) < 0 || value < -1 || value > cursor->end - cursor->at) {
        return -1;
    }
    *length = (Py_ssize_t)value;
    return 0;
}

static PyObject *
read_bytes(Cursor *cursor)
{
    Py_ssize_t length;
    if (read_length(cursor, &length) < 0) {
        return NULL;
    }
    if (length < 0) {
        Py_RETURN_NONE;
    }
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)cursor->at, length);
    cursor->at += length;
    return bytes;
}

static PyObject *
read_name(Cursor *cursor)
{
    Py_ssize_t length;
    if (read_length(cursor, &length) < 0 || length < 0) {
        return NULL;
    }
    PyObject *name = PyUnicode_DecodeUTF8((const char *)cursor->at, length, NULL);
    cursor->at += length;
    return name;
}

static PyObject *
read_header(Cursor *cursor)
{
    PyObject *name = read_name(cursor);
    PyObject *value = name == NULL ? NULL : read_bytes(cursor);
    PyObject *header = value == NULL ? NULL : PyTuple_Pack(2, name, value);
    Py_XDECREF(name);
    Py_XDECREF(value);
    return header;
}

/* Headers that are decoded where somebody looks; NULL without an exception where that cannot be. */
static PyObject *
keep_headers(Cursor *cursor, PyTypeObject *type, int64_t count)
{
    const unsigned char *begin = cursor->at, *at = begin;
    for (int64_t place = 0; place < count; place++) {
        Header header;
        if (next_header(&at, cursor->end, &header) < 0) {
            return NULL;
        }
    }
    Headers *headers = (Headers *)type->tp_alloc(type, at - begin);
    if (headers != NULL) {
        headers->count = (Py_ssize_t)count;
        memcpy(headers->raw, begin, (size_t)(at - begin));
        cursor->at = at;
    }
    return (PyObject *)headers;
}

static PyObject *
read_headers(Cursor *cursor, PyTypeObject *headers_type)
{
    int64_t count;
    if (read_varint(cursor, &count) < 0 || count < 0 || count > cursor->end - cursor->at) {
        return NULL;
    }
    if (headers_type != NULL && count > 0) {
        PyObject *kept = keep_headers(cursor, headers_type, count);
        if (kept != NULL || PyErr_Occurred()) {
            return kept;
        }
    }
    PyObject *headers = PyTuple_New((Py_ssize_t)count);
    for (Py_ssize_t place = 0; headers != NULL && place < count; place++) {
        PyObject *header = read_header(cursor);
        if (header == NULL) {
            Py_CLEAR(headers);
        }
        else {
            PyTuple_SET_ITEM(headers, place, header);
        }
    }
    return headers;
}

static PyObject *
make_record(const Batch *batch, long long offset, long long timestamp, Cursor *cursor)
{
    PyObject *fields[FIELDS_OF_A_RECORD] = {
        Py_NewRef(batch->topic), Py_NewRef(batch->partition), NULL, NULL, NULL, NULL, NULL,
    };
    PyObject *record = NULL;
    if ((fields[2] = PyLong_FromLongLong(offset)) != NULL
        && (fields[3] = PyLong_FromLongLong(timestamp)) != NULL
        && (fields[4] = read_bytes(cursor)) != NULL && (fields[5] = read_bytes(cursor)) != NULL
        && (fields[6] = read_headers(cursor, batch->headers_type)) != NULL) {
        record = new_named_tuple(batch->record_type, FIELDS_OF_A_RECORD);
    }
    for (int place = 0; place < FIELDS_OF_A_RECORD; place++) {
        if (record == NULL) {
            Py_XDECREF(fields[place]);
        }
        else {
            PyTuple_SET_ITEM(record, place, fields[place]);
        }
    }
    return record;
}

/* Append the next record, or step over it; gives up with -1. */
static int
unpack_record(Batch *batch, Cursor *section, PyObject *records)
{
    Py_ssize_t length;
    int64_t time_delta, offset_delta;
    if (read_length(section, &length) < 0 || length < 1 || *section->at != 0) {
        return -1;
    }
    Cursor cursor = {section->at + 1, section->at + length};
    long long offset, timestamp = batch->base_timestamp;
    if (read_varint(&cursor, &time_delta) < 0 || read_varint(&cursor, &offset_delta) < 0
        || __builtin_add_overflow(batch->base_offset, offset_delta, &offset)
        || (!batch->has_one_timestamp
            && __builtin_add_overflow(batch->base_timestamp, time_delta, &timestamp))
        || offset <= batch->last_offset) {
        return -1;
    }
    PyObject *record = make_record(batch, offset, timestamp, &cursor);
    if (record == NULL) {
        return -1;
    }
    int done = cursor.at != cursor.end      ? -1
               : offset < batch->first_offset ? 0
                                              : PyList_Append(records, record);
    Py_DECREF(record);
    section->at = cursor.end;
    batch->last_offset = offset;
    return done;
}

/* Whether a class has its objects laid out as _headers.h says. */
static int
holds_headers(PyObject *type)
{
    return PyType_Check(type) && ((PyTypeObject *)type)->tp_itemsize == 1
           && ((PyTypeObject *)type)->tp_basicsize == HEADERS_SIZE;
}

/* unpack(class, class of headers or None, topic, partition, section, count, base_offset, base_timestamp, has_one_timestamp,
 * first_offset) */
static PyObject *
unpack(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Batch batch = {.last_offset = -1};
    Py_buffer section;
    Py_ssize_t count;
    PyObject *headers_type;
    if (!PyArg_ParseTuple(arguments, "O!OOOy*nLLpL:unpack", &PyType_Type, &batch.record_type,
                          &headers_type, &batch.topic, &batch.partition, &section, &count, &batch.base_offset,
                          &batch.base_timestamp, &batch.has_one_timestamp, &batch.first_offset)) {
        return NULL;
    }
    if (!PyType_IsSubtype(batch.record_type, &PyTuple_Type) || batch.record_type->tp_dictoffset) {
        PyBuffer_Release(&section);
        PyErr_SetString(PyExc_TypeError, "records are plain named tuples");
        return NULL;
    }
    if (headers_type != Py_None && !holds_headers(headers_type)) {
        PyBuffer_Release(&section);
        PyErr_SetString(PyExc_TypeError, "that is no class of headers");
        return NULL;
    }
    batch.headers_type = headers_type == Py_None ? NULL : (PyTypeObject *)headers_type;
    Cursor cursor = {section.buf, (const unsigned char *)section.buf + section.len};
    PyObject *records = PyList_New(0);
    int done = records == NULL ? -1 : 0;
    for (; done == 0 && count > 0; count--) {
        done = unpack_record(&batch, &cursor, records);
    }
    int is_whole = done == 0 && count == 0 && cursor.at == cursor.end;
    PyBuffer_Release(&section);
    if (is_whole) {
        return records;
    }
    Py_XDECREF(records);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"unpack", unpack, METH_VARARGS,
     "The records of a section from an offset on; None when it is none of a sound batch."},
    {NULL, NULL, 0, NULL},
};

static int
fill_module(PyObject *module)
{
    return PyModule_AddIntConstant(module, "UNPACK_FORMAT", UNPACK_FORMAT);
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_records",
    .m_doc = "Records of Kafka batches; see streams/kafka/record_batches.py.",
    .m_size = 0,
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_records(void)
{
    return PyModuleDef_Init(&MODULE);
}
