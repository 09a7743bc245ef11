/* Records of a partition into the entries of a table, many at once: the common case of
 * viewing.py, claims.py, one_source.py and plain_events.py, and nothing else.
 *
 * Whatever is out of the ordinary is not judged here: None is returned, and Python looks at the
 * records one by one. So the only errors that leave this file are those of a fold, of a reader of
 * events, and of opening an entry.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "../schemas/_slots.h"
#include "_claims.h"
#include "_headers.h"

/* What native.py must speak; raised when arguments or results change. */
#define FOLDING_FORMAT 1

/* Fields of a RawRecord. */
enum { TOPIC, PARTITION, OFFSET, TIMESTAMP_MS, KEY, VALUE, HEADERS, FIELDS_OF_A_RECORD };

/* Bytes that tell the schema of a record's value. */
#define FRAME_SIZE 5

/* Aggregate: type, id, version. */
enum { AGGREGATE_VERSION = 2, FIELDS_OF_AN_AGGREGATE };

static PyObject *
field(PyObject *record, int place)
{
    return PyTuple_GET_ITEM(record, place);
}

static int
is_record(PyObject *object)
{
    return PyTuple_Check(object) && PyTuple_GET_SIZE(object) == FIELDS_OF_A_RECORD;
}

/* A list that is not changed by anybody meanwhile: a tuple of what a sequence holds. */
static PyObject *
fixed(PyObject *sequence)
{
    return PyTuple_CheckExact(sequence) ? Py_NewRef(sequence) : PySequence_Tuple(sequence);
}

/* ------------------------------------------------------------------ headers */

static PyObject *
decoded_header(const Header *header)
{
    PyObject *name = PyUnicode_DecodeASCII((const char *)header->name, header->name_length, NULL);
    if (name == NULL) {
        return NULL;
    }
    PyUnicode_InternInPlace(&name);
    PyObject *value = header->value_length < 0 ? Py_NewRef(Py_None)
                      : PyBytes_FromStringAndSize((const char *)header->value,
                                                  header->value_length);
    PyObject *decoded = value == NULL ? NULL : PyTuple_Pack(2, name, value);
    Py_DECREF(name);
    Py_XDECREF(value);
    return decoded;
}

/* What the headers are as a tuple, borrowed; it is made once. */
static PyObject *
headers_tuple(Headers *self)
{
    if (self->decoded != NULL) {
        return self->decoded;
    }
    PyObject *decoded = PyTuple_New(self->count);
    const unsigned char *at = (const unsigned char *)self->raw, *end = at + Py_SIZE(self);
    for (Py_ssize_t place = 0; decoded != NULL && place < self->count; place++) {
        Header header;
        PyObject *made = next_header(&at, end, &header) < 0 ? NULL : decoded_header(&header);
        if (made == NULL) {
            Py_CLEAR(decoded);
        }
        else {
            PyTuple_SET_ITEM(decoded, place, made);
        }
    }
    if (decoded == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_SystemError, "headers were not looked through when they were kept");
    }
    self->decoded = decoded;
    return decoded;
}

static Py_ssize_t
headers_length(Headers *self)
{
    return self->count;
}

static PyObject *
headers_item(Headers *self, Py_ssize_t place)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : PySequence_GetItem(decoded, place);
}

static PyObject *
headers_subscript(Headers *self, PyObject *key)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : PyObject_GetItem(decoded, key);
}

static int
headers_contain(Headers *self, PyObject *header)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? -1 : PySequence_Contains(decoded, header);
}

static PyObject *
headers_concat(Headers *self, PyObject *more)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : PySequence_Concat(decoded, more);
}

static PyObject *
headers_iter(Headers *self)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : PyObject_GetIter(decoded);
}

static PyObject *
headers_repr(Headers *self)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : PyObject_Repr(decoded);
}

static Py_hash_t
headers_hash(Headers *self)
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? -1 : PyObject_Hash(decoded);
}

static PyTypeObject HeadersType;

static PyObject *
headers_compare(PyObject *self, PyObject *other, int operation)
{
    PyObject *one = headers_tuple((Headers *)self);
    if (one != NULL && Py_IS_TYPE(other, &HeadersType)) {
        other = headers_tuple((Headers *)other);
    }
    return one == NULL || other == NULL ? NULL : PyObject_RichCompare(one, other, operation);
}

