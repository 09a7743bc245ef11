/* Reads Avro straight into objects: the common case of the readers in prefix_reader.py and
 * data_reader.py, and nothing else.
 *
 * A Reader follows a program, a tree of tuples that native_view.py and native_data.py
 * make of a writer schema.
 * Whatever is out of the ordinary (bytes that end early, numbers too large, symbols and branches
 * that do not exist, texts that are no UTF-8, a conversion that raises) is not judged here: what
 * was read so far is dropped and the fallback, the reader in Python, is called with the same
 * arguments. Its result or its error is the answer. So this file never raises an error of its own
 * about an event, and there is one place where such errors are made.
 *
 * "Gives up" below means: returns NULL, or -1, with no exception set or one that the fallback will
 * meet again.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#include "_named_tuple.h"
#include "_slots.h"
#include "_varint.h"

/* What native.py must speak; raised with every change of the programs, and of what is here. */
#define PROGRAM_FORMAT 2

/* The deepest nesting of a program: reading and compiling it use the C stack. */
#define DEEPEST 64

/* Fields of the largest named tuple. */
#define MOST_PLACES 8

typedef enum {
    READ_NULL,
    READ_BOOLEAN,
    READ_INT,
    READ_LONG,
    READ_FLOAT,
    READ_DOUBLE,
    READ_BYTES,
    READ_TEXT,
    READ_REPEATED_TEXT,
    READ_FIXED,
    READ_LONG_WITHIN,
    READ_ENUM,
    READ_UNION,
    READ_ARRAY,
    READ_MAP,
    READ_MAPPING,
    READ_NAMED_TUPLE,
    READ_ZEROS_AS,
    READ_CONVERTED,
    READ_SKIPPED,
    READ_KINDS
} Kind;

static const char *const KIND_NAMES[READ_KINDS] = {
    "NULL",        "BOOLEAN",       "INT",         "LONG",    "FLOAT",
    "DOUBLE",      "BYTES",         "TEXT",        "REPEATED_TEXT", "FIXED",
    "LONG_WITHIN", "ENUM",          "UNION",       "ARRAY",   "MAP",
    "MAPPING",     "NAMED_TUPLE",   "ZEROS_AS",    "CONVERTED", "SKIPPED",
};

/* One step of a program. References are borrowed from the program, which the Reader holds; `seen`
 * alone is its own. */
typedef struct Step {
    Kind kind;
    struct Step *children;
    Py_ssize_t child_count;
    Py_ssize_t size;      /* bytes, zeros, members, or fields of a named tuple */
    PyObject *object;     /* names, members, class, constant or callable */
    long long least, most;
    Py_ssize_t *places;   /* where in a named tuple the children go */
    PyObject *seen;       /* the text that was read last */
} Step;

typedef struct {
    const unsigned char *at, *end;
    const unsigned char *begin;
    PyObject *framed;
} Cursor;

static PyObject *read_value(Step *step, Cursor *cursor);

/* ------------------------------------------------------------------ numbers and lengths */

static inline Py_ssize_t
left(const Cursor *cursor)
{
    return cursor->end - cursor->at;
}

/* Most numbers are one byte. */
static inline int
read_varint(Cursor *cursor, uint64_t *number)
{
    if (cursor->at < cursor->end && *cursor->at < 128) {
        *number = *cursor->at++;
        return 0;
    }
    return read_varint_at(&cursor->at, cursor->end, number);
}

