/* From events into entries, see plain_events.py; part of _native_folding.c. */

#ifndef WUNDR_PLAIN_EVENTS_H
#define WUNDR_PLAIN_EVENTS_H

#include <Python.h>
#include <string.h>

#include "../schemas/_slots.h"
#include "_claims_class.h"
#include "_headers_class.h"
#include "_one_source.h"
#include "_raw_records.h"

/* For how many events claims are looked for at once. */
#define LOOKED_AHEAD 32

/* How many names of headers may tell of another place. */
#define MOST_OTHER_PLACES 8

/* Aggregate: type, id, version. */
enum { AGGREGATE_VERSION = 2, FIELDS_OF_AN_AGGREGATE };

typedef struct {
    const char *text;
    size_t length;
} Name;

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    Py_ssize_t id, aggregate;   /* slots of an event */
    PyObject *other_places;     /* names of headers */
    Name names[MOST_OTHER_PLACES];
    OneSourceEntries *entries;
    PyObject *opened;           /* entries by key */
    PyObject *ahead;            /* those that hold more than they have stored; values are None */
    Claims *claims;             /* of the batch */
    PyObject *seen;             /* a tuple of the claims of earlier ones */
    int has_versions;           /* versions of aggregates tell places */
} PlainEvents;

/* Whether a header is one of those that tell another place. */
static int
tells_another_place(const PlainEvents *self, const Header *header)
{
    size_t length = (size_t)header->name_length;
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(self->other_places); place++) {
        const Name *name = &self->names[place];
        if (length == name->length && memcmp(name->text, header->name, length) == 0) {
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
        if (next_header(&at, end, &header) < 0 || tells_another_place(self, &header)) {
            return 0;
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
claim_id(const PlainEvents *self, const unsigned char *id, Py_ssize_t source, PyObject *offset)
{
    Claim claim = {.source = (uint32_t)source, .offset = PyLong_AsLongLong(offset)};
    if (claim.offset == -1 && PyErr_Occurred()) {
        return -1;
    }
    memcpy(claim.id, id, ID_BYTES);
    if (find_claim(&self->claims->table, secret, id) != NULL) {
        return 0;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(self->seen); place++) {
        const Claims *seen = (Claims *)PyTuple_GET_ITEM(self->seen, place);
        if (find_claim(&seen->table, secret, id) != NULL) {
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

typedef struct {
    unsigned char bytes[ID_BYTES];
    int is_there; /* and a UUID in the usual form */
} PackedId;

/* The entry of one record whose event is plain, and its id claimed; NULL where it is not, with an
 * exception where something was raised. */
static PyObject *
open_one(const PlainEvents *self, const Opening *opening, PyObject *record, PyObject *event,
         const PackedId *id)
{
    if (!id->is_there || !is_record(record)
        || stands_where_published(self, field(record, HEADERS)) != 1
        || (self->has_versions && has_version(self, event))) {
        return NULL;
    }
    PyObject *key = field(record, KEY);
    PyObject *entry = entry_of(self, key == Py_None ? opening->no_key : key, opening->open_singly);
    if (entry == NULL) {
        return NULL;
    }
    if (reaches(self, entry, field(record, OFFSET)) == 0
        && claim_id(self, id->bytes, opening->source, field(record, OFFSET)) == 1) {
        return entry;
    }
    Py_DECREF(entry);
    return NULL;
}

static PackedId
packed_id(const PlainEvents *self, PyObject *event)
{
    PackedId packed = {.is_there = 0};
    PyObject *id =
        PyObject_TypeCheck(event, self->event_type) ? slot_value(event, self->id) : NULL;
    packed.is_there = id != NULL && pack_id(id, packed.bytes) == 0;
    return packed;
}

/* The ids of these events. The processor fetches what their claims will look at: it lies anywhere
 * in tables that are larger than its nearest cache. */
static void
look_ahead(const PlainEvents *self, PyObject *const *events, Py_ssize_t count, PackedId *ids)
{
    for (Py_ssize_t place = 0; place < count; place++) {
        ids[place] = packed_id(self, events[place]);
        if (!ids[place].is_there) {
            continue;
        }
        fetch_ahead(&self->claims->table, secret, ids[place].bytes);
        for (Py_ssize_t seen = 0; seen < PyTuple_GET_SIZE(self->seen); seen++) {
            const Claims *claims = (Claims *)PyTuple_GET_ITEM(self->seen, seen);
            fetch_ahead(&claims->table, secret, ids[place].bytes);
        }
    }
}

/* Forget the claims of the first `count` events. */
static void
take_back(const PlainEvents *self, PyObject *events, Py_ssize_t count)
{
    for (Py_ssize_t place = 0; place < count; place++) {
        PackedId id = packed_id(self, PyTuple_GET_ITEM(events, place));
        if (id.is_there) {
            remove_claim(&self->claims->table, secret, id.bytes);
        }
    }
}

/* The entries of records, in a list; NULL where one is not plain, or with an exception. */
static PyObject *
entries_of(const PlainEvents *self, const Opening *opening, PyObject *records, PyObject *events)
{
    Py_ssize_t size = PyTuple_GET_SIZE(records);
    PyObject *opened = PyList_New(size);
    PackedId ids[LOOKED_AHEAD];
    for (Py_ssize_t done = 0; opened != NULL && done < size; done++) {
        if (done % LOOKED_AHEAD == 0) {
            look_ahead(self, &PyTuple_GET_ITEM(events, done), Py_MIN(LOOKED_AHEAD, size - done),
                       ids);
        }
        PyObject *entry = open_one(self, opening, PyTuple_GET_ITEM(records, done),
                                   PyTuple_GET_ITEM(events, done), &ids[done % LOOKED_AHEAD]);
        if (entry == NULL) {
            take_back(self, events, done);
            Py_CLEAR(opened);
        }
        else {
            PyList_SET_ITEM(opened, done, entry);
        }
    }
    return opened;
}

/* Whether an entry was noted when it began to hold more than it has stored; -1 with an exception. */
static int
is_ahead(const PlainEvents *self, PyObject *entry)
{
    PyObject *reach = slot_value(entry, self->entries->slots.reach);
    PyObject *position = slot_value(entry, self->entries->slots.position);
    if (reach == position || reach == NULL || position == NULL
        || !is_of_one_source(self->entries, entry)) {
        return 0;
    }
    return PyObject_RichCompareBool(reach, position, Py_GT);
}

/* Note which entries will hold more than they have stored; -1 with an exception. */
static int
note_ahead(const PlainEvents *self, PyObject *opened)
{
    int done = 0;
    for (Py_ssize_t place = 0; done == 0 && place < PyList_GET_SIZE(opened); place++) {
        PyObject *entry = PyList_GET_ITEM(opened, place);
        int is_noted = is_ahead(self, entry);
        if (is_noted < 0) {
            done = -1;
        }
        else if (!is_noted) {
            done = PyDict_SetItem(self->ahead, entry, Py_None);
        }
    }
    return done;
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
    if (opening.source >= 0 && opening.no_key != NULL && records != NULL && events != NULL) {
        if (PyTuple_GET_SIZE(records) != PyTuple_GET_SIZE(events)) {
            PyErr_SetString(PyExc_ValueError, "there are as many records as events");
        }
        else {
            opened = entries_of(self, &opening, records, events);
        }
    }
    if (opened != NULL && note_ahead(self, opened) < 0) {
        take_back(self, events, PyTuple_GET_SIZE(events));
        Py_CLEAR(opened);
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

/* Where the texts of the names are, which the tuple keeps; -1 with an exception. */
static int
name_other_places(Name *names, PyObject *other_places)
{
    if (PyTuple_GET_SIZE(other_places) > MOST_OTHER_PLACES) {
        PyErr_Format(PyExc_ValueError, "at most %d headers tell places", MOST_OTHER_PLACES);
        return -1;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(other_places); place++) {
        Py_ssize_t length;
        const char *text =
            PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(other_places, place), &length);
        if (text == NULL) {
            return -1;
        }
        names[place] = (Name){text, (size_t)length};
    }
    return 0;
}

/* PlainEvents(event class, its slots of id and aggregate, other places, entries of one source,
 * opened entries by key, those ahead, claims, claims that were seen before, has_versions) */
static PyObject *
plain_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *id, *aggregate, *other_places, *entries, *opened, *ahead, *claims, *seen;
    PyTypeObject *event_type;
    int has_versions;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "PlainEvents takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O!OOO!O!O!O!O!O!p:PlainEvents", &PyType_Type, &event_type, &id,
                          &aggregate, &PyTuple_Type, &other_places, &OneSourceEntriesType,
                          &entries, &PyDict_Type, &opened, &PyDict_Type, &ahead, &ClaimsType,
                          &claims, &PyTuple_Type, &seen, &has_versions)) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(seen); place++) {
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(seen, place), &ClaimsType)) {
            PyErr_SetString(PyExc_TypeError, "what was seen before is claims");
            return NULL;
        }
    }
    Py_ssize_t offsets[2] = {slot_offset(event_type, id), slot_offset(event_type, aggregate)};
    Name names[MOST_OTHER_PLACES] = {{NULL, 0}};
    if (PyErr_Occurred() || name_other_places(names, other_places) < 0) {
        return NULL;
    }
    PlainEvents *self = (PlainEvents *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    memcpy(self->names, names, sizeof names);
    self->event_type = (PyTypeObject *)Py_NewRef(event_type);
    self->id = offsets[0];
    self->aggregate = offsets[1];
    self->other_places = Py_NewRef(other_places);
    self->entries = (OneSourceEntries *)Py_NewRef(entries);
    self->opened = Py_NewRef(opened);
    self->ahead = Py_NewRef(ahead);
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
    Py_VISIT(self->ahead);
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
    Py_XDECREF(self->ahead);
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

#endif
