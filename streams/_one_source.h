/* Entries whose events are all of one source, see one_source.py; part of _native_folding.c. */

#ifndef WUNDR_ONE_SOURCE_H
#define WUNDR_ONE_SOURCE_H

#include <Python.h>
#include <string.h>

#include "../schemas/_slots.h"

typedef struct {
    Py_ssize_t covered, stored, position, state, reach, folded, is_changed;
} EntrySlots;

/* Functions of Python, in the order in which they are given. */
enum { VALUE_OF, INITIAL, LOADS, DUMPS, FUNCTIONS };

typedef struct {
    PyObject_HEAD
    PyTypeObject *entry_type;
    EntrySlots slots;
    PyObject *expected;   /* the coverage that these entries have */
    PyObject *source;     /* its source, and its line up to the position */
    PyObject *beginning;
    PyObject *end, *no_state;
    PyObject *at_hand;    /* a tuple of dictionaries: values by key */
    PyObject *functions[FUNCTIONS];
} OneSourceEntries;

static PyTypeObject OneSourceEntriesType;

/* The stored value of a key; None, or NULL with an exception. */
static PyObject *
value_of(const OneSourceEntries *self, PyObject *key)
{
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(self->at_hand); place++) {
        PyObject *value = PyDict_GetItemWithError(PyTuple_GET_ITEM(self->at_hand, place), key);
        if (value != NULL || PyErr_Occurred()) {
            return Py_XNewRef(value);
        }
    }
    return PyObject_CallOneArg(self->functions[VALUE_OF], key);
}

/* What an entry holds: references that are its own in the end. */
typedef struct {
    PyObject *position, *stored, *state;
} Held;

/* Take a stored value apart; 0 where it has another coverage, -1 with an exception. */
static int
read_stored(const OneSourceEntries *self, PyObject *value, Held *held)
{
    Py_ssize_t begin = PyBytes_GET_SIZE(self->beginning), length = PyBytes_GET_SIZE(self->end);
    if (!PyBytes_CheckExact(value) || PyBytes_GET_SIZE(value) < begin) {
        return 0;
    }
    const char *text = PyBytes_AS_STRING(value), *last = text + PyBytes_GET_SIZE(value);
    const char *first = text + begin, *at = first;
    if (memcmp(text, PyBytes_AS_STRING(self->beginning), (size_t)begin) != 0) {
        return 0;
    }
    long long position = 0;
    for (; at < last && *at >= '0' && *at <= '9' && at - first < 18; at++) {
        position = 10 * position + (*at - '0');
    }
    if (at == first || (*first == '0' && at - first > 1) || last - at < length
        || memcmp(at, PyBytes_AS_STRING(self->end), (size_t)length) != 0) {
        return 0;
    }
    at += length;
    held->position = PyLong_FromLongLong(position);
    held->stored = PyBytes_FromStringAndSize(at, last - at);
    return held->position == NULL || held->stored == NULL ? -1 : 1;
}

/* The state of what was read, as it is to be folded into. 0 where it is none: it is judged
 * elsewhere; -1 with an exception. */
static int
make_state(const OneSourceEntries *self, Held *held)
{
    if (held->stored != NULL) {
        int is_none = PyObject_RichCompareBool(held->stored, self->no_state, Py_EQ);
        if (is_none < 0) {
            return -1;
        }
        if (is_none) {
            Py_CLEAR(held->stored);
        }
    }
    if (held->stored != NULL) {
        held->state = PyObject_CallOneArg(self->functions[LOADS], held->stored);
    }
    else {
        held->stored = Py_NewRef(Py_None);
        held->state = PyObject_CallNoArgs(self->functions[INITIAL]);
    }
    return held->state == NULL ? -1 : PyDict_CheckExact(held->state);
}

static PyObject *
new_entry(const OneSourceEntries *self, const Held *held)
{
    PyObject *entry = self->entry_type->tp_alloc(self->entry_type, 0);
    if (entry != NULL) {
        fill_slot(entry, self->slots.covered, Py_NewRef(self->expected));
        fill_slot(entry, self->slots.stored, Py_NewRef(held->stored));
        fill_slot(entry, self->slots.position, Py_NewRef(held->position));
        fill_slot(entry, self->slots.reach, Py_NewRef(held->position));
        fill_slot(entry, self->slots.state, Py_NewRef(held->state));
        fill_slot(entry, self->slots.folded, Py_NewRef(Py_None));
        fill_slot(entry, self->slots.is_changed, Py_NewRef(Py_False));
    }
    return entry;
}