static inline int64_t
zigzag(uint64_t number)
{
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

/* The length of a text or of bytes that are all there; gives up. */
static inline Py_ssize_t
read_length(Cursor *cursor)
{
    uint64_t number;
    if (read_varint(cursor, &number) < 0 || number & 1
        || number >> 1 > (uint64_t)left(cursor)) {
        return -1;
    }
    return (Py_ssize_t)(number >> 1);
}

/* ------------------------------------------------------------------ single values */

static PyObject *
read_boolean(Cursor *cursor)
{
    if (cursor->at == cursor->end || *cursor->at > 1) {
        return NULL;
    }
    return PyBool_FromLong(*cursor->at++);
}

static PyObject *
read_integer(Cursor *cursor, int bits)
{
    uint64_t number;
    if (read_varint(cursor, &number) < 0 || (bits == 32 && number >> 32)) {
        return NULL;
    }
    return PyLong_FromLongLong(zigzag(number));
}

static PyObject *
read_long_within(const Step *step, Cursor *cursor)
{
    uint64_t number;
    if (read_varint(cursor, &number) < 0) {
        return NULL;
    }
    long long value = zigzag(number);
    return step->least <= value && value <= step->most ? PyLong_FromLongLong(value) : NULL;
}

static PyObject *
read_number(Cursor *cursor, Py_ssize_t width)
{
    if (left(cursor) < width) {
        return NULL;
    }
    const char *packed = (const char *)cursor->at;
    cursor->at += width;
    double value = width == 4 ? PyFloat_Unpack4(packed, 1) : PyFloat_Unpack8(packed, 1);
    return value == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

static PyObject *
read_bytes(Cursor *cursor, Py_ssize_t size)
{
    if (size < 0 || size > left(cursor)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)cursor->at, size);
    cursor->at += size;
    return bytes;
}

static PyObject *
read_text(Cursor *cursor)
{
    Py_ssize_t size = read_length(cursor);
    if (size < 0) {
        return NULL;
    }
    PyObject *text = PyUnicode_DecodeUTF8((const char *)cursor->at, size, NULL);
    cursor->at += size;
    return text;
}

/* A text that many events share is the same object in all of them while it repeats. Only ASCII is
 * kept: its bytes are those on the wire. */
static PyObject *
read_repeated_text(Step *step, Cursor *cursor)
{
    Py_ssize_t size = read_length(cursor);
    if (size < 0) {
        return NULL;
    }
    const unsigned char *begin = cursor->at;
    cursor->at += size;
    PyObject *seen = step->seen;
    if (seen != NULL && PyUnicode_GET_LENGTH(seen) == size
        && memcmp(PyUnicode_1BYTE_DATA(seen), begin, (size_t)size) == 0) {
        return Py_NewRef(seen);
    }
    PyObject *text = PyUnicode_DecodeUTF8((const char *)begin, size, NULL);
    if (text != NULL && PyUnicode_IS_COMPACT_ASCII(text)) {
        Py_INCREF(text);
        Py_XSETREF(step->seen, text);
    }
    return text;
}

static PyObject *
read_enum(const Step *step, Cursor *cursor)
{
    uint64_t number;
    if (read_varint(cursor, &number) < 0 || number & 1
        || number >> 1 >= (uint64_t)step->size) {
        return NULL;
    }
    PyObject *member = PyTuple_GET_ITEM(step->object, (Py_ssize_t)(number >> 1));
    /* None stands for a symbol that this release does not know. */
    return member == Py_None ? NULL : Py_NewRef(member);
}

static PyObject *
read_union(const Step *step, Cursor *cursor)
{
    uint64_t number;
    if (read_varint(cursor, &number) < 0 || number & 1
        || number >> 1 >= (uint64_t)step->child_count) {
        return NULL;
    }
    return read_value(&step->children[number >> 1], cursor);
}

/* ------------------------------------------------------------------ values of many parts */

/* The number of items in the next block, 0 at the end; gives up. A block with a negative number
 * also says its size, which nobody needs here. More items than bytes are not believed. */
static Py_ssize_t
read_block(Cursor *cursor)
{
    uint64_t number, size;
    if (read_varint(cursor, &number) < 0) {
        return -1;
    }
    int64_t count = zigzag(number);
    if (count < 0) {
        if (count < -PY_SSIZE_T_MAX || read_varint(cursor, &size) < 0) {
            return -1;
        }
        count = -count;
    }
    return count > left(cursor) ? -1 : (Py_ssize_t)count;
}

static PyObject *
read_array(const Step *step, Cursor *cursor)
{
    PyObject *items = PyList_New(0);
    if (items == NULL) {
        return NULL;
    }
    Py_ssize_t count;
    while ((count = read_block(cursor)) > 0) {
        for (; count > 0; count--) {
            PyObject *item = read_value(step->children, cursor);
            if (item == NULL || PyList_Append(items, item) < 0) {
                Py_XDECREF(item);
                Py_DECREF(items);
                return NULL;
            }
            Py_DECREF(item);
        }
    }
    if (count < 0) {
        Py_CLEAR(items);
    }
    return items;
}

static int
read_entry(const Step *step, Cursor *cursor, PyObject *entries)
{
    PyObject *key = read_text(cursor);
    if (key == NULL) {
        return -1;
    }
    PyObject *value = read_value(step->children, cursor);
    int done = value == NULL ? -1 : PyDict_SetItem(entries, key, value);
    Py_DECREF(key);
    Py_XDECREF(value);
    return done;
}

static PyObject *
read_map(const Step *step, Cursor *cursor)
{
    PyObject *entries = PyDict_New();
    if (entries == NULL) {
        return NULL;
    }
    Py_ssize_t count;
    while ((count = read_block(cursor)) > 0) {
        for (; count > 0; count--) {
            if (read_entry(step, cursor, entries) < 0) {
                Py_DECREF(entries);
                return NULL;
            }
        }
    }
    if (count < 0) {
        Py_CLEAR(entries);
    }
    return entries;
}

/* A record as a mapping, by the names of its fields. */
static PyObject *
read_mapping(const Step *step, Cursor *cursor)
{
    PyObject *mapping = PyDict_New();
    if (mapping == NULL) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < step->child_count; place++) {
        PyObject *value = read_value(&step->children[place], cursor);
        if (value == NULL
            || PyDict_SetItem(mapping, PyTuple_GET_ITEM(step->object, place), value) < 0) {
            Py_XDECREF(value);
            Py_DECREF(mapping);
            return NULL;
        }
        Py_DECREF(value);
    }
    return mapping;
}

