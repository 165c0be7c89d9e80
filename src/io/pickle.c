#include "io/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The operations that are known; their letters are Python's (pickletools). */
enum {
  OP_PROTO = 0x80,
  OP_STOP = '.',
  OP_NONE = 'N',
  OP_TRUE = 0x88,
  OP_FALSE = 0x89,
  OP_INT4 = 'J',
  OP_INT1 = 'K',
  OP_INT2 = 'M',
  OP_LONG1 = 0x8a,
  OP_FLOAT = 'G',
  OP_UNICODE = 'X',
  OP_EMPTY_TUPLE = ')',
  OP_EMPTY_LIST = ']',
  OP_EMPTY_DICT = '}',
  OP_MARK = '(',
  OP_TUPLE = 't',
  OP_TUPLE1 = 0x85,
  OP_TUPLE2 = 0x86,
  OP_TUPLE3 = 0x87,
  OP_APPEND = 'a',
  OP_APPENDS = 'e',
  OP_SETITEM = 's',
  OP_SETITEMS = 'u',
  OP_GLOBAL = 'c',
  OP_PERSID = 'Q',
  OP_REDUCE = 'R',
  OP_BUILD = 'b',
  OP_PUT1 = 'q',
  OP_PUT4 = 'r',
  OP_GET1 = 'h',
  OP_GET4 = 'j'
};

/* A list of indices that grows. */
typedef struct {
  int32_t *items;
  size_t count, capacity;
} Indices;

typedef struct {
  const char *where;
  const unsigned char *bytes;
  size_t length, at;
  PetscInt allowed_count;
  const char *const *allowed;
  CordsPickle *pickle;
  size_t capacity; /* of pickle->values */
  Indices stack, memo;
  Indices marks; /* heights of the stack */
} Reader;

#define CheckPickle(r, condition, ...)                                                                                 \
  do {                                                                                                                 \
    if (PetscUnlikely(!(condition))) {                                                                                 \
      char sentence_[384];                                                                                             \
      snprintf(sentence_, sizeof sentence_, __VA_ARGS__);                                                              \
      CordsUserError(PETSC_COMM_WORLD, "'%s': its pickle %s", (r)->where, sentence_);                                  \
    }                                                                                                                  \
  } while (0)

void CordsPicklePrintable(size_t count, const char *text, size_t length, char *printable)
{
  size_t kept = PetscMin(count, length - 1);

  for (size_t k = 0; k < kept; k++) printable[k] = text[k] >= 0x20 && text[k] <= 0x7e ? text[k] : '?';
  printable[kept] = '\0';
}

/* ---- memory ---- */