static void
headers_dealloc(Headers *self)
{
    Py_XDECREF(self->decoded);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PySequenceMethods HEADERS_SEQUENCE = {
    .sq_length = (lenfunc)headers_length,
    .sq_item = (ssizeargfunc)headers_item,
    .sq_contains = (objobjproc)headers_contain,
    .sq_concat = (binaryfunc)headers_concat,
};

static PyMappingMethods HEADERS_MAPPING = {
    .mp_length = (lenfunc)headers_length,
    .mp_subscript = (binaryfunc)headers_subscript,
};

static PyTypeObject HeadersType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streams._native_folding.Headers",
    .tp_doc = "Headers of a record, as good as a tuple of them; decoded where somebody looks.",
    .tp_basicsize = HEADERS_SIZE,
    .tp_itemsize = 1,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE,
    .tp_dealloc = (destructor)headers_dealloc,
    .tp_iter = (getiterfunc)headers_iter,
    .tp_repr = (reprfunc)headers_repr,
    .tp_hash = (hashfunc)headers_hash,
    .tp_richcompare = headers_compare,
    .tp_as_sequence = &HEADERS_SEQUENCE,
    .tp_as_mapping = &HEADERS_MAPPING,
};

/* ------------------------------------------------------------------ from records to events */

/* The reader of a record's schema, borrowed; NULL where it must be looked at closer. `last` has the
 * value of the record before, whose schema most often is the same. */
static PyObject *
reader_of(PyObject *readers, PyObject *value, PyObject *last, PyObject *reader)
{
    if (!PyBytes_CheckExact(value) || PyBytes_GET_SIZE(value) < FRAME_SIZE) {
        return NULL;
    }
    const char *frame = PyBytes_AS_STRING(value);
    if (last != NULL && memcmp(frame, PyBytes_AS_STRING(last), FRAME_SIZE) == 0) {
        return reader;
    }
    PyObject *key = PyBytes_FromStringAndSize(frame, FRAME_SIZE);
    if (key == NULL) {
        return NULL;
    }
    PyObject *found = PyDict_GetItemWithError(readers, key);
    Py_DECREF(key);
    return found;
}

/* view(readers, records): a list of events; None where a record must be looked at closer. */
static PyObject *
view(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "view takes readers by frame, and records");
        return NULL;
    }
    PyObject *records = fixed(arguments[1]);
    PyObject *events = records == NULL ? NULL : PyList_New(PyTuple_GET_SIZE(records));
    if (events == NULL) {
        Py_XDECREF(records);
        return NULL;
    }
    PyObject *last = NULL, *reader = NULL;
    int is_whole = 1;
    for (Py_ssize_t place = 0; is_whole && place < PyTuple_GET_SIZE(records); place++) {
        PyObject *record = PyTuple_GET_ITEM(records, place);
        PyObject *value = is_record(record) ? field(record, VALUE) : Py_None;
        PyObject *found = reader_of(arguments[0], value, last, reader);
        Py_XINCREF(found);
        Py_XSETREF(reader, found);
        PyObject *event = reader == NULL ? NULL : PyObject_CallOneArg(reader, value);
        if (event == NULL) {
            is_whole = 0;
        }
        else {
            PyList_SET_ITEM(events, place, event);
        }
        last = value;
    }
    Py_XDECREF(reader);
    Py_DECREF(records);
    if (is_whole) {
        return events;
    }
    Py_DECREF(events);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* are_known(readers, records): whether there is a reader for each record that has a value. */
static PyObject *
are_known(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "are_known takes readers by frame, and records");
        return NULL;
    }
    PyObject *records = fixed(arguments[1]);
    if (records == NULL) {
        return NULL;
    }
    PyObject *last = NULL, *reader = NULL;
    int is_known = 1;
    for (Py_ssize_t place = 0; is_known && place < PyTuple_GET_SIZE(records); place++) {
        PyObject *record = PyTuple_GET_ITEM(records, place);
        PyObject *value = is_record(record) ? field(record, VALUE) : NULL;
        if (value == Py_None) {
            continue;
        }
        reader = value == NULL ? NULL : reader_of(arguments[0], value, last, reader);
        is_known = reader != NULL;
        last = value;
    }
    Py_DECREF(records);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(is_known);
}