static PyObject *
named_tuple(PyObject *class, PyObject **values, Py_ssize_t width)
{
    PyObject *made = new_named_tuple((PyTypeObject *)class, width);
    if (made == NULL) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < width; place++) {
        PyObject *value = values[place] == NULL ? Py_None : values[place];
        PyTuple_SET_ITEM(made, place, Py_NewRef(value));
    }
    return made;
}

/* A record as a named tuple; what was not written is None. */
static PyObject *
read_named_tuple(const Step *step, Cursor *cursor)
{
    PyObject *values[MOST_PLACES] = {NULL};
    PyObject *made = NULL;
    Py_ssize_t child;
    for (child = 0; child < step->child_count; child++) {
        PyObject *value = read_value(&step->children[child], cursor);
        if (value == NULL) {
            break;
        }
        Py_ssize_t place = step->places[child];
        if (place < 0) {
            Py_DECREF(value);
        }
        else {
            values[place] = value;
        }
    }
    if (child == step->child_count) {
        made = named_tuple(step->object, values, step->size);
    }
    for (Py_ssize_t place = 0; place < MOST_PLACES; place++) {
        Py_XDECREF(values[place]);
    }
    return made;
}

/* A constant, where nothing but zeros is written. */
static PyObject *
read_zeros_as(const Step *step, Cursor *cursor)
{
    if (left(cursor) < step->size) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < step->size; place++) {
        if (cursor->at[place] != 0) {
            return read_value(step->children, cursor);
        }
    }
    cursor->at += step->size;
    return Py_NewRef(step->object);
}

static PyObject *
read_converted(const Step *step, Cursor *cursor)
{
    PyObject *value = read_value(step->children, cursor);
    if (value == NULL) {
        return NULL;
    }
    PyObject *converted = PyObject_CallOneArg(step->object, value);
    Py_DECREF(value);
    return converted;
}

/* Something that this release does not know: a function tells where it ends. */
static PyObject *
read_skipped(const Step *step, Cursor *cursor)
{
    PyObject *end = PyObject_CallFunction(
        step->object, "On", cursor->framed, (Py_ssize_t)(cursor->at - cursor->begin));
    if (end == NULL) {
        return NULL;
    }
    Py_ssize_t place = PyLong_AsSsize_t(end);
    Py_DECREF(end);
    if (place < cursor->at - cursor->begin || place > cursor->end - cursor->begin) {
        return NULL;
    }
    cursor->at = cursor->begin + place;
    Py_RETURN_NONE;
}

