/* Claims as Python sees them, see claims.py; part of _native_folding.c. */

#ifndef WUNDR_CLAIMS_CLASS_H
#define WUNDR_CLAIMS_CLASS_H

#include "_claims.h"

/* Chosen when the module is loaded. */
static Secret secret;

typedef struct {
    PyObject_HEAD
    ClaimTable table;
    PyObject *sources;  /* a list: claims have a place in it */
    PyObject *places;   /* of sources in that list, by source */
    PyObject *others;   /* claims by ids that are no UUIDs in the usual form */
} Claims;

static PyTypeObject ClaimsType;

/* The place of a source that was not met before; -1 with an exception. */
static Py_ssize_t
place_of_new_source(Claims *self, PyObject *source)
{
    Py_ssize_t place = PyList_GET_SIZE(self->sources);
    PyObject *number = PyLong_FromSsize_t(place);
    int done = number == NULL ? -1 : PyList_Append(self->sources, source);
    if (done == 0 && PyDict_SetItem(self->places, source, number) < 0) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        PyList_SetSlice(self->sources, place, place + 1, NULL);
        PyErr_Restore(type, value, trace);
        done = -1;
    }
    Py_XDECREF(number);
    return done < 0 ? -1 : place;
}

/* The place of a source, which most often is the one that came last; -1 with an exception. */
static Py_ssize_t
place_of_source(Claims *self, PyObject *given)
{
    Py_ssize_t last = PyList_GET_SIZE(self->sources) - 1;
    if (last >= 0 && PyList_GET_ITEM(self->sources, last) == given) {
        return last;
    }
    /* What is not exactly a text may compare as it likes. */
    PyObject *source = PyUnicode_FromObject(given);
    PyObject *known = source == NULL ? NULL : PyDict_GetItemWithError(self->places, source);
    Py_ssize_t place = -1;
    if (known != NULL) {
        place = PyLong_AsSsize_t(known);
    }
    else if (!PyErr_Occurred()) {
        place = place_of_new_source(self, source);
    }
    Py_XDECREF(source);
    return place;
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

/* What is packed of one source: how many claims, their bytes, and how many stand there by now.
 * Beside that, of the part at the same place in the order of first claims, the source. */
typedef struct {
    Py_ssize_t count, done;
    PyObject *bytes;
    Py_ssize_t source;
} Part;

/* Count the claims of each source and make room for them; -1 with an exception. */
static int
make_room(const ClaimTable *table, Part *parts, Py_ssize_t sources)
{
    Py_ssize_t met = 0;
    for (Py_ssize_t place = 0; place < table->used; place++) {
        uint32_t source = table->claims[place].source;
        if (source != REMOVED && parts[source].count++ == 0) {
            parts[met++].source = source;
        }
    }
    for (Py_ssize_t source = 0; source < sources; source++) {
        Py_ssize_t size = parts[source].count * (ID_BYTES + OFFSET_BYTES);
        if (size > 0 && (parts[source].bytes = PyBytes_FromStringAndSize(NULL, size)) == NULL) {
            return -1;
        }
    }
    return 0;
}

/* The ids of a source stand first, then the offsets, eight bytes each, the lowest first. */
static void
pack_claim(Part *part, const Claim *claim)
{
    unsigned char *begin = (unsigned char *)PyBytes_AS_STRING(part->bytes);
    memcpy(begin + part->done * ID_BYTES, claim->id, ID_BYTES);
    unsigned char *offset = begin + part->count * ID_BYTES + part->done * OFFSET_BYTES;
    for (int byte = 0; byte < OFFSET_BYTES; byte++) {
        *offset++ = (unsigned char)((uint64_t)claim->offset >> 8 * byte);
    }
    part->done++;
}

/* The parts that hold anything, in the order of their first claims. */
static PyObject *
listed(const Claims *self, const Part *parts, Py_ssize_t sources)
{
    PyObject *list = PyList_New(0);
    Py_ssize_t filled = 0;
    for (Py_ssize_t source = 0; source < sources; source++) {
        filled += parts[source].count > 0;
    }
    for (Py_ssize_t at = 0; list != NULL && at < filled; at++) {
        const Part *of_source = &parts[parts[at].source];
        PyObject *part =
            Py_BuildValue("OnO", PyList_GET_ITEM(self->sources, parts[at].source),
                          of_source->count, of_source->bytes);
        if (part == NULL || PyList_Append(list, part) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(part);
    }
    return list;
}

static PyObject *
claims_packed(Claims *self, PyObject *Py_UNUSED(nothing))
{
    Py_ssize_t sources = PyList_GET_SIZE(self->sources);
    Part *parts = PyMem_Calloc((size_t)sources + 1, sizeof(Part));
    if (parts == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *packed = NULL;
    if (make_room(&self->table, parts, sources) == 0) {
        for (Py_ssize_t place = 0; place < self->table.used; place++) {
            const Claim *claim = &self->table.claims[place];
            if (claim->source != REMOVED) {
                pack_claim(&parts[claim->source], claim);
            }
        }
        packed = listed(self, parts, sources);
    }
    for (Py_ssize_t source = 0; source < sources; source++) {
        Py_XDECREF(parts[source].bytes);
    }
    PyMem_Free(parts);
    return packed;
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
                         || (self->places = PyDict_New()) == NULL
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
    Py_XDECREF(self->places);
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

#endif
