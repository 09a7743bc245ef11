/* Named tuples that are made without their class being called. */

#ifndef WUNDR_NAMED_TUPLE_H
#define WUNDR_NAMED_TUPLE_H

#include <Python.h>

/* A new one, whose members are still to be set. */
static inline PyObject *
new_named_tuple(PyTypeObject *type, Py_ssize_t size)
{
    PyObject *made = type->tp_alloc(type, size);
#if PY_VERSION_HEX >= 0x030E0000
    /* Tuples keep their hash from 3.14 on; what is only allocated says that it is 0. */
    if (made != NULL) {
        ((PyTupleObject *)made)->ob_hash = -1;
    }
#endif
    return made;
}

#endif