static PyObject *
read_value(Step *step, Cursor *cursor)
{
    switch (step->kind) {
    case READ_NULL:
        Py_RETURN_NONE;
    case READ_BOOLEAN:
        return read_boolean(cursor);
    case READ_INT:
        return read_integer(cursor, 32);
    case READ_LONG:
        return read_integer(cursor, 64);
    case READ_FLOAT:
        return read_number(cursor, 4);
    case READ_DOUBLE:
        return read_number(cursor, 8);
    case READ_BYTES:
        return read_bytes(cursor, read_length(cursor));
    case READ_TEXT:
        return read_text(cursor);
    case READ_REPEATED_TEXT:
        return read_repeated_text(step, cursor);
    case READ_FIXED:
        return read_bytes(cursor, step->size);
    case READ_LONG_WITHIN:
        return read_long_within(step, cursor);
    case READ_ENUM:
        return read_enum(step, cursor);
    case READ_UNION:
        return read_union(step, cursor);
    case READ_ARRAY:
        return read_array(step, cursor);
    case READ_MAP:
        return read_map(step, cursor);
    case READ_MAPPING:
        return read_mapping(step, cursor);
    case READ_NAMED_TUPLE:
        return read_named_tuple(step, cursor);
    case READ_ZEROS_AS:
        return read_zeros_as(step, cursor);
    case READ_CONVERTED:
        return read_converted(step, cursor);
    case READ_SKIPPED:
        return read_skipped(step, cursor);
    case READ_KINDS:
        break;
    }
    return NULL;
}

/* ------------------------------------------------------------------ programs */

static int compile_step(PyObject *program, Step *step, int depth);

static void
free_steps(Step *steps, Py_ssize_t count)
{
    for (Py_ssize_t place = 0; steps != NULL && place < count; place++) {
        Step *step = &steps[place];
        free_steps(step->children, step->child_count);
        PyMem_Free(step->places);
        Py_XDECREF(step->seen);
    }
    PyMem_Free(steps);
}

