/* Slots of a class that are read and written without a call, as their descriptors say where. */

#ifndef WUNDR_SLOTS_H
#define WUNDR_SLOTS_H

#include <Python.h>
#include <structmember.h>

/* Where the objects of a class have this slot; -1 with an exception where it is none. */
static inline Py_ssize_t
slot_offset(PyTypeObject *type, PyObject *descriptor)
{
    if (type == NULL || !Py_IS_TYPE(descriptor, &PyMemberDescr_Type)
        || !PyType_IsSubtype(type, PyDescr_TYPE(descriptor))
        || ((PyMemberDescrObject *)descriptor)->d_member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%R is no slot of the class", descriptor);
        return -1;
    }
    return ((PyMemberDescrObject *)descriptor)->d_member->offset;
}

/* What a slot holds, borrowed; NULL where nothing was put. */
static inline PyObject *
slot_value(PyObject *object, Py_ssize_t offset)
{
    return *(PyObject **)((char *)object + offset);
}

/* Put a value, whose reference is taken over. */
static inline void
fill_slot(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    PyObject **slot = (PyObject **)((char *)object + offset);
    PyObject *before = *slot;
    *slot = value;
    Py_XDECREF(before);
}

#endif
