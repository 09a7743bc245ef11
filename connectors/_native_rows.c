/* Rows of events, rows as Postgres' binary COPY takes them, and columns as its binary arrays: the
 * common case of event_row.py and of the driver's own encoding, and nothing else.
 *
 * Whatever is out of the ordinary is not judged here. A maker of rows calls its fallback in Python
 * with the same arguments, `pack` and `pack_array` return None, and the driver says what a value is
 * that it cannot send. So no error about an event or a value comes from this file.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "../schemas/_block.h"
#include "../schemas/_named_tuple.h"

/* What native.py must speak; raised when arguments or columns change. */
#define ROWS_FORMAT 2

#define MS_OF_A_DAY 86400000LL
#define US_OF_A_DAY (MS_OF_A_DAY * 1000)
#define DAYS_OF_400_YEARS 146097
/* From 0000-03-01, the beginning of a year that ends with its leap day, to the epochs. */
#define MARCH_TO_1970 719468
#define MARCH_TO_2000 730425
/* The days that the calendar of Python has, counted from 1970. */
#define FIRST_DAY (-719162)
#define LAST_DAY 2932896

/* ------------------------------------------------------------------ the calendar */

typedef struct {
    int year, month, day;
} Date;

/* The date of a day; days are counted from 1970. */
static Date
date_of(long long day)
{
    long long since = day + MARCH_TO_1970;
    int era = (int)(since / DAYS_OF_400_YEARS);
    int within = (int)(since % DAYS_OF_400_YEARS);
    int year = (within - within / 1460 + within / 36524 - within / 146096) / 365;
    int of_year = within - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153;
    Date date = {
        .year = era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
    return date;
}

/* The day of a date, counted from 2000. */
static long long
day_since_2000(Date date)
{
    int year = date.month > 2 ? date.year : date.year - 1;
    int era = year / 400, of_era = year % 400;
    int month = date.month > 2 ? date.month - 3 : date.month + 9;
    int of_year = (153 * month + 2) / 5 + date.day - 1;
    return (long long)era * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year
           - MARCH_TO_2000;
}

static PyObject *
time_of(PyObject *timestamp_ms)
{
    int is_beyond = !PyLong_CheckExact(timestamp_ms);
    long long ms = is_beyond ? 0 : PyLong_AsLongLongAndOverflow(timestamp_ms, &is_beyond);
    long long day = ms / MS_OF_A_DAY - (ms % MS_OF_A_DAY < 0);
    if (is_beyond || day < FIRST_DAY || day > LAST_DAY) {
        return NULL;
    }
    Date date = date_of(day);
    int of_day = (int)(ms - day * MS_OF_A_DAY);
    return PyDateTimeAPI->DateTime_FromDateAndTime(
        date.year, date.month, date.day, of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60,
        of_day % 1000 * 1000, PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

/* ------------------------------------------------------------------ from an event to its row */

enum { ID, TYPE, CATEGORY, PRIORITY, VERSION, TIMESTAMP_MS, SOURCE, CORRELATION_ID, CAUSATION_ID,
       AGGREGATE, METADATA, READ_FIELDS };

static const char *const FIELD_NAMES[READ_FIELDS] = {
    "id", "type", "category", "priority", "version", "timestamp_ms", "source", "correlation_id",
    "causation_id", "aggregate", "metadata",
};

/* Columns that all events of a type have alike, and those that many have alike. */
#define SHARED_COLUMNS 4
#define DESCRIBED_COLUMNS 2
#define COLUMNS 18

/* Members of an aggregate: type, id, version. Of metadata: user, trace, retries, extra. */
#define AGGREGATE_SIZE 3
#define METADATA_SIZE 4

typedef struct {
    PyObject_HEAD
    PyTypeObject *row_type;
    Py_ssize_t longest_key;
    PyObject *shared;     /* of type, category, priority and version */
    PyObject *described;  /* of source and type of aggregate */
    PyObject *command_id; /* of an event */
    PyObject *fallback;
    PyObject *names[READ_FIELDS];
} RowMaker;

/* Whether a text can be a column as it is; None is. */
static int
is_plain(PyObject *text, Py_ssize_t longest)
{
    if (text == Py_None) {
        return 1;
    }
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text)) {
        return 0;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    return length <= longest
           && memchr(PyUnicode_1BYTE_DATA(text), 0, (size_t)length) == NULL;
}

static PyObject *
schema_id_of(PyObject *framed)
{
    if (!PyBytes_CheckExact(framed) || PyBytes_GET_SIZE(framed) < 5) {
        return NULL;
    }
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(framed);
    uint32_t id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    return at[0] != 0 ? NULL : PyLong_FromUnsignedLong(id);
}

/* What a function says of some arguments, as a tuple of so many members; gives up. */
static PyObject *
members_of(PyObject *function, PyObject *const *arguments, Py_ssize_t count, Py_ssize_t size)
{
    PyObject *found = PyObject_Vectorcall(function, arguments, (size_t)count, NULL);
    if (found != NULL && (!PyTuple_CheckExact(found) || PyTuple_GET_SIZE(found) != size)) {
        Py_CLEAR(found);
    }
    return found;
}

/* The command of an event: appended ones alone have any. */
static PyObject *
command_of(RowMaker *self, PyObject *event, PyObject *version, PyObject *metadata)
{
    if (version == Py_None) {
        Py_RETURN_NONE;
    }
    Py_ssize_t extra = PyObject_Size(PyTuple_GET_ITEM(metadata, 3));
    if (extra == 0) {
        Py_RETURN_NONE;
    }
    return extra < 0 ? NULL : PyObject_CallOneArg(self->command_id, event);
}

/* A row of columns that are all there, which it takes over. */
static PyObject *
row_of(PyTypeObject *row_type, PyObject **columns)
{
    PyObject *row = new_named_tuple(row_type, COLUMNS);
    for (int at = 0; row != NULL && at < COLUMNS; at++) {
        PyTuple_SET_ITEM(row, at, Py_NewRef(columns[at]));
    }
    return row;
}

/* The row of fields that were read; gives up. */
static PyObject *
row_of_fields(RowMaker *self, PyObject *event, PyObject *framed, PyObject *data, PyObject **fields)
{
    PyObject *aggregate = fields[AGGREGATE], *metadata = fields[METADATA];
    PyObject *kind = Py_None, *id = Py_None, *version = Py_None;
    if (aggregate != Py_None) {
        if (!PyTuple_Check(aggregate) || PyTuple_GET_SIZE(aggregate) != AGGREGATE_SIZE) {
            return NULL;
        }
        kind = PyTuple_GET_ITEM(aggregate, 0);
        id = PyTuple_GET_ITEM(aggregate, 1);
        version = PyTuple_GET_ITEM(aggregate, 2);
    }
    if (!PyTuple_Check(metadata) || PyTuple_GET_SIZE(metadata) != METADATA_SIZE) {
        return NULL;
    }
    PyObject *user = PyTuple_GET_ITEM(metadata, 0), *trace = PyTuple_GET_ITEM(metadata, 1);
    if (fields[ID] == Py_None || !is_plain(fields[ID], self->longest_key)
        || !is_plain(fields[CORRELATION_ID], self->longest_key)
        || !is_plain(fields[CAUSATION_ID], self->longest_key) || !is_plain(id, self->longest_key)
        || !is_plain(user, PY_SSIZE_T_MAX) || !is_plain(trace, PY_SSIZE_T_MAX)) {
        return NULL;
    }
    PyObject *alike[] = {fields[TYPE], fields[CATEGORY], fields[PRIORITY], fields[VERSION]};
    PyObject *often[] = {fields[SOURCE], kind};
    PyObject *row = NULL, *schema_id = NULL, *time = NULL, *command = NULL, *described = NULL;
    PyObject *shared = members_of(self->shared, alike, SHARED_COLUMNS, SHARED_COLUMNS);
    if (shared != NULL
        && (described = members_of(self->described, often, 2, DESCRIBED_COLUMNS)) != NULL
        && (schema_id = schema_id_of(framed)) != NULL
        && (time = time_of(fields[TIMESTAMP_MS])) != NULL
        && (command = command_of(self, event, version, metadata)) != NULL) {
        PyObject *columns[COLUMNS] = {
            fields[ID],
            PyTuple_GET_ITEM(shared, 0),
            PyTuple_GET_ITEM(shared, 1),
            PyTuple_GET_ITEM(shared, 2),
            PyTuple_GET_ITEM(shared, 3),
            schema_id,
            time,
            PyTuple_GET_ITEM(described, 0),
            fields[CORRELATION_ID],
            fields[CAUSATION_ID],
            PyTuple_GET_ITEM(described, 1),
            id,
            version,
            user,
            trace,
            framed,
            data,
            command,
        };
        row = row_of(self->row_type, columns);
    }
    Py_XDECREF(shared);
    Py_XDECREF(described);
    Py_XDECREF(schema_id);
    Py_XDECREF(time);
    Py_XDECREF(command);
    return row;
}

/* make(event, framed, data) */
static PyObject *
make_row(RowMaker *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "make takes an event, its bytes and its data");
        return NULL;
    }
    PyObject *fields[READ_FIELDS] = {NULL};
    PyObject *row = NULL;
    int read = 0;
    while (read < READ_FIELDS
           && (fields[read] = PyObject_GetAttr(arguments[0], self->names[read])) != NULL) {
        read++;
    }
    if (read == READ_FIELDS) {
        row = row_of_fields(self, arguments[0], arguments[1], arguments[2], fields);
    }
    for (int at = 0; at < read; at++) {
        Py_DECREF(fields[at]);
    }
    if (row != NULL) {
        return row;
    }
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    return PyObject_Vectorcall(self->fallback, arguments, 3, NULL);
}