static int
compile_children(PyObject *programs, Step *step, int depth)
{
    if (!PyTuple_CheckExact(programs)) {
        PyErr_SetString(PyExc_TypeError, "steps are a tuple");
        return -1;
    }
    step->child_count = PyTuple_GET_SIZE(programs);
    step->children = PyMem_Calloc((size_t)step->child_count + 1, sizeof(Step));
    if (step->children == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t place = 0; place < step->child_count; place++) {
        if (compile_step(PyTuple_GET_ITEM(programs, place), &step->children[place], depth) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
compile_child(PyObject *program, Step *step, int depth)
{
    step->child_count = 1;
    step->children = PyMem_Calloc(1, sizeof(Step));
    if (step->children == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return compile_step(program, step->children, depth);
}

static int
compile_named_tuple(PyObject *program, Step *step, int depth)
{
    PyObject *kind, *places, *children;
    if (!PyArg_ParseTuple(program, "OO!O!O:NAMED_TUPLE", &kind, &PyType_Type, &step->object,
                          &PyTuple_Type, &places, &children)
        || compile_children(children, step, depth) < 0) {
        return -1;
    }
    PyTypeObject *type = (PyTypeObject *)step->object;
    PyObject *fields = PyObject_GetAttrString(step->object, "_fields");
    step->size = fields == NULL ? -1 : PyObject_Size(fields);
    Py_XDECREF(fields);
    if (step->size < 0) {
        return -1;
    }
    step->places = PyMem_Calloc((size_t)step->child_count + 1, sizeof(Py_ssize_t));
    if (step->places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int fits = PyType_IsSubtype(type, &PyTuple_Type) && type->tp_itemsize == sizeof(PyObject *)
               && step->size <= MOST_PLACES && PyTuple_GET_SIZE(places) == step->child_count;
    unsigned taken = 0;
    for (Py_ssize_t child = 0; fits && child < step->child_count; child++) {
        Py_ssize_t place = PyLong_AsSsize_t(PyTuple_GET_ITEM(places, child));
        fits = place >= -1 && place < step->size && (place < 0 || !(taken >> place & 1));
        taken |= place < 0 ? 0 : 1u << place;
        step->places[child] = place;
    }
    if (!fits && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the fields do not fit the named tuple");
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Kinds whose program holds more than its own number. */
static int
compile_parts(PyObject *program, Step *step, int depth)
{
    PyObject *kind, *inner;
    switch (step->kind) {
    case READ_FIXED:
        return PyArg_ParseTuple(program, "On:FIXED", &kind, &step->size) ? 0 : -1;
    case READ_LONG_WITHIN:
        return PyArg_ParseTuple(program, "OLL:LONG_WITHIN", &kind, &step->least, &step->most)
                   ? 0 : -1;
    case READ_ENUM:
        if (!PyArg_ParseTuple(program, "OO!:ENUM", &kind, &PyTuple_Type, &step->object)) {
            return -1;
        }
        step->size = PyTuple_GET_SIZE(step->object);
        return 0;
    case READ_UNION:
        return PyArg_ParseTuple(program, "OO:UNION", &kind, &inner)
                   ? compile_children(inner, step, depth) : -1;
    case READ_ARRAY:
    case READ_MAP:
        return PyArg_ParseTuple(program, "OO", &kind, &inner)
                   ? compile_child(inner, step, depth) : -1;
    case READ_MAPPING:
        if (!PyArg_ParseTuple(program, "OO!O:MAPPING", &kind, &PyTuple_Type, &step->object,
                              &inner)
            || compile_children(inner, step, depth) < 0) {
            return -1;
        }
        if (PyTuple_GET_SIZE(step->object) != step->child_count) {
            PyErr_SetString(PyExc_ValueError, "a mapping has as many names as fields");
            return -1;
        }
        return 0;
    case READ_NAMED_TUPLE:
        return compile_named_tuple(program, step, depth);
    case READ_ZEROS_AS:
        if (!PyArg_ParseTuple(program, "OnOO:ZEROS_AS", &kind, &step->size, &step->object,
                              &inner)) {
            return -1;
        }
        if (step->size < 1) {
            PyErr_SetString(PyExc_ValueError, "there is at least one zero");
            return -1;
        }
        return compile_child(inner, step, depth);
    case READ_CONVERTED:
        return PyArg_ParseTuple(program, "OOO:CONVERTED", &kind, &step->object, &inner)
                   ? compile_child(inner, step, depth) : -1;
    case READ_SKIPPED:
        return PyArg_ParseTuple(program, "OO:SKIPPED", &kind, &step->object) ? 0 : -1;
    default:
        return 0;
    }
}

static int
compile_step(PyObject *program, Step *step, int depth)
{
    if (depth > DEEPEST || !PyTuple_CheckExact(program) || PyTuple_GET_SIZE(program) == 0) {
        PyErr_SetString(PyExc_ValueError, "a step is a tuple, nested at most 64 deep");
        return -1;
    }
    long kind = PyLong_AsLong(PyTuple_GET_ITEM(program, 0));
    if (kind < 0 || kind >= READ_KINDS) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "there is no step %ld", kind);
        }
        return -1;
    }
    step->kind = (Kind)kind;
    return compile_parts(program, step, depth + 1);
}

/* ------------------------------------------------------------------ readers */

/* A slot of the class that is read: written without a call, as the descriptor says where it is. */
typedef struct {
    Py_ssize_t offset; /* 0: the value is dropped */
    PyObject *constant;
} Slot;

typedef struct {
    PyObject_HEAD
    PyObject *program;  /* holds all that is borrowed below */
    PyObject *fallback;
    PyTypeObject *type;
    Step steps;         /* one child for each field */
    Slot *fields;
    Slot *constants;
    Py_ssize_t constant_count;
    Slot framed, place; /* where an event keeps its bytes, and where its data begin */
    Py_ssize_t begin;   /* where the envelope begins */
} Reader;

/* A new object with the fields that stand at the cursor, or the value of the only one; gives up. */
static PyObject *
read_object(Reader *reader, Cursor *cursor)
{
    if (reader->type == NULL) {
        return read_value(reader->steps.children, cursor);
    }
    PyObject *object = reader->type->tp_alloc(reader->type, 0);
    if (object == NULL) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < reader->steps.child_count; place++) {
        PyObject *value = read_value(&reader->steps.children[place], cursor);
        if (value == NULL) {
            Py_DECREF(object);
            return NULL;
        }
        if (reader->fields[place].offset == 0) {
            Py_DECREF(value);
        }
        else {
            fill_slot(object, reader->fields[place].offset, value);
        }
    }
    for (Py_ssize_t place = 0; place < reader->constant_count; place++) {
        fill_slot(object, reader->constants[place].offset, Py_NewRef(reader->constants[place].constant));
    }
    return object;
}

/* Whether the fallback may be asked: not after what only ends a program, such as an interrupt. */
static int
has_given_up(void)
{
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return 0;
        }
        PyErr_Clear();
    }
    return 1;
}

static int
cursor_at(PyObject *framed, Py_ssize_t offset, Cursor *cursor)
{
    if (!PyBytes_CheckExact(framed) || offset < 0 || offset > PyBytes_GET_SIZE(framed)) {
        return -1;
    }
    cursor->framed = framed;
    cursor->begin = (const unsigned char *)PyBytes_AS_STRING(framed);
    cursor->at = cursor->begin + offset;
    cursor->end = cursor->begin + PyBytes_GET_SIZE(framed);
    return 0;
}

static PyObject *
read_event(Reader *reader, PyObject *framed)
{
    Cursor cursor;
    if (reader->framed.offset != 0 && cursor_at(framed, reader->begin, &cursor) == 0) {
        PyObject *event = read_object(reader, &cursor);
        if (event != NULL) {
            PyObject *place = PyLong_FromSsize_t(cursor.at - cursor.begin);
            if (place == NULL) {
                Py_DECREF(event);
                return NULL;
            }
            fill_slot(event, reader->place.offset, place);
            fill_slot(event, reader->framed.offset, Py_NewRef(framed));
            return event;
        }
    }
    return has_given_up() ? PyObject_CallOneArg(reader->fallback, framed) : NULL;
}

static PyObject *
read_data(Reader *reader, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "read_data takes the bytes and where the data begin");
        return NULL;
    }
    Cursor cursor;
    Py_ssize_t offset = PyLong_AsSsize_t(arguments[1]);
    if (cursor_at(arguments[0], offset, &cursor) == 0) {
        PyObject *data = read_object(reader, &cursor);
        if (data != NULL && cursor.at == cursor.end) {
            return data;
        }
        Py_XDECREF(data);
    }
    return has_given_up() ? PyObject_Vectorcall(reader->fallback, arguments, 2, NULL) : NULL;
}

