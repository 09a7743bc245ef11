/* From records to events, see viewing.py; part of _native_folding.c. */

#ifndef WUNDR_VIEWING_H
#define WUNDR_VIEWING_H

#include <Python.h>
#include <string.h>

#include "_raw_records.h"

/* Bytes that tell the schema of a record's value. */
#define FRAME_SIZE 5

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

#endif