static PetscErrorCode Grow(void *block, size_t size, size_t wanted, size_t *capacity)
{
  size_t more = PetscMax(PetscMax(16, wanted), *capacity + *capacity / 2);
  void *larger;

  PetscFunctionBegin;
  if (wanted <= *capacity) PetscFunctionReturn(PETSC_SUCCESS);
  larger = realloc(*(void **)block, more * size);
  PetscCheck(larger, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for %zu values of a pickle", more);
  *(void **)block = larger;
  *capacity = more;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Push(Indices *list, int32_t index)
{
  PetscFunctionBegin;
  PetscCall(Grow(&list->items, sizeof *list->items, list->count + 1, &list->capacity));
  list->items[list->count++] = index;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddItem(CordsPickleValue *value, int32_t item)
{
  size_t capacity = (size_t)value->capacity;

  PetscFunctionBegin;
  PetscCall(Grow(&value->is.items, sizeof *value->is.items, (size_t)value->count + 1, &capacity));
  value->capacity = (int32_t)capacity;
  value->is.items[value->count++] = item;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool HasItems(const CordsPickleValue *value)
{
  return (PetscBool)(value->kind == CORDS_PICKLE_TUPLE || value->kind == CORDS_PICKLE_LIST ||
                     value->kind == CORDS_PICKLE_DICT || value->kind == CORDS_PICKLE_CALL ||
                     value->kind == CORDS_PICKLE_PERSISTENT);
}

PetscErrorCode CordsPickleFree(CordsPickle *pickle)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < pickle->count; k++) {
    if (HasItems(&pickle->values[k])) free(pickle->values[k].is.items);
  }
  free(pickle->values);
  *pickle = (CordsPickle){0};
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A new value on top of the stack. */
static PetscErrorCode PushNew(Reader *r, CordsPickleValue value)
{
  CordsPickle *p = r->pickle;

  PetscFunctionBegin;
  CheckPickle(r, p->count < CORDS_PICKLE_VALUES_MAX, "has more than %d values", CORDS_PICKLE_VALUES_MAX);
  PetscCall(Grow(&p->values, sizeof *p->values, (size_t)p->count + 1, &r->capacity));
  p->values[p->count] = value;
  PetscCall(Push(&r->stack, (int32_t)p->count++));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- bytes and the stack ---- */

static PetscErrorCode Take(Reader *r, size_t count, const unsigned char **bytes)
{
  PetscFunctionBegin;
  CheckPickle(r, count <= r->length - r->at, "is cut off");
  *bytes = r->bytes + r->at;
  r->at += count;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An unsigned number of 1, 2 or 4 bytes, little-endian. */
static PetscErrorCode TakeNumber(Reader *r, size_t count, uint32_t *number)
{
  const unsigned char *bytes;

  PetscFunctionBegin;
  PetscCall(Take(r, count, &bytes));
  *number = 0;
  for (size_t k = 0; k < count; k++) *number |= (uint32_t)bytes[k] << (8 * k);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Where the values above the last mark begin; nothing below a mark may be taken. */
static size_t Floor(const Reader *r)
{
  return r->marks.count > 0 ? (size_t)r->marks.items[r->marks.count - 1] : 0;
}

static PetscErrorCode Pop(Reader *r, int32_t *value)
{
  PetscFunctionBegin;
  CheckPickle(r, r->stack.count > Floor(r), "takes more values than it has made");
  *value = r->stack.items[--r->stack.count];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Forget the last mark; the values above it are items[*first .. stack.count). */
static PetscErrorCode PopMark(Reader *r, size_t *first)
{
  PetscFunctionBegin;
  CheckPickle(r, r->marks.count > 0, "ends a list that it has not begun");
  *first = (size_t)r->marks.items[--r->marks.count];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- operations ---- */

/* The last `count` values become a container. */
static PetscErrorCode Gather(Reader *r, CordsPickleKind kind, size_t count)
{
  CordsPickleValue value = {.kind = kind};
  size_t first;

  PetscFunctionBegin;
  CheckPickle(r, r->stack.count >= Floor(r) + count, "takes more values than it has made");
  first = r->stack.count - count;
  for (size_t k = first; k < r->stack.count; k++) PetscCall(AddItem(&value, r->stack.items[k]));
  r->stack.count = first;
  PetscCall(PushNew(r, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The values from `first` on are added to the container below them. */
static PetscErrorCode AddFrom(Reader *r, CordsPickleKind kind, size_t first)
{
  CordsPickleValue *container;

  PetscFunctionBegin;
  CheckPickle(r, first > Floor(r), "adds to a container that is not there");
  container = &r->pickle->values[r->stack.items[first - 1]];
  CheckPickle(r, container->kind == kind, "adds to something that is no %s",
              kind == CORDS_PICKLE_LIST ? "list" : "dictionary");
  CheckPickle(r, kind == CORDS_PICKLE_LIST || (r->stack.count - first) % 2 == 0, "has a key without a value");
  for (size_t k = first; k < r->stack.count; k++) PetscCall(AddItem(container, r->stack.items[k]));
  r->stack.count = first;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The last `count` values are added to what is below them. */
static PetscErrorCode AddLast(Reader *r, CordsPickleKind kind, size_t count)
{
  PetscFunctionBegin;
  CheckPickle(r, r->stack.count >= Floor(r) + count, "takes more values than it has made");
  PetscCall(AddFrom(r, kind, r->stack.count - count));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AddMarked(Reader *r, CordsPickleKind kind)
{
  size_t first;

  PetscFunctionBegin;
  PetscCall(PopMark(r, &first));
  PetscCall(AddFrom(r, kind, first));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoLong(Reader *r)
{
  const unsigned char *bytes;
  uint32_t count;
  uint64_t number = 0;

  PetscFunctionBegin;
  PetscCall(TakeNumber(r, 1, &count));
  PetscCall(Take(r, count, &bytes));
  if (count > 8) {
    PetscCall(PushNew(r, (CordsPickleValue){.kind = CORDS_PICKLE_LARGE}));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (uint32_t k = 0; k < 8; k++) {
    unsigned char sign = count > 0 && bytes[count - 1] & 0x80 ? 0xff : 0;
    number |= (uint64_t)(k < count ? bytes[k] : sign) << (8 * k);
  }
  PetscCall(PushNew(r, (CordsPickleValue){.kind = CORDS_PICKLE_INT, .is.integer = (int64_t)number}));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoFloat(Reader *r)
{
  const unsigned char *bytes;
  uint64_t bits = 0;
  CordsPickleValue value = {.kind = CORDS_PICKLE_REAL};

  PetscFunctionBegin;
  PetscCall(Take(r, 8, &bytes));
  for (int k = 0; k < 8; k++) bits = bits << 8 | bytes[k];
  memcpy(&value.is.real, &bits, sizeof bits);
  PetscCall(PushNew(r, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoText(Reader *r)
{
  const unsigned char *bytes;
  uint32_t count;

  PetscFunctionBegin;
  PetscCall(TakeNumber(r, 4, &count));
  PetscCall(Take(r, count, &bytes));
  PetscCall(PushNew(
      r, (CordsPickleValue){.kind = CORDS_PICKLE_TEXT, .count = (int32_t)count, .is.text = (const char *)bytes}));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One line of a name; *end is the place after it. */
static PetscErrorCode TakeLine(Reader *r, const char **line, size_t *count)
{
  const unsigned char *end = memchr(r->bytes + r->at, '\n', r->length - r->at);

  PetscFunctionBegin;
  CheckPickle(r, end, "is cut off");
  *line = (const char *)r->bytes + r->at;
  *count = (size_t)(end - r->bytes) - r->at;
  r->at += *count + 1;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A function or type: one of those that are allowed, or the end of reading. */
static PetscErrorCode DoGlobal(Reader *r)
{
  const char *module, *name;
  size_t module_count, name_count;
  char one[96], other[96];

  PetscFunctionBegin;
  PetscCall(TakeLine(r, &module, &module_count));
  PetscCall(TakeLine(r, &name, &name_count));
  for (PetscInt k = 0; k < r->allowed_count; k++) {
    const char *text = r->allowed[k];
    size_t length = strlen(text);
    if (length != module_count + 1 + name_count || memcmp(text, module, module_count) != 0) continue;
    if (text[module_count] != ' ' || memcmp(text + module_count + 1, name, name_count) != 0) continue;
    PetscCall(PushNew(r, (CordsPickleValue){.kind = CORDS_PICKLE_NAME, .count = (int32_t)length, .is.text = text}));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  CordsPicklePrintable(module_count, module, sizeof one, one);
  CordsPicklePrintable(name_count, name, sizeof other, other);
  CheckPickle(r, PETSC_FALSE,
              "asks for '%s.%s', which is no part of tensors, numbers, text or containers; nothing of it was run (save "
              "model.state_dict() alone)",
              one, other);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A call: an ordered dictionary begins empty, anything else stays a call. */
static PetscErrorCode DoReduce(Reader *r)
{
  const CordsPickleValue *function, *arguments;

  PetscFunctionBegin;
  CheckPickle(r, r->stack.count >= Floor(r) + 2, "takes more values than it has made");
  function = &r->pickle->values[r->stack.items[r->stack.count - 2]];
  arguments = &r->pickle->values[r->stack.items[r->stack.count - 1]];
  CheckPickle(r, function->kind == CORDS_PICKLE_NAME && arguments->kind == CORDS_PICKLE_TUPLE,
              "calls something that is no function");
  if (CordsPickleIs(r->pickle, r->stack.items[r->stack.count - 2], CORDS_PICKLE_NAME, "collections OrderedDict")) {
    CheckPickle(r, arguments->count == 0, "makes an OrderedDict from arguments");
    r->stack.count -= 2;
    PetscCall(PushNew(r, (CordsPickleValue){.kind = CORDS_PICKLE_DICT}));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(Gather(r, CORDS_PICKLE_CALL, 2));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Attributes (_metadata of a state dict) are for Python objects, which these values are not: forgotten. */
static PetscErrorCode DoBuild(Reader *r)
{
  int32_t attributes;
  CordsPickleKind kind;

  PetscFunctionBegin;
  PetscCall(Pop(r, &attributes));
  CheckPickle(r, r->stack.count > Floor(r), "takes more values than it has made");
  kind = r->pickle->values[r->stack.items[r->stack.count - 1]].kind;
  CheckPickle(r, kind == CORDS_PICKLE_DICT || kind == CORDS_PICKLE_CALL, "gives attributes to something that has none");
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoPut(Reader *r, size_t bytes)
{
  uint32_t key;

  PetscFunctionBegin;
  PetscCall(TakeNumber(r, bytes, &key));
  CheckPickle(r, r->stack.count > Floor(r), "remembers a value that is not there");
  CheckPickle(r, key < CORDS_PICKLE_VALUES_MAX, "remembers a value as number %u", key);
  while (r->memo.count <= key) PetscCall(Push(&r->memo, -1));
  r->memo.items[key] = r->stack.items[r->stack.count - 1];
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoGet(Reader *r, size_t bytes)
{
  uint32_t key;

  PetscFunctionBegin;
  PetscCall(TakeNumber(r, bytes, &key));
  CheckPickle(r, key < r->memo.count && r->memo.items[key] >= 0, "recalls a value that it has not remembered");
  PetscCall(Push(&r->stack, r->memo.items[key]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoInt(Reader *r, size_t bytes)
{
  uint32_t number;

  PetscFunctionBegin;
  PetscCall(TakeNumber(r, bytes, &number));
  PetscCall(PushNew(r, (CordsPickleValue){.kind = CORDS_PICKLE_INT,
                                          .is.integer = bytes == 4 ? (int64_t)(int32_t)number : (int64_t)number}));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoMark(Reader *r)
{
  PetscFunctionBegin;
  PetscCall(Push(&r->marks, (int32_t)r->stack.count));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DoMarkedTuple(Reader *r)
{
  size_t first;

  PetscFunctionBegin;
  PetscCall(PopMark(r, &first));
  PetscCall(Gather(r, CORDS_PICKLE_TUPLE, r->stack.count - first));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PushKind(Reader *r, CordsPickleKind kind, int64_t integer)
{
  CordsPickleValue value = {.kind = kind};

  PetscFunctionBegin;
  if (kind == CORDS_PICKLE_BOOL) value.is.integer = integer;
  PetscCall(PushNew(r, value));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Do(Reader *r, unsigned char operation)
{
  PetscFunctionBegin;
  switch (operation) {
#define OPERATION(op, call)                                                                                            \
  case op:                                                                                                             \
    PetscCall(call);                                                                                                   \
    break
    OPERATION(OP_NONE, PushKind(r, CORDS_PICKLE_NONE, 0));
    OPERATION(OP_TRUE, PushKind(r, CORDS_PICKLE_BOOL, 1));
    OPERATION(OP_FALSE, PushKind(r, CORDS_PICKLE_BOOL, 0));
    OPERATION(OP_INT1, DoInt(r, 1));
    OPERATION(OP_INT2, DoInt(r, 2));
    OPERATION(OP_INT4, DoInt(r, 4));
    OPERATION(OP_LONG1, DoLong(r));
    OPERATION(OP_FLOAT, DoFloat(r));
    OPERATION(OP_UNICODE, DoText(r));
    OPERATION(OP_EMPTY_TUPLE, PushKind(r, CORDS_PICKLE_TUPLE, 0));
    OPERATION(OP_EMPTY_LIST, PushKind(r, CORDS_PICKLE_LIST, 0));
    OPERATION(OP_EMPTY_DICT, PushKind(r, CORDS_PICKLE_DICT, 0));
    OPERATION(OP_MARK, DoMark(r));
    OPERATION(OP_TUPLE, DoMarkedTuple(r));
    OPERATION(OP_TUPLE1, Gather(r, CORDS_PICKLE_TUPLE, 1));
    OPERATION(OP_TUPLE2, Gather(r, CORDS_PICKLE_TUPLE, 2));
    OPERATION(OP_TUPLE3, Gather(r, CORDS_PICKLE_TUPLE, 3));
    OPERATION(OP_APPEND, AddLast(r, CORDS_PICKLE_LIST, 1));
    OPERATION(OP_APPENDS, AddMarked(r, CORDS_PICKLE_LIST));
    OPERATION(OP_SETITEM, AddLast(r, CORDS_PICKLE_DICT, 2));
    OPERATION(OP_SETITEMS, AddMarked(r, CORDS_PICKLE_DICT));
    OPERATION(OP_GLOBAL, DoGlobal(r));
    OPERATION(OP_PERSID, Gather(r, CORDS_PICKLE_PERSISTENT, 1));
    OPERATION(OP_REDUCE, DoReduce(r));
    OPERATION(OP_BUILD, DoBuild(r));
    OPERATION(OP_PUT1, DoPut(r, 1));
    OPERATION(OP_PUT4, DoPut(r, 4));
    OPERATION(OP_GET1, DoGet(r, 1));
    OPERATION(OP_GET4, DoGet(r, 4));
#undef OPERATION
  default:
    CheckPickle(r, PETSC_FALSE, "has the operation 0x%02x at byte %zu, which files of tensors do not need", operation,
                r->at - 1);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RunOperations(Reader *r)
{
  const unsigned char *operation;
  uint32_t protocol;

  PetscFunctionBegin;
  PetscCall(Take(r, 1, &operation));
  CheckPickle(r, *operation == OP_PROTO, "does not begin as one");
  PetscCall(TakeNumber(r, 1, &protocol));
  CheckPickle(r, protocol == 2, "has protocol %u; torch.save's own is 2", protocol);
  for (;;) {
    PetscCall(Take(r, 1, &operation));
    if (*operation == OP_STOP) break;
    PetscCall(Do(r, *operation));
  }
  CheckPickle(r, r->at == r->length, "goes on after its end");
  CheckPickle(r, r->stack.count == 1 && r->marks.count == 0, "does not end with one value");
  r->pickle->root = r->stack.items[0];
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- what containers hold, after the fact ---- */

/* heights[value]: 0 unknown, −1 on the way from the root to here, else how deep it is nested.  Depth is limited, and so
   is the recursion. */
static PetscErrorCode Measure(Reader *r, int32_t *heights, int32_t value, int depth)
{
  const CordsPickleValue *v = &r->pickle->values[value];
  int32_t height = 1;

  PetscFunctionBegin;
  CheckPickle(r, heights[value] >= 0, "has a value that contains itself");
  if (heights[value] == 0) {
    CheckPickle(r, depth < CORDS_PICKLE_DEPTH_MAX, "is nested deeper than %d", CORDS_PICKLE_DEPTH_MAX);
    heights[value] = -1;
    for (int32_t k = 0; HasItems(v) && k < v->count; k++) {
      PetscCall(Measure(r, heights, v->is.items[k], depth + 1));
      height = PetscMax(height, heights[v->is.items[k]] + 1);
    }
    heights[value] = height;
  }
  CheckPickle(r, depth + heights[value] <= CORDS_PICKLE_DEPTH_MAX, "is nested deeper than %d", CORDS_PICKLE_DEPTH_MAX);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckNesting(Reader *r)
{
  int32_t *heights;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1((size_t)r->pickle->count, &heights));
  PetscCall(Measure(r, heights, (int32_t)r->pickle->root, 0));
  PetscCall(PetscFree(heights));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPickleRead(const char *where, size_t length, const unsigned char *bytes, PetscInt allowed_count,
                               const char *const allowed[], CordsPickle *pickle)
{
  Reader r = {.where = where,
              .bytes = bytes,
              .length = length,
              .allowed_count = allowed_count,
              .allowed = allowed,
              .pickle = pickle};
  PetscErrorCode ierr;

  PetscFunctionBegin;
  *pickle = (CordsPickle){0};
  CheckPickle(&r, length <= CORDS_PICKLE_BYTES_MAX, "has %zu bytes; files of tensors need less than %d", length,
              CORDS_PICKLE_BYTES_MAX);
  ierr = RunOperations(&r);
  if (!ierr) ierr = CheckNesting(&r);
  free(r.stack.items);
  free(r.memo.items);
  free(r.marks.items);
  if (ierr) PetscCall(CordsPickleFree(pickle));
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsPickleIs(const CordsPickle *pickle, PetscInt value, CordsPickleKind kind, const char *text)
{
  const CordsPickleValue *v = &pickle->values[value];

  return (PetscBool)(v->kind == kind && (size_t)v->count == strlen(text) &&
                     memcmp(v->is.text, text, (size_t)v->count) == 0);
}