/* ------------------------------------------------------------------ claims */

static Secret secret;

typedef struct {
    PyObject_HEAD
    ClaimTable table;
    PyObject *sources;  /* a list: claims have a place in it */
    PyObject *others;   /* claims by ids that are no UUIDs in the usual form */
} Claims;

static PyTypeObject ClaimsType;

/* The place of a source, which most often is the one that came last; -1 with an exception. */
static Py_ssize_t
place_of_source(Claims *self, PyObject *source)
{
    for (Py_ssize_t place = PyList_GET_SIZE(self->sources) - 1; place >= 0; place--) {
        PyObject *known = PyList_GET_ITEM(self->sources, place);
        if (known == source || PyUnicode_Compare(known, source) == 0) {
            return place;
        }
    }
    if (PyErr_Occurred() || PyList_Append(self->sources, source) < 0) {
        return -1;
    }
    return PyList_GET_SIZE(self->sources) - 1;
}

static PyObject *
place_read(PyObject *source, int64_t offset)
{
    PyObject *number = PyLong_FromLongLong(offset);
    PyObject *place = number == NULL ? NULL : PyTuple_Pack(2, source, number);
    Py_XDECREF(number);
    return place;
}

static PyObject *
claims_get(Claims *self, PyObject *id)
{
    unsigned char packed[ID_BYTES];
    if (pack_id(id, packed) < 0) {
        PyObject *place = PyDict_GetItemWithError(self->others, id);
        return place == NULL && PyErr_Occurred() ? NULL
               : Py_NewRef(place == NULL ? Py_None : place);
    }
    Claim *claim = find_claim(&self->table, secret, packed);
    if (claim == NULL) {
        Py_RETURN_NONE;
    }
    return place_read(PyList_GET_ITEM(self->sources, claim->source), claim->offset);
}

static int
claims_contain(Claims *self, PyObject *id)
{
    unsigned char packed[ID_BYTES];
    return pack_id(id, packed) < 0 ? PyDict_Contains(self->others, id)
           : find_claim(&self->table, secret, packed) != NULL;
}

static Py_ssize_t
claims_length(Claims *self)
{
    return self->table.live + PyDict_GET_SIZE(self->others);
}