/* RowMaker(row class, longest key, shared, described, command_id, fallback) */
static PyObject *
new_maker(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    PyTypeObject *row_type;
    Py_ssize_t longest_key;
    PyObject *shared, *described, *command_id, *fallback;
    if (!PyArg_ParseTuple(arguments, "O!nOOOO:RowMaker", &PyType_Type, &row_type, &longest_key,
                          &shared, &described, &command_id, &fallback)) {
        return NULL;
    }
    if (!PyType_IsSubtype(row_type, &PyTuple_Type) || row_type->tp_dictoffset) {
        PyErr_SetString(PyExc_TypeError, "rows are plain named tuples");
        return NULL;
    }
    RowMaker *self = (RowMaker *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->row_type = (PyTypeObject *)Py_NewRef(row_type);
    self->longest_key = longest_key;
    self->shared = Py_NewRef(shared);
    self->described = Py_NewRef(described);
    self->command_id = Py_NewRef(command_id);
    self->fallback = Py_NewRef(fallback);
    for (int at = 0; at < READ_FIELDS; at++) {
        self->names[at] = PyUnicode_InternFromString(FIELD_NAMES[at]);
        if (self->names[at] == NULL) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

static int
traverse_maker(RowMaker *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->row_type);
    Py_VISIT(self->shared);
    Py_VISIT(self->described);
    Py_VISIT(self->command_id);
    Py_VISIT(self->fallback);
    return 0;
}

static int
clear_maker(RowMaker *self)
{
    Py_CLEAR(self->row_type);
    Py_CLEAR(self->shared);
    Py_CLEAR(self->described);
    Py_CLEAR(self->command_id);
    Py_CLEAR(self->fallback);
    return 0;
}

static void
free_maker(RowMaker *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear_maker(self);
    for (int at = 0; at < READ_FIELDS; at++) {
        Py_XDECREF(self->names[at]);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef MAKER_METHODS[] = {
    {"make", (PyCFunction)(void (*)(void))make_row, METH_FASTCALL,
     "The row of an event, its bytes and its data as JSON."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot MAKER_SLOTS[] = {
    {Py_tp_doc, "Makes rows of events; see connectors/event_row.py."},
    {Py_tp_new, new_maker},
    {Py_tp_dealloc, free_maker},
    {Py_tp_traverse, traverse_maker},
    {Py_tp_clear, clear_maker},
    {Py_tp_methods, MAKER_METHODS},
    {0, NULL},
};

static PyType_Spec MAKER_SPEC = {
    .name = "connectors._native_rows.RowMaker",
    .basicsize = sizeof(RowMaker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = MAKER_SLOTS,
};

/* ------------------------------------------------------------------ from rows to what COPY takes */

/* Letters of the columns: text, int2, int4, int8, timestamptz, bytea. */
enum { TEXT = 't', INT2 = '2', INT4 = '4', INT8 = '8', TIME = 'z', BYTES = 'b' };

/* The bytes of a number, the highest first. */
static inline void
put_number(char *at, uint64_t number, int bytes)
{
    for (int byte = 0; byte < bytes; byte++) {
        at[byte] = (char)(number >> 8 * (bytes - 1 - byte));
    }
}

static int
put_bytes(Block *block, const char *bytes, Py_ssize_t size)
{
    char *at = size > INT32_MAX ? NULL : grow(block, 4 + size);
    if (at == NULL) {
        return -1;
    }
    put_number(at, (uint64_t)size, 4);
    memcpy(at + 4, bytes, (size_t)size);
    return 0;
}

static int
put_integer(Block *block, long long number, int bytes)
{
    char *at = grow(block, 4 + bytes);
    if (at == NULL) {
        return -1;
    }
    put_number(at, (uint64_t)bytes, 4);
    put_number(at + 4, (uint64_t)number, bytes);
    return 0;
}

static int
put_null(Block *block)
{
    char *at = grow(block, 4);
    if (at == NULL) {
        return -1;
    }
    put_number(at, UINT64_MAX, 4);
    return 0;
}

static int
put_text(Block *block, PyObject *value)
{
    if (!PyUnicode_CheckExact(value)) {
        return -1;
    }
    /* A temporary one where it is not ASCII: the other way would be kept with the text. */
    PyObject *encoded = PyUnicode_IS_COMPACT_ASCII(value) ? NULL : PyUnicode_AsUTF8String(value);
    if (encoded == NULL && PyErr_Occurred()) {
        return -1;
    }
    const char *bytes = encoded != NULL ? PyBytes_AS_STRING(encoded)
                                        : (const char *)PyUnicode_1BYTE_DATA(value);
    Py_ssize_t size = encoded != NULL ? PyBytes_GET_SIZE(encoded) : PyUnicode_GET_LENGTH(value);
    int done = memchr(bytes, 0, (size_t)size) != NULL ? -1 : put_bytes(block, bytes, size);
    Py_XDECREF(encoded);
    return done;
}

static int
put_int(Block *block, PyObject *value, int bytes)
{
    int is_beyond = 0;
    long long number = PyLong_CheckExact(value) ? PyLong_AsLongLongAndOverflow(value, &is_beyond) : 0;
    long long most = bytes == 8 ? LLONG_MAX : (1LL << (8 * bytes - 1)) - 1;
    if (!PyLong_CheckExact(value) || is_beyond || number > most || number < -most - 1) {
        return -1;
    }
    return put_integer(block, number, bytes);
}

static int
put_time(Block *block, PyObject *value)
{
    if (!PyDateTime_CheckExact(value)
        || PyDateTime_DATE_GET_TZINFO(value) != PyDateTime_TimeZone_UTC) {
        return -1;
    }
    Date date = {PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value)};
    long long seconds = PyDateTime_DATE_GET_HOUR(value) * 3600LL
                        + PyDateTime_DATE_GET_MINUTE(value) * 60 + PyDateTime_DATE_GET_SECOND(value);
    long long us = day_since_2000(date) * US_OF_A_DAY + seconds * 1000000
                   + PyDateTime_DATE_GET_MICROSECOND(value);
    return put_integer(block, us, 8);
}

/* Gives up with -1, and an error only where memory or a text's encoding failed. */
static int
put_value(Block *block, char column, PyObject *value)
{
    if (value == Py_None) {
        return put_null(block);
    }
    switch (column) {
    case TEXT:
        return put_text(block, value);
    case INT2:
        return put_int(block, value, 2);
    case INT4:
        return put_int(block, value, 4);
    case INT8:
        return put_int(block, value, 8);
    case TIME:
        return put_time(block, value);
    case BYTES:
        return PyBytes_CheckExact(value)
                   ? put_bytes(block, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
                   : -1;
    default:
        return -1;
    }
}

static int
put_row(Block *block, const char *columns, Py_ssize_t count, PyObject *row)
{
    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != count) {
        return -1;
    }
    char *at = grow(block, 2);
    if (at == NULL) {
        return -1;
    }
    put_number(at, (uint64_t)count, 2);
    for (Py_ssize_t place = 0; place < count; place++) {
        if (put_value(block, columns[place], PyTuple_GET_ITEM(row, place)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The answer where a value is not sent here: None, but without memory the error. */
static PyObject *
nothing_packed(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_UnicodeError)) {
        return NULL;
    }
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* pack(columns, rows, first, most_bytes) */
static PyObject *
pack(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *columns;
    Py_ssize_t count, at, most;
    PyObject *rows;
    if (!PyArg_ParseTuple(arguments, "s#O!nn:pack", &columns, &count, &PyList_Type, &rows, &at,
                          &most)) {
        return NULL;
    }
    Block block = {NULL};
    int done = at < 0 || count > INT16_MAX ? -1 : 0;
    while (done == 0 && at < PyList_GET_SIZE(rows) && block.size < most) {
        done = put_row(&block, columns, count, PyList_GET_ITEM(rows, at++));
    }
    PyObject *packed = done < 0 ? nothing_packed()
                                : Py_BuildValue("y#n", block.size ? block.begin : "",
                                                block.size, at);
    PyMem_Free(block.grown);
    return packed;
}

/* ------------------------------------------------------------------ from a column to an array */

/* Five numbers before the elements, which are framed as the columns of a row are: how many
 * dimensions, whether there is a null, the type, how many elements, the index of the first. */
#define ARRAY_HEAD 20

/* Gives up as put_value does. */
static int
put_array(Block *block, char column, uint32_t type_oid, PyObject *values)
{
    Py_ssize_t count = PyTuple_GET_SIZE(values);
    if (count == 0 || count > INT32_MAX || grow(block, ARRAY_HEAD) == NULL) {
        return -1;
    }
    int has_null = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *value = PyTuple_GET_ITEM(values, at);
        has_null |= value == Py_None;
        if (put_value(block, column, value) < 0) {
            return -1;
        }
    }
    uint64_t head[] = {1, (uint64_t)has_null, type_oid, (uint64_t)count, 1};
    for (int at = 0; at < ARRAY_HEAD / 4; at++) {
        put_number(block->begin + 4 * at, head[at], 4);
    }
    return 0;
}

/* pack_array(column, type oid, values) */
static PyObject *
pack_array(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    int column;
    unsigned int type_oid;
    PyObject *values;
    if (!PyArg_ParseTuple(arguments, "CIO!:pack_array", &column, &type_oid, &PyTuple_Type,
                          &values)) {
        return NULL;
    }
    Block block = {NULL};
    int done = column > INT8_MAX ? -1 : put_array(&block, (char)column, type_oid, values);
    PyObject *packed = done < 0 ? nothing_packed()
                                : PyBytes_FromStringAndSize(block.begin, block.size);
    PyMem_Free(block.grown);
    return packed;
}

/* ------------------------------------------------------------------ the module */

static PyMethodDef METHODS[] = {
    {"pack", pack, METH_VARARGS,
     "Rows from `first` on in the form of a binary COPY, and where to go on; None when one of them\n"
     "holds what is not sent here. Ends behind the row that makes it `most_bytes`."},
    {"pack_array", pack_array, METH_VARARGS,
     "The values of a column as a binary array of a type; None when there is no value, or one that\n"
     "is not sent here."},
    {NULL, NULL, 0, NULL},
};

static int
fill_module(PyObject *module)
{
    PyDateTime_IMPORT;
    if (PyDateTimeAPI == NULL || PyModule_AddIntConstant(module, "ROWS_FORMAT", ROWS_FORMAT) < 0) {
        return -1;
    }
    PyObject *maker = PyType_FromModuleAndSpec(module, &MAKER_SPEC, NULL);
    int done = maker == NULL ? -1 : PyModule_AddObjectRef(module, "RowMaker", maker);
    Py_XDECREF(maker);
    return done;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_rows",
    .m_doc = "Rows of events; see connectors/event_row.py, and binary_copy.py and binary_array.py in\n"
             "connectors/postgres.",
    .m_size = 0,
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_rows(void)
{
    return PyModuleDef_Init(&MODULE);
}
