/* Headers that are as good as a tuple of them; part of _native_folding.c. */

#ifndef WUNDR_HEADERS_CLASS_H
#define WUNDR_HEADERS_CLASS_H

#include "_headers.h"

static PyObject *
decoded_header(const Header *header)
{
    PyObject *name = PyUnicode_DecodeASCII((const char *)header->name, header->name_length, NULL);
    if (name == NULL) {
        return NULL;
    }
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

static PyTypeObject HeadersType;

/* A tuple instead of headers; anything else as it is. Borrowed. */
static PyObject *
as_tuple(PyObject *object)
{
    return Py_IS_TYPE(object, &HeadersType) ? headers_tuple((Headers *)object) : object;
}

/* One of the two is headers: on either side they add as a tuple does. */
static PyObject *
headers_add(PyObject *left, PyObject *right)
{
    PyObject *one = as_tuple(left), *other = one == NULL ? NULL : as_tuple(right);
    if (other == NULL) {
        return NULL;
    }
    if (!PyTuple_Check(one) || !PyTuple_Check(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return PySequence_Concat(one, other);
}

/* Copies and pickles are tuples. */
static PyObject *
headers_reduce(Headers *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *decoded = headers_tuple(self);
    return decoded == NULL ? NULL : Py_BuildValue("O(O)", &PyTuple_Type, decoded);
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

static PyObject *
headers_compare(PyObject *self, PyObject *given, int operation)
{
    PyObject *one = headers_tuple((Headers *)self), *other = one == NULL ? NULL : as_tuple(given);
    return other == NULL ? NULL : PyObject_RichCompare(one, other, operation);
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
};

static PyNumberMethods HEADERS_NUMBER = {
    .nb_add = headers_add,
};

static PyMethodDef HEADERS_METHODS[] = {
    {"__reduce__", (PyCFunction)headers_reduce, METH_NOARGS, "Copies are tuples."},
    {NULL, NULL, 0, NULL},
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
    .tp_methods = HEADERS_METHODS,
    .tp_as_number = &HEADERS_NUMBER,
    .tp_as_sequence = &HEADERS_SEQUENCE,
    .tp_as_mapping = &HEADERS_MAPPING,
};

#endif