static int
compile_slot(PyTypeObject *type, PyObject *descriptor, Slot *slot)
{
    slot->offset = slot_offset(type, descriptor);
    return slot->offset < 0 ? -1 : 0;
}

static Slot *
new_slots(Py_ssize_t count)
{
    Slot *slots = PyMem_Calloc((size_t)count + 1, sizeof(Slot));
    if (slots == NULL) {
        PyErr_NoMemory();
    }
    return slots;
}

/* `fields` are pairs of a slot, or None for what is dropped, and a step. */
static int
compile_fields(Reader *reader, PyObject *fields)
{
    Py_ssize_t count = PyTuple_GET_SIZE(fields);
    reader->fields = new_slots(count);
    reader->steps.children = PyMem_Calloc((size_t)count + 1, sizeof(Step));
    if (reader->fields == NULL || reader->steps.children == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    reader->steps.kind = READ_UNION;
    reader->steps.child_count = count;
    for (Py_ssize_t place = 0; place < count; place++) {
        PyObject *slot, *step;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fields, place), "OO", &slot, &step)
            || (slot != Py_None && compile_slot(reader->type, slot, &reader->fields[place]) < 0)
            || compile_step(step, &reader->steps.children[place], 0) < 0) {
            return -1;
        }
    }
    return 0;
}

/* `constants` are pairs of a slot and what it always holds. */
static int
compile_constants(Reader *reader, PyObject *constants)
{
    Py_ssize_t count = PyTuple_GET_SIZE(constants);
    reader->constants = new_slots(count);
    if (reader->constants == NULL) {
        return -1;
    }
    for (Py_ssize_t place = 0; place < count; place++) {
        PyObject *slot;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(constants, place), "OO", &slot,
                              &reader->constants[place].constant)
            || compile_slot(reader->type, slot, &reader->constants[place]) < 0) {
            return -1;
        }
    }
    reader->constant_count = count;
    return 0;
}

/* Whether all that an object holds are slots: Python would make nothing else for a new one. */
static int
is_filled_by_slots(PyObject *class)
{
    PyTypeObject *type = (PyTypeObject *)class;
    return PyType_Check(class) && PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
           && type->tp_itemsize == 0 && type->tp_dictoffset == 0;
}

