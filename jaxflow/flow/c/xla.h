/* The part of XLA's foreign function interface that is used here, as in xla/ffi/api/c_api.h of
   https://github.com/openxla/xla. It is the same in all versions from 0.1 to 0.5, of jaxlib 0.7 to
   0.12, and XLA serves a version for at least a year. */

#ifndef XLA_H
#define XLA_H

#include <stddef.h>
#include <stdint.h>

enum { OLDEST_VERSION = 1, NEWEST_VERSION = 5 };
enum { ASKS_WHAT_IT_IS = 1 };
enum { INVALID_ARGUMENT = 3, RESOURCE_EXHAUSTED = 8 };
enum { TRUTH = 1, FLOAT64 = 12 };

typedef struct XlaError XlaError;

typedef struct XlaExtension {
    size_t struct_size;
    int type;
    struct XlaExtension *next;
} XlaExtension;

typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    int major, minor;
} XlaVersion;

/* What a function is, to be filled in where XLA asks. */
typedef struct {
    size_t struct_size;
    XlaVersion version;
    uint32_t traits;
} XlaMetadata;

typedef struct {
    XlaExtension base;
    XlaMetadata *metadata;
} XlaQuestion;

typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    const char *message;
    int code;
} XlaComplaint;

typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    XlaVersion version;
    const void *internal;
    XlaError *(*complain)(XlaComplaint *complaint);
} XlaApi;

typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} XlaArray;

typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    int64_t size;
    int *types;
    XlaArray **arrays;
} XlaArrays;

/* A call: arrays that are given, and arrays for what is found. */
typedef struct {
    size_t struct_size;
    XlaExtension *extension;
    const XlaApi *api;
    void *context;
    int stage;
    XlaArrays given, found;
} XlaCall;

#endif