static PyObject *
claims_put(Claims *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyUnicode_Check(arguments[0]) || !PyUnicode_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "put takes an id, a source and an offset");
        return NULL;
    }
    Claim claim = {.offset = PyLong_AsLongLong(arguments[2])};
    if (claim.offset == -1 && PyErr_Occurred()) {
        return NULL;
    }
    int done;
    if (pack_id(arguments[0], claim.id) < 0) {
        PyObject *place = place_read(arguments[1], claim.offset);
        done = place == NULL ? -1 : PyDict_SetItem(self->others, arguments[0], place);
        Py_XDECREF(place);
    }
    else {
        Py_ssize_t source = place_of_source(self, arguments[1]);
        claim.source = (uint32_t)source;
        done = source < 0 ? -1 : put_claim(&self->table, secret, &claim);
    }
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
claims_remove(Claims *self, PyObject *id)
{
    unsigned char packed[ID_BYTES];
    if (pack_id(id, packed) == 0) {
        remove_claim(&self->table, secret, packed);
    }
    else if (PyDict_Contains(self->others, id) == 1) {
        PyDict_DelItem(self->others, id);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
claims_update(Claims *self, PyObject *given)
{
    if (!Py_IS_TYPE(given, &ClaimsType)) {
        PyErr_SetString(PyExc_TypeError, "update takes other claims of this kind");
        return NULL;
    }
    if (given == (PyObject *)self) {
        Py_RETURN_NONE;
    }
    Claims *other = (Claims *)given;
    Py_ssize_t from = -1, to = -1;
    for (Py_ssize_t place = 0; place < other->table.used; place++) {
        Claim claim = other->table.claims[place];
        if (claim.source == REMOVED) {
            continue;
        }
        if ((Py_ssize_t)claim.source != from) {
            from = claim.source;
            to = place_of_source(self, PyList_GET_ITEM(other->sources, from));
        }
        claim.source = (uint32_t)to;
        if (to < 0 || put_claim(&self->table, secret, &claim) < 0) {
            return NULL;
        }
    }
    if (PyDict_Update(self->others, other->others) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* How many claims are of a source. */
static Py_ssize_t
count_of(const ClaimTable *table, Py_ssize_t source)
{
    Py_ssize_t found = 0;
    for (Py_ssize_t place = 0; place < table->used; place++) {
        found += (Py_ssize_t)table->claims[place].source == source;
    }
    return found;
}

/* Of the claims of one source the ids, then the offsets, eight bytes each, the lowest first. */
static PyObject *
pack_source(const ClaimTable *table, Py_ssize_t source, Py_ssize_t count)
{
    PyObject *packed = PyBytes_FromStringAndSize(NULL, count * (ID_BYTES + OFFSET_BYTES));
    if (packed == NULL) {
        return NULL;
    }
    unsigned char *id = (unsigned char *)PyBytes_AS_STRING(packed);
    unsigned char *offset = id + count * ID_BYTES;
    for (Py_ssize_t place = 0; place < table->used; place++) {
        const Claim *claim = &table->claims[place];
        if ((Py_ssize_t)claim->source != source) {
            continue;
        }
        memcpy(id, claim->id, ID_BYTES);
        id += ID_BYTES;
        for (int byte = 0; byte < OFFSET_BYTES; byte++) {
            *offset++ = (unsigned char)((uint64_t)claim->offset >> 8 * byte);
        }
    }
    return packed;
}

static PyObject *
claims_packed(Claims *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *parts = PyList_New(0);
    for (Py_ssize_t source = 0; parts != NULL && source < PyList_GET_SIZE(self->sources); source++) {
        Py_ssize_t count = count_of(&self->table, source);
        if (count == 0) {
            continue;
        }
        PyObject *packed = pack_source(&self->table, source, count);
        PyObject *part = packed == NULL ? NULL
                         : Py_BuildValue("OnO", PyList_GET_ITEM(self->sources, source), count,
                                         packed);
        Py_XDECREF(packed);
        if (part == NULL || PyList_Append(parts, part) < 0) {
            Py_CLEAR(parts);
        }
        Py_XDECREF(part);
    }
    return parts;
}

static PyObject *
claims_others(Claims *self, PyObject *Py_UNUSED(nothing))
{
    return PyDict_Copy(self->others);
}

static PyObject *
claims_put_packed(Claims *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyUnicode_Check(arguments[0]) || !PyBytes_CheckExact(arguments[1])
        || PyBytes_GET_SIZE(arguments[1]) % (ID_BYTES + OFFSET_BYTES) != 0) {
        PyErr_SetString(PyExc_ValueError, "put_packed takes a source, and 24 bytes for each claim");
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(arguments[1]) / (ID_BYTES + OFFSET_BYTES);
    const unsigned char *id = (const unsigned char *)PyBytes_AS_STRING(arguments[1]);
    const unsigned char *offset = id + size * ID_BYTES;
    Py_ssize_t source = place_of_source(self, arguments[0]);
    for (; source >= 0 && size > 0; size--, id += ID_BYTES, offset += OFFSET_BYTES) {
        Claim claim = {.source = (uint32_t)source};
        uint64_t number = 0;
        for (int byte = 0; byte < OFFSET_BYTES; byte++) {
            number |= (uint64_t)offset[byte] << 8 * byte;
        }
        memcpy(claim.id, id, ID_BYTES);
        claim.offset = (int64_t)number;
        if (put_claim(&self->table, secret, &claim) < 0) {
            return NULL;
        }
    }
    if (source < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
claims_items(Claims *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *items = PyDict_Items(self->others);
    for (Py_ssize_t place = 0; items != NULL && place < self->table.used; place++) {
        const Claim *claim = &self->table.claims[place];
        if (claim->source == REMOVED) {
            continue;
        }
        PyObject *source = PyList_GET_ITEM(self->sources, (Py_ssize_t)claim->source);
        PyObject *item = Py_BuildValue("NN", unpack_id(claim->id),
                                       place_read(source, claim->offset));
        if (item == NULL || PyList_Append(items, item) < 0) {
            Py_CLEAR(items);
        }
        Py_XDECREF(item);
    }
    return items;
}

static PyObject *
claims_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(arguments) > 0 || (keywords != NULL && PyDict_GET_SIZE(keywords) > 0)) {
        PyErr_SetString(PyExc_TypeError, "Claims begin empty");
        return NULL;
    }
    Claims *self = (Claims *)type->tp_alloc(type, 0);
    if (self != NULL && ((self->sources = PyList_New(0)) == NULL
                         || (self->others = PyDict_New()) == NULL)) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
claims_dealloc(Claims *self)
{
    free_claims(&self->table);
    Py_XDECREF(self->sources);
    Py_XDECREF(self->others);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef CLAIMS_METHODS[] = {
    {"get", (PyCFunction)claims_get, METH_O, "Where an event was read; None."},
    {"put", (PyCFunction)(void (*)(void))claims_put, METH_FASTCALL,
     "An event was read there, and nowhere else."},
    {"remove", (PyCFunction)claims_remove, METH_O, "Forget an id, if it is known."},
    {"update", (PyCFunction)claims_update, METH_O, "Put all of others."},
    {"items", (PyCFunction)claims_items, METH_NOARGS, "Ids and places, in a list."},
    {"packed", (PyCFunction)claims_packed, METH_NOARGS,
     "By source: its name, how many, and their bytes."},
    {"others", (PyCFunction)claims_others, METH_NOARGS, "What cannot be packed, by id."},
    {"put_packed", (PyCFunction)(void (*)(void))claims_put_packed, METH_FASTCALL,
     "Put what was packed of one source."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods CLAIMS_SEQUENCE = {
    .sq_length = (lenfunc)claims_length,
    .sq_contains = (objobjproc)claims_contain,
};

static PyTypeObject ClaimsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streams._native_folding.Claims",
    .tp_doc = "Ids of events and where they were read; see streams/claims.py.",
    .tp_basicsize = sizeof(Claims),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = claims_new,
    .tp_dealloc = (destructor)claims_dealloc,
    .tp_methods = CLAIMS_METHODS,
    .tp_as_sequence = &CLAIMS_SEQUENCE,
};

/* ------------------------------------------------------------------ entries of one source */

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

/* encode(entries, generation, is_same): what is to be stored of those that have changed, by key.
 * `is_same`: the generation is the one that the expected coverage has. */
static PyObject *
encode(OneSourceEntries *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyDict_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode takes entries by key, and a generation");
        return NULL;
    }
    int is_same = PyObject_IsTrue(arguments[2]);
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

/* ------------------------------------------------------------------ from events into entries */

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    Py_ssize_t id, aggregate;   /* slots of an event */
    PyObject *other_places;     /* names of headers */
    OneSourceEntries *entries;
    PyObject *opened;           /* entries by key */
    Claims *claims;             /* of the batch */
    PyObject *seen;             /* a tuple of the claims of earlier ones */
    int has_versions;           /* versions of aggregates tell places */
} PlainEvents;

/* Whether a name is one of those that tell another place; -1 with an exception. */
static int
tells_another_place(const PlainEvents *self, const Header *header)
{
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(self->other_places); place++) {
        Py_ssize_t length;
        const char *name =
            PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(self->other_places, place), &length);
        if (name == NULL) {
            return -1;
        }
        if (length == header->name_length && memcmp(name, header->name, (size_t)length) == 0) {
            return 1;
        }
    }
    return 0;
}

/* stands_where_published for headers that nobody has looked at yet. */
static int
kept_are_plain(const PlainEvents *self, const Headers *headers)
{
    const unsigned char *at = (const unsigned char *)headers->raw, *end = at + Py_SIZE(headers);
    for (Py_ssize_t place = 0; place < headers->count; place++) {
        Header header;
        int is_other = next_header(&at, end, &header) < 0 ? 1 : tells_another_place(self, &header);
        if (is_other != 0) {
            return is_other < 0 ? -1 : 0;
        }
    }
    return 1;
}

/* Whether no header says that the record has another place too; -1 with an exception. */
static int
stands_where_published(const PlainEvents *self, PyObject *headers)
{
    if (Py_IS_TYPE(headers, &HeadersType)) {
        return kept_are_plain(self, (Headers *)headers);
    }
    if (!PyTuple_CheckExact(headers)) {
        return 0;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(headers); place++) {
        PyObject *header = PyTuple_GET_ITEM(headers, place);
        if (!PyTuple_CheckExact(header) || PyTuple_GET_SIZE(header) != 2) {
            return 0;
        }
        int is_other = PySequence_Contains(self->other_places, PyTuple_GET_ITEM(header, 0));
        if (is_other != 0) {
            return is_other < 0 ? -1 : 0;
        }
    }
    return 1;
}

static int
has_version(const PlainEvents *self, PyObject *event)
{
    PyObject *aggregate = slot_value(event, self->aggregate);
    if (aggregate == Py_None) {
        return 0;
    }
    return aggregate == NULL || !PyTuple_Check(aggregate)
           || PyTuple_GET_SIZE(aggregate) != FIELDS_OF_AN_AGGREGATE
           || PyTuple_GET_ITEM(aggregate, AGGREGATE_VERSION) != Py_None;
}

/* Note where the event was read; 0 where its id was seen before, -1 with an exception. */
static int
claim(const PlainEvents *self, PyObject *id, Py_ssize_t source, PyObject *offset)
{
    Claim claim = {.source = (uint32_t)source, .offset = PyLong_AsLongLong(offset)};
    if (claim.offset == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (pack_id(id, claim.id) < 0
        || find_claim(&self->claims->table, secret, claim.id) != NULL) {
        return 0;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(self->seen); place++) {
        const Claims *seen = (Claims *)PyTuple_GET_ITEM(self->seen, place);
        if (find_claim(&seen->table, secret, claim.id) != NULL) {
            return 0;
        }
    }
    return put_claim(&self->claims->table, secret, &claim) < 0 ? -1 : 1;
}

/* The entry of a key, which is opened where it is not yet; NULL with an exception. */
static PyObject *
entry_of(const PlainEvents *self, PyObject *key, PyObject *open_singly)
{
    PyObject *entry = PyDict_GetItemWithError(self->opened, key);
    if (entry != NULL) {
        return Py_NewRef(entry);
    }
    entry = PyErr_Occurred() ? NULL : open_entry(self->entries, key);
    if (entry == Py_None) {
        Py_SETREF(entry, PyObject_CallOneArg(open_singly, key));
    }
    if (entry != NULL && (!is_entry(self->entries, entry)
                          || PyDict_SetItem(self->opened, key, entry) < 0)) {
        Py_CLEAR(entry);
    }
    return entry;
}

/* Whether an entry may hold what stands at this offset. */
static int
reaches(const PlainEvents *self, PyObject *entry, PyObject *offset)
{
    PyObject *reach = slot_value(entry, self->entries->slots.reach);
    if (reach == NULL || !PyLong_CheckExact(reach) || !PyLong_CheckExact(offset)) {
        return 1;
    }
    int is_beyond, has_no_place;
    long long furthest = PyLong_AsLongLongAndOverflow(reach, &is_beyond);
    long long at = PyLong_AsLongLongAndOverflow(offset, &has_no_place);
    return is_beyond != 0 || has_no_place != 0 || furthest >= at;
}

typedef struct {
    Py_ssize_t source; /* its place among those of the claims */
    PyObject *no_key, *open_singly;
} Opening;

/* The entry of one record whose event is plain, and its id claimed; NULL where it is not, with an
 * exception where something was raised. */
static PyObject *
open_one(const PlainEvents *self, const Opening *opening, PyObject *record, PyObject *event)
{
    if (!is_record(record) || !PyObject_TypeCheck(event, self->event_type)
        || stands_where_published(self, field(record, HEADERS)) != 1
        || (self->has_versions && has_version(self, event))) {
        return NULL;
    }
    PyObject *id = slot_value(event, self->id), *key = field(record, KEY);
    if (id == NULL || !PyUnicode_CheckExact(id)) {
        return NULL;
    }
    PyObject *entry = entry_of(self, key == Py_None ? opening->no_key : key, opening->open_singly);
    if (entry == NULL) {
        return NULL;
    }
    if (reaches(self, entry, field(record, OFFSET)) == 0
        && claim(self, id, opening->source, field(record, OFFSET)) == 1) {
        return entry;
    }
    Py_DECREF(entry);
    return NULL;
}

/* Forget the claims of the first `count` events. */
static void
take_back(const PlainEvents *self, PyObject *events, Py_ssize_t count)
{
    for (Py_ssize_t place = 0; place < count; place++) {
        unsigned char packed[ID_BYTES];
        PyObject *id = slot_value(PyTuple_GET_ITEM(events, place), self->id);
        if (id != NULL && pack_id(id, packed) == 0) {
            remove_claim(&self->claims->table, secret, packed);
        }
    }
}

/* open(source, records, events, open_singly): the entry of each, or None; see plain_events.py. */
static PyObject *
open_all(PlainEvents *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 4 || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "open takes a source, records, events and a function");
        return NULL;
    }
    Opening opening = {
        .source = place_of_source(self->claims, arguments[0]),
        .no_key = PyBytes_FromStringAndSize(NULL, 0),
        .open_singly = arguments[3],
    };
    PyObject *records = fixed(arguments[1]), *events = fixed(arguments[2]), *opened = NULL;
    Py_ssize_t done = 0;
    if (opening.source >= 0 && opening.no_key != NULL && records != NULL && events != NULL) {
        Py_ssize_t size = PyTuple_GET_SIZE(records);
        if (size != PyTuple_GET_SIZE(events)) {
            PyErr_SetString(PyExc_ValueError, "there are as many records as events");
        }
        else {
            opened = PyList_New(size);
        }
        while (opened != NULL && done < size) {
            PyObject *entry = open_one(self, &opening, PyTuple_GET_ITEM(records, done),
                                       PyTuple_GET_ITEM(events, done));
            if (entry == NULL) {
                take_back(self, events, done);
                Py_CLEAR(opened);
            }
            else {
                PyList_SET_ITEM(opened, done++, entry);
            }
        }
    }
    Py_XDECREF(opening.no_key);
    Py_XDECREF(records);
    Py_XDECREF(events);
    if (opened == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return opened;
}

/* Fold one event into its entry, whose reach is then the offset of its record. */
static int
fold_one(const PlainEvents *self, PyObject *const *functions, PyObject *entry, PyObject *record,
         PyObject *event)
{
    const EntrySlots *slots = &self->entries->slots;
    PyObject *before = slot_value(entry, slots->state);
    if (before == NULL) {
        PyErr_SetString(PyExc_AttributeError, "an open entry has a state");
        return -1;
    }
    PyObject *given[2] = {Py_NewRef(before), event};
    PyObject *state = PyObject_Vectorcall(functions[0], given, 2, NULL);
    Py_DECREF(given[0]);
    if (state != NULL && !PyDict_CheckExact(state)) {
        Py_SETREF(state, PyObject_CallOneArg(functions[1], state));
    }
    if (state == NULL) {
        return -1;
    }
    fill_slot(entry, slots->state, state);
    fill_slot(entry, slots->reach, Py_NewRef(field(record, OFFSET)));
    return 0;
}

/* fold(fold, checked, records, events, opened): see plain_events.py. */
static PyObject *
fold_all(PlainEvents *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 5) {
        PyErr_SetString(PyExc_TypeError, "fold takes two functions, records, events and entries");
        return NULL;
    }
    PyObject *records = fixed(arguments[2]), *events = fixed(arguments[3]);
    PyObject *opened = fixed(arguments[4]);
    int done = records == NULL || events == NULL || opened == NULL ? -1 : 0;
    Py_ssize_t size = done < 0 ? 0 : PyTuple_GET_SIZE(records);
    if (done == 0 && (PyTuple_GET_SIZE(events) != size || PyTuple_GET_SIZE(opened) != size)) {
        PyErr_SetString(PyExc_ValueError, "each record has an event and an entry");
        done = -1;
    }
    for (Py_ssize_t place = 0; done == 0 && place < size; place++) {
        PyObject *record = PyTuple_GET_ITEM(records, place);
        PyObject *entry = PyTuple_GET_ITEM(opened, place);
        if (!is_record(record) || !PyObject_TypeCheck(entry, self->entries->entry_type)) {
            PyErr_SetString(PyExc_TypeError, "fold takes what open was given, and has given");
            done = -1;
        }
        else {
            done = fold_one(self, arguments, entry, record, PyTuple_GET_ITEM(events, place));
        }
    }
    Py_XDECREF(records);
    Py_XDECREF(events);
    Py_XDECREF(opened);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* PlainEvents(event class, its slots of id and aggregate, other places, entries of one source,
 * opened entries by key, claims, claims that were seen before, has_versions) */
static PyObject *
plain_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *id, *aggregate, *other_places, *entries, *opened, *claims, *seen;
    PyTypeObject *event_type;
    int has_versions;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "PlainEvents takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O!OOO!O!O!O!O!p:PlainEvents", &PyType_Type, &event_type, &id,
                          &aggregate, &PyTuple_Type, &other_places, &OneSourceEntriesType,
                          &entries, &PyDict_Type, &opened, &ClaimsType, &claims, &PyTuple_Type,
                          &seen, &has_versions)) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(seen); place++) {
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(seen, place), &ClaimsType)) {
            PyErr_SetString(PyExc_TypeError, "what was seen before is claims");
            return NULL;
        }
    }
    Py_ssize_t offsets[2] = {slot_offset(event_type, id), slot_offset(event_type, aggregate)};
    PlainEvents *self = PyErr_Occurred() ? NULL : (PlainEvents *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->event_type = (PyTypeObject *)Py_NewRef(event_type);
    self->id = offsets[0];
    self->aggregate = offsets[1];
    self->other_places = Py_NewRef(other_places);
    self->entries = (OneSourceEntries *)Py_NewRef(entries);
    self->opened = Py_NewRef(opened);
    self->claims = (Claims *)Py_NewRef(claims);
    self->seen = Py_NewRef(seen);
    self->has_versions = has_versions;
    return (PyObject *)self;
}