/* Reader(class or None, fields, constants, fallback, framed=None, place=None, begin=0) */
static PyObject *
reader_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *class, *fields, *constants, *fallback, *framed = Py_None, *place = Py_None;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "a Reader takes no keywords");
        return NULL;
    }
    Py_ssize_t begin = 0;
    if (!PyArg_ParseTuple(arguments, "OO!O!O|OOn:Reader", &class, &PyTuple_Type, &fields,
                          &PyTuple_Type, &constants, &fallback, &framed, &place,
                          &begin)) {
        return NULL;
    }
    Reader *reader = (Reader *)type->tp_alloc(type, 0);
    if (reader == NULL) {
        return NULL;
    }
    reader->program = Py_NewRef(arguments);
    reader->fallback = Py_NewRef(fallback);
    reader->type = class == Py_None ? NULL : (PyTypeObject *)class;
    reader->begin = begin;
    if (reader->type != NULL && !is_filled_by_slots(class)) {
        PyErr_SetString(PyExc_TypeError, "a Reader fills objects of a class with slots alone");
    }
    else if (reader->type == NULL && PyTuple_GET_SIZE(fields) != 1) {
        PyErr_SetString(PyExc_ValueError, "a Reader without a class reads one value");
    }
    else if (compile_fields(reader, fields) == 0 && compile_constants(reader, constants) == 0
             && (framed == Py_None
                 || (compile_slot(reader->type, framed, &reader->framed) == 0
                     && compile_slot(reader->type, place, &reader->place) == 0))) {
        return (PyObject *)reader;
    }
    Py_DECREF(reader);
    return NULL;
}

static int
reader_traverse(Reader *reader, visitproc visit, void *arg)
{
    Py_VISIT(reader->program);
    Py_VISIT(reader->fallback);
    return 0;
}

static void
reader_dealloc(Reader *reader)
{
    PyObject_GC_UnTrack(reader);
    free_steps(reader->steps.children, reader->steps.child_count);
    PyMem_Free(reader->fields);
    PyMem_Free(reader->constants);
    Py_XDECREF(reader->fallback);
    Py_XDECREF(reader->program);
    Py_TYPE(reader)->tp_free((PyObject *)reader);
}

static PyMethodDef READER_METHODS[] = {
    {"read_event", (PyCFunction)(void (*)(void))read_event, METH_O,
     "The event in these framed bytes; its data are not read."},
    {"read_data", (PyCFunction)(void (*)(void))read_data, METH_FASTCALL,
     "The data that begin at this place of the framed bytes, and reach to their end."},
    {NULL, NULL, 0, NULL},
};

/* No tp_clear: like a tuple, a Reader never changes; what it holds breaks the cycles. */
static PyTypeObject ReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "schemas._native_reading.Reader",
    .tp_doc = "Reads what one writer schema describes.",
    .tp_basicsize = sizeof(Reader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = reader_new,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)reader_dealloc,
    .tp_traverse = (traverseproc)reader_traverse,
    .tp_methods = READER_METHODS,
};

/* A second name for a slot, under which it can only be read: Python reads it without a call. */
static PyObject *
read_only(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *type, *descriptor;
    const char *name, *doc;
    Slot slot;
    if (!PyArg_ParseTuple(arguments, "O!Oss:read_only", &PyType_Type, &type, &descriptor, &name,
                          &doc)
        || compile_slot((PyTypeObject *)type, descriptor, &slot) < 0) {
        return NULL;
    }
    /* A descriptor refers to its definition for as long as it lives: it is never freed, and made
     * once for each name of a class. */
    PyMemberDef *member = PyMem_Calloc(1, sizeof(PyMemberDef));
    char *texts = PyMem_Malloc(strlen(name) + strlen(doc) + 2);
    if (member == NULL || texts == NULL) {
        PyMem_Free(member);
        PyMem_Free(texts);
        return PyErr_NoMemory();
    }
    member->name = strcpy(texts, name);
    member->doc = strcpy(texts + strlen(name) + 1, doc);
    member->type = T_OBJECT_EX;
    member->offset = slot.offset;
    member->flags = READONLY;
    return PyDescr_NewMember((PyTypeObject *)type, member);
}

/* ------------------------------------------------------------------ what is read on a touch */