/* See one_source.py: the entry of a key; None where Python must open it. */
static PyObject *
open_entry(OneSourceEntries *self, PyObject *key)
{
    if (!PyBytes_CheckExact(key)) {
        Py_RETURN_NONE;
    }
    for (Py_ssize_t place = 0; place < PyBytes_GET_SIZE(key); place++) {
        if (PyBytes_AS_STRING(key)[place] & 0x80) {
            Py_RETURN_NONE;
        }
    }
    PyObject *value = value_of(self, key), *entry = NULL;
    if (value == NULL) {
        return NULL;
    }
    Held held = {NULL};
    int done = 1;
    if (value == Py_None) {
        held.position = PyLong_FromLong(-1);
        done = held.position == NULL ? -1 : 1;
    }
    else {
        done = read_stored(self, value, &held);
    }
    Py_DECREF(value);
    done = done == 1 ? make_state(self, &held) : done;
    entry = done == 1 ? new_entry(self, &held) : NULL;
    Py_XDECREF(held.position);
    Py_XDECREF(held.stored);
    Py_XDECREF(held.state);
    if (done == 0) {
        Py_RETURN_NONE;
    }
    return entry;
}

/* Whether an open entry still has the coverage that it was opened with. */
static int
is_of_one_source(const OneSourceEntries *self, PyObject *entry)
{
    return slot_value(entry, self->slots.covered) == self->expected;
}

static int
is_entry(const OneSourceEntries *self, PyObject *entry)
{
    if (PyObject_TypeCheck(entry, self->entry_type)) {
        return 1;
    }
    PyErr_SetString(PyExc_TypeError, "that is no open entry");
    return 0;
}

/* What is in its state now is what it has stored, up to where it reaches. */
static int
settle_entry(const OneSourceEntries *self, PyObject *entry, PyObject *stored)
{
    PyObject *reach = slot_value(entry, self->slots.reach);
    fill_slot(entry, self->slots.stored, Py_NewRef(stored));
    fill_slot(entry, self->slots.is_changed, Py_NewRef(Py_True));
    if (is_of_one_source(self, entry) && reach != NULL) {
        fill_slot(entry, self->slots.position, Py_NewRef(reach));
        return 0;
    }
    PyObject *done = PyObject_CallMethod(entry, "reached", "O", self->source);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* settle(entries): encode their states. When one cannot be, nothing has changed. */
static PyObject *
settle(OneSourceEntries *self, PyObject *given)
{
    PyObject *entries = PySequence_Tuple(given);
    PyObject *encoded = entries == NULL ? NULL : PyTuple_New(PyTuple_GET_SIZE(entries));
    int done = encoded == NULL ? -1 : 0;
    for (Py_ssize_t place = 0; done == 0 && place < PyTuple_GET_SIZE(entries); place++) {
        PyObject *entry = PyTuple_GET_ITEM(entries, place), *stored = NULL;
        PyObject *state = is_entry(self, entry) ? slot_value(entry, self->slots.state) : NULL;
        if (state != NULL) {
            Py_INCREF(state);
            stored = PyObject_CallOneArg(self->functions[DUMPS], state);
            Py_DECREF(state);
        }
        else if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_AttributeError, "an open entry has a state");
        }
        if (stored == NULL) {
            done = -1;
        }
        else {
            PyTuple_SET_ITEM(encoded, place, stored);
        }
    }
    for (Py_ssize_t place = 0; done == 0 && place < PyTuple_GET_SIZE(entries); place++) {
        done = settle_entry(self, PyTuple_GET_ITEM(entries, place),
                            PyTuple_GET_ITEM(encoded, place));
    }
    Py_XDECREF(entries);
    Py_XDECREF(encoded);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What is to be stored of an entry of the one source; NULL without an exception for others. */
static PyObject *
encode_entry(const OneSourceEntries *self, PyObject *entry)
{
    PyObject *position = slot_value(entry, self->slots.position);
    PyObject *stored = slot_value(entry, self->slots.stored);
    if (!is_of_one_source(self, entry) || position == NULL || !PyLong_CheckExact(position)
        || stored == NULL) {
        return NULL;
    }
    PyObject *state = stored == Py_None ? self->no_state : stored;
    long long number = PyLong_AsLongLong(position);
    if (!PyBytes_CheckExact(state) || number < 0) {
        PyErr_Clear();
        return NULL;
    }
    char digits[24];
    int length = PyOS_snprintf(digits, sizeof digits, "%lld", number);
    const char *parts[] = {PyBytes_AS_STRING(self->beginning), digits,
                           PyBytes_AS_STRING(self->end), PyBytes_AS_STRING(state)};
    Py_ssize_t sizes[] = {PyBytes_GET_SIZE(self->beginning), length,
                          PyBytes_GET_SIZE(self->end), PyBytes_GET_SIZE(state)};
    PyObject *value =
        PyBytes_FromStringAndSize(NULL, sizes[0] + sizes[1] + sizes[2] + sizes[3]);
    char *at = value == NULL ? NULL : PyBytes_AS_STRING(value);
    for (int part = 0; at != NULL && part < 4; part++) {
        memcpy(at, parts[part], (size_t)sizes[part]);
        at += sizes[part];
    }
    return value;
}

/* Whether the expected coverage was written in this generation; -1 with an exception. */
static int
is_of_generation(const OneSourceEntries *self, PyObject *generation)
{
    PyObject *expected = PyObject_GetAttrString(self->expected, "generation");
    int is_same = expected == NULL ? -1 : PyObject_RichCompareBool(expected, generation, Py_EQ);
    Py_XDECREF(expected);
    return is_same;
}