static int
plain_traverse(PlainEvents *self, visitproc visit, void *arg)
{
    Py_VISIT(self->event_type);
    Py_VISIT(self->other_places);
    Py_VISIT(self->entries);
    Py_VISIT(self->opened);
    Py_VISIT(self->claims);
    Py_VISIT(self->seen);
    return 0;
}

static void
plain_dealloc(PlainEvents *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->event_type);
    Py_XDECREF(self->other_places);
    Py_XDECREF(self->entries);
    Py_XDECREF(self->opened);
    Py_XDECREF(self->claims);
    Py_XDECREF(self->seen);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef PLAIN_METHODS[] = {
    {"open", (PyCFunction)(void (*)(void))open_all, METH_FASTCALL,
     "The entries of records whose events are plain, which are claimed; None where one is not."},
    {"fold", (PyCFunction)(void (*)(void))fold_all, METH_FASTCALL,
     "Fold events into the entries that `open` has given."},
    {NULL, NULL, 0, NULL},
};

/* No tp_clear: nothing here is changed after it was made; the dictionaries break the cycles. */
static PyTypeObject PlainEventsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streams._native_folding.PlainEvents",
    .tp_doc = "Folds the plain events of one batch; see streams/plain_events.py.",
    .tp_basicsize = sizeof(PlainEvents),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = plain_new,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)plain_dealloc,
    .tp_traverse = (traverseproc)plain_traverse,
    .tp_methods = PLAIN_METHODS,
};