/* A property: a slot that stands for something unread until it is asked for. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *owner;
    Py_ssize_t value, framed, place, reader;
    PyObject *unread, *method, *doc;
} Touched;

/* See Event.data, which says what this does. */
static PyObject *
touched_get(Touched *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL) {
        return Py_NewRef(self);
    }
    if (!PyObject_TypeCheck(object, self->owner)) {
        PyErr_Format(PyExc_TypeError, "that is no %s", self->owner->tp_name);
        return NULL;
    }
    PyObject *value = slot_value(object, self->value);
    PyObject *reader = slot_value(object, self->reader);
    PyObject *framed = slot_value(object, self->framed), *place = slot_value(object, self->place);
    if (value != NULL && (value != self->unread || framed == Py_None)) {
        return Py_NewRef(value);
    }
    if (value == NULL || framed == NULL || place == NULL || reader == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the object is not filled");
        return NULL;
    }
    PyObject *given[] = {Py_NewRef(reader), Py_NewRef(framed), Py_NewRef(place)};
    PyObject *read = PyObject_VectorcallMethod(self->method, given, 3, NULL);
    for (int part = 0; part < 3; part++) {
        Py_DECREF(given[part]);
    }
    if (read != NULL) {
        fill_slot(object, self->value, Py_NewRef(read));
    }
    return read;
}

static int
touched_set(Touched *self, PyObject *Py_UNUSED(object), PyObject *Py_UNUSED(value))
{
    PyErr_Format(PyExc_AttributeError, "%R of %s is only read", self->method,
                 self->owner->tp_name);
    return -1;
}

/* Touched(class, its slots of the value, the bytes, the place and the reader, what stands for
 * something unread, the reader's method, doc) */
static PyObject *
touched_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyTypeObject *owner;
    PyObject *slots[4], *unread, *method, *doc;
    if (!PyArg_ParseTuple(arguments, "O!OOOOOUU:Touched", &PyType_Type, &owner, &slots[0],
                          &slots[1], &slots[2], &slots[3], &unread, &method, &doc)) {
        return NULL;
    }
    Py_ssize_t offsets[4];
    for (int place = 0; place < 4; place++) {
        if ((offsets[place] = slot_offset(owner, slots[place])) < 0) {
            return NULL;
        }
    }
    Touched *self = (Touched *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->owner = (PyTypeObject *)Py_NewRef(owner);
        self->value = offsets[0];
        self->framed = offsets[1];
        self->place = offsets[2];
        self->reader = offsets[3];
        self->unread = Py_NewRef(unread);
        self->method = Py_NewRef(method);
        self->doc = Py_NewRef(doc);
        PyUnicode_InternInPlace(&self->method);
    }
    return (PyObject *)self;
}

static int
touched_traverse(Touched *self, visitproc visit, void *arg)
{
    Py_VISIT(self->owner);
    Py_VISIT(self->unread);
    return 0;
}

static void
touched_dealloc(Touched *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->unread);
    Py_XDECREF(self->method);
    Py_XDECREF(self->doc);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef TOUCHED_MEMBERS[] = {
    {"__doc__", T_OBJECT, offsetof(Touched, doc), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* No tp_clear: it never changes; the class that has it breaks the cycle. */
static PyTypeObject TouchedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "schemas._native_reading.Touched",
    .tp_basicsize = sizeof(Touched),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = touched_new,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)touched_dealloc,
    .tp_traverse = (traverseproc)touched_traverse,
    .tp_descr_get = (descrgetfunc)touched_get,
    .tp_descr_set = (descrsetfunc)touched_set,
    .tp_members = TOUCHED_MEMBERS,
};

static PyMethodDef MODULE_METHODS[] = {
    {"read_only", read_only, METH_VARARGS, "A descriptor: a slot of a class that is only read."},
    {NULL, NULL, 0, NULL},
};

static int
fill_module(PyObject *module)
{
    if (PyModule_AddType(module, &ReaderType) < 0
        || PyModule_AddType(module, &TouchedType) < 0
        || PyModule_AddIntConstant(module, "PROGRAM_FORMAT", PROGRAM_FORMAT) < 0
        || PyModule_AddIntConstant(module, "DEEPEST", DEEPEST) < 0) {
        return -1;
    }
    for (int kind = 0; kind < READ_KINDS; kind++) {
        if (PyModule_AddIntConstant(module, KIND_NAMES[kind], kind) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_reading",
    .m_doc = "Reads Avro straight into objects; see schemas/native.py.",
    .m_size = 0,
    .m_methods = MODULE_METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_reading(void)
{
    return PyModuleDef_Init(&MODULE);
}