/* encode(entries, generation): what is to be stored of those that have changed, by key. */
static PyObject *
encode(OneSourceEntries *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode takes entries by key, and a generation");
        return NULL;
    }
    int is_same = is_of_generation(self, arguments[1]);
    PyObject *values = is_same < 0 ? NULL : PyDict_New(), *key, *entry;
    Py_ssize_t place = 0;
    int done = values == NULL ? -1 : 0;
    while (done == 0 && PyDict_Next(arguments[0], &place, &key, &entry)) {
        if (!is_entry(self, entry)) {
            done = -1;
        }
        else if (slot_value(entry, self->slots.is_changed) == Py_True) {
            Py_INCREF(key);
            Py_INCREF(entry);
            PyObject *value = is_same ? encode_entry(self, entry) : NULL;
            if (value == NULL && !PyErr_Occurred()) {
                value = PyObject_CallMethod(entry, "encode", "O", arguments[1]);
            }
            done = value == NULL ? -1 : PyDict_SetItem(values, key, value);
            Py_XDECREF(value);
            Py_DECREF(key);
            Py_DECREF(entry);
        }
    }
    if (done < 0) {
        Py_CLEAR(values);
    }
    return values;
}

/* OneSourceEntries(entry class, a tuple of its slots, coverage, source, beginning, end, no state,
 * at hand, a tuple of functions) */
static PyObject *
one_source_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *entry_type;
    PyObject *slots, *expected, *source, *beginning, *end, *no_state, *at_hand, *functions;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "OneSourceEntries takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O!O!OUSSSO!O!:OneSourceEntries", &PyType_Type, &entry_type,
                          &PyTuple_Type, &slots, &expected, &source, &beginning, &end, &no_state,
                          &PyTuple_Type, &at_hand, &PyTuple_Type, &functions)) {
        return NULL;
    }
    Py_ssize_t offsets[7], most = PyTuple_GET_SIZE(slots);
    if (most != 7 || PyTuple_GET_SIZE(functions) != FUNCTIONS) {
        PyErr_SetString(PyExc_ValueError, "an entry has seven slots, and four functions");
        return NULL;
    }
    for (Py_ssize_t place = 0; place < most; place++) {
        if ((offsets[place] = slot_offset(entry_type, PyTuple_GET_ITEM(slots, place))) < 0) {
            return NULL;
        }
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(at_hand); place++) {
        if (!PyDict_CheckExact(PyTuple_GET_ITEM(at_hand, place))) {
            PyErr_SetString(PyExc_TypeError, "what is at hand is dictionaries");
            return NULL;
        }
    }
    OneSourceEntries *self = (OneSourceEntries *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->entry_type = (PyTypeObject *)Py_NewRef(entry_type);
    self->slots = (EntrySlots){offsets[0], offsets[1], offsets[2], offsets[3],
                               offsets[4], offsets[5], offsets[6]};
    self->expected = Py_NewRef(expected);
    self->source = Py_NewRef(source);
    self->beginning = Py_NewRef(beginning);
    self->end = Py_NewRef(end);
    self->no_state = Py_NewRef(no_state);
    self->at_hand = Py_NewRef(at_hand);
    for (int place = 0; place < FUNCTIONS; place++) {
        self->functions[place] = Py_NewRef(PyTuple_GET_ITEM(functions, place));
    }
    return (PyObject *)self;
}

static int
one_source_traverse(OneSourceEntries *self, visitproc visit, void *arg)
{
    Py_VISIT(self->entry_type);
    Py_VISIT(self->expected);
    Py_VISIT(self->at_hand);
    for (int place = 0; place < FUNCTIONS; place++) {
        Py_VISIT(self->functions[place]);
    }
    return 0;
}

static void
one_source_dealloc(OneSourceEntries *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->entry_type);
    Py_XDECREF(self->expected);
    Py_XDECREF(self->source);
    Py_XDECREF(self->beginning);
    Py_XDECREF(self->end);
    Py_XDECREF(self->no_state);
    Py_XDECREF(self->at_hand);
    for (int place = 0; place < FUNCTIONS; place++) {
        Py_XDECREF(self->functions[place]);
    }
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef ONE_SOURCE_METHODS[] = {
    {"open", (PyCFunction)open_entry, METH_O,
     "The entry of a key; None where it cannot be opened here."},
    {"settle", (PyCFunction)settle, METH_O, "Encode the states of entries: all, or none."},
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL,
     "What is to be stored of entries that have changed, by key."},
    {NULL, NULL, 0, NULL},
};

/* No tp_clear: nothing here is changed after it was made; the dictionaries break the cycles. */
static PyTypeObject OneSourceEntriesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streams._native_folding.OneSourceEntries",
    .tp_doc = "Entries whose events are all of one source; see streams/one_source.py.",
    .tp_basicsize = sizeof(OneSourceEntries),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = one_source_new,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)one_source_dealloc,
    .tp_traverse = (traverseproc)one_source_traverse,
    .tp_methods = ONE_SOURCE_METHODS,
};

#endif