/* ------------------------------------------------------------------ the module */

static PyMethodDef METHODS[] = {
    {"view", (PyCFunction)(void (*)(void))view, METH_FASTCALL,
     "The events of records; None where one must be looked at closer."},
    {"are_known", (PyCFunction)(void (*)(void))are_known, METH_FASTCALL,
     "Whether there is a reader for each record that has a value."},
    {NULL, NULL, 0, NULL},
};

/* Two numbers that nobody outside of this process knows, as the hashes of Python are. */
static int
choose_secret(void)
{
    uint64_t *const numbers[] = {&secret.low, &secret.high};
    for (int place = 0; place < 2; place++) {
        PyObject *text = PyUnicode_FromFormat("claims %d", place);
        Py_hash_t hash = text == NULL ? -1 : PyObject_Hash(text);
        Py_XDECREF(text);
        if (hash == -1) {
            return -1;
        }
        *numbers[place] = (uint64_t)hash;
    }
    return 0;
}

static int
fill_module(PyObject *module)
{
    return choose_secret() < 0 || PyModule_AddType(module, &HeadersType) < 0
           || PyModule_AddType(module, &ClaimsType) < 0
           || PyModule_AddType(module, &OneSourceEntriesType) < 0
           || PyModule_AddType(module, &PlainEventsType) < 0
           || PyModule_AddIntConstant(module, "FOLDING_FORMAT", FOLDING_FORMAT) < 0 ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_folding",
    .m_doc = "Events into the entries of a table; see streams/plain_events.py.",
    .m_size = 0,
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_folding(void)
{
    return PyModuleDef_Init(&MODULE);
}
