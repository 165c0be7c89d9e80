/* Pickles: values of each kind, and what must be refused. */
#include "io/pickle.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const allowed[] = {"collections OrderedDict", "torch FloatStorage"};

static PetscErrorCode Parse(size_t length, const char *bytes, CordsPickle *pickle)
{
  return CordsPickleRead("the test", length, (const unsigned char *)bytes, 2, allowed, pickle);
}

/* Bytes of a pickle with the protocol in front. */
#define PICKLE(text) sizeof("\x80\x02" text) - 1, "\x80\x02" text

static const CordsPickleValue *Value(const CordsPickle *p, PetscInt container, PetscInt item)
{
  return &p->values[p->values[container].is.items[item]];
}

static void Values(void **state)
{
  CordsPickle p;

  SupportCall(Parse(PICKLE("(NK\x07M\x01\x02J\xff\xff\xff\xff\x8a\x05\0\0\0\0\x01\x8a\0\x8a\x09"
                           "123456789G\xbf\xf8\0\0\0\0\0\0X\3\0\0\0a\nb\x88\x89t."),
                    &p));
  assert_int_equal(p.values[p.root].kind, CORDS_PICKLE_TUPLE);
  assert_int_equal(p.values[p.root].count, 11);
  assert_int_equal(Value(&p, p.root, 0)->kind, CORDS_PICKLE_NONE);
  assert_int_equal(Value(&p, p.root, 1)->is.integer, 7);
  assert_int_equal(Value(&p, p.root, 2)->is.integer, 513);
  assert_int_equal(Value(&p, p.root, 3)->is.integer, -1);
  assert_int_equal(Value(&p, p.root, 4)->is.integer, INT64_C(1) << 32);
  assert_int_equal(Value(&p, p.root, 5)->is.integer, 0);
  assert_int_equal(Value(&p, p.root, 6)->kind, CORDS_PICKLE_LARGE);
  assert_true(Value(&p, p.root, 7)->is.real == -1.5);
  assert_int_equal(Value(&p, p.root, 8)->count, 3);
  assert_memory_equal(Value(&p, p.root, 8)->is.text, "a\nb", 3);
  assert_int_equal(Value(&p, p.root, 9)->is.integer, 1);
  assert_int_equal(Value(&p, p.root, 10)->kind, CORDS_PICKLE_BOOL);
  SupportCall(CordsPickleFree(&p));
}

/* An OrderedDict with attributes, a list filled in two ways, a call, a persistent id, and values used twice. */
static void Containers(void **state)
{
  CordsPickle p;
  PetscInt list;

  SupportCall(Parse(PICKLE("ccollections\nOrderedDict\n)Rq\x01(X\1\0\0\0a]q\x02(K\1K\2eK\3aX\1\0\0\0b(ctorch\n"
                           "FloatStorage\nK\5\x86Qtu}X\1\0\0\0mK\1sb."),
                    &p));
  assert_int_equal(p.values[p.root].kind, CORDS_PICKLE_DICT);
  assert_int_equal(p.values[p.root].count, 4);
  assert_true(CordsPickleIs(&p, p.values[p.root].is.items[0], CORDS_PICKLE_TEXT, "a"));
  list = p.values[p.root].is.items[1];
  assert_int_equal(p.values[list].kind, CORDS_PICKLE_LIST);
  assert_int_equal(p.values[list].count, 3);
  assert_int_equal(Value(&p, list, 2)->is.integer, 3);
  assert_true(CordsPickleIs(&p, p.values[p.root].is.items[2], CORDS_PICKLE_TEXT, "b"));
  assert_int_equal(Value(&p, p.values[p.root].is.items[3], 0)->kind, CORDS_PICKLE_PERSISTENT);
  SupportCall(CordsPickleFree(&p));
  SupportCall(Parse(PICKLE("ctorch\nFloatStorage\nq\0h\0)R\x86."), &p));
  assert_true(CordsPickleIs(&p, p.values[p.root].is.items[0], CORDS_PICKLE_NAME, "torch FloatStorage"));
  assert_int_equal(Value(&p, p.root, 1)->kind, CORDS_PICKLE_CALL);
  SupportCall(CordsPickleFree(&p));
}

static void Refused(size_t length, const char *bytes, const char *expected)
{
  CordsPickle p;
  const char *sentence = SupportExpectUserError(Parse(length, bytes, &p));

  if (!strstr(sentence, expected)) fail_msg("'%s' is not in '%s'", expected, sentence);
  assert_null(p.values);
}

static void Hostile(void **state)
{
  Refused(PICKLE("cos\nsystem\nX\2\0\0\0ls\x85R."), "'os.system'");
  Refused(PICKLE("c__builtin__\neval\n."), "'__builtin__.eval'");
  Refused(PICKLE("ctorch\nFloatStorage\x1b[2J\n."), "'torch.FloatStorage?[2J'");
  Refused(PICKLE("ctorch FloatStorage\n\n."), "asks for");
  Refused(PICKLE("cos\nsystem"), "cut off");
  Refused(PICKLE("K\1\x93."), "operation 0x93"); /* a name from the stack */
  Refused(PICKLE("\x82\1."), "operation 0x82");  /* a name from a registry */
  Refused(PICKLE("(cos\nsystem\no."), "os.system");
  Refused(PICKLE("(S'ls'\nios\nsystem\n."), "operation");
  Refused(sizeof "\x80\x04N." - 1, "\x80\x04N.", "protocol 4");
  Refused(1, "N", "does not begin");
  Refused(0, "", "cut off");
  Refused(PICKLE(""), "cut off");
  Refused(PICKLE("N"), "cut off");
  Refused(PICKLE("NN."), "one value");
  Refused(PICKLE("."), "one value");
  Refused(PICKLE("(N."), "one value");
  Refused(PICKLE("N.N"), "goes on");
  Refused(PICKLE("X\xff\xff\xff\x7f"
                 "abc."),
          "cut off");
  Refused(PICKLE("a."), "more values");
  Refused(PICKLE("K\1K\2a."), "no list");
  Refused(PICKLE("N}(K\1u."), "without a value");
  Refused(PICKLE("N(]K\1u."), "no dictionary");
  Refused(PICKLE("t."), "not begun");
  Refused(PICKLE("N(K\1\x86."), "more values"); /* below the mark */
  Refused(PICKLE("K\1)R."), "no function");
  Refused(PICKLE("ccollections\nOrderedDict\nK\1\x85R."), "from arguments");
  Refused(PICKLE("NNb."), "attributes");
  Refused(PICKLE("q\1."), "not there");
  Refused(PICKLE("h\1."), "not remembered");
  Refused(PICKLE("Nr\xff\xff\xff\xff."), "number 4294967295");
  Refused(PICKLE("]q\0h\0a."), "contains itself");
  Refused(PICKLE("}q\0X\1\0\0\0ah\0s."), "contains itself");
  Refused(PICKLE("]q\0(h\0t\x85q\1a."), "contains itself");
}

/* `count` lists, each in the next one. */
static const char *Nested(size_t count, size_t *length)
{
  static char bytes[1 << 16];

  memcpy(bytes, "\x80\x02N", 3);
  for (size_t k = 0; k < count; k++) bytes[3 + k] = '\x85';
  bytes[3 + count] = '.';
  *length = 4 + count;
  return bytes;
}

/* Lists that hold the one before twice: 2^40 values for whoever walks through them, 40 for who is careful. */
static void Depth(void **state)
{
  CordsPickle p;
  size_t length;
  const char *bytes = Nested(60, &length);
  char *twice = malloc(4096), *at = twice;

  SupportCall(Parse(length, bytes, &p));
  SupportCall(CordsPickleFree(&p));
  bytes = Nested(65, &length);
  Refused(length, bytes, "nested deeper");
  bytes = Nested(60000, &length);
  Refused(length, bytes, "nested deeper");
  memcpy(at, "\x80\x02N", 3);
  at += 3;
  for (int k = 0; k < 40; k++) {
    memcpy(at, "q\1h\1\x86", 5);
    at += 5;
  }
  *at++ = '.';
  SupportCall(Parse((size_t)(at - twice), twice, &p));
  assert_int_equal(p.count, 41);
  SupportCall(CordsPickleFree(&p));
  free(twice);
}

/* More values than there may be: refused when they are too many, not when memory is. */
static void Flood(void **state)
{
  size_t length = CORDS_PICKLE_VALUES_MAX + 16;
  char *bytes = malloc(length);

  memset(bytes, ')', length);
  memcpy(bytes, "\x80\x02(", 3);
  Refused(length, bytes, "more than 1000000 values");
  free(bytes);
  Refused((size_t)CORDS_PICKLE_BYTES_MAX + 1, "\x80\x02", "bytes");
}

static void Printable(void **state)
{
  char text[8];

  CordsPicklePrintable(12,
                       "a\n\x1b[31mb\xff"
                       "cd",
                       sizeof text, text);
  assert_string_equal(text, "a??[31m");
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(Values),  cmocka_unit_test(Containers),
                                          cmocka_unit_test(Hostile), cmocka_unit_test(Depth),
                                          cmocka_unit_test(Flood),   cmocka_unit_test(Printable)};
SUPPORT_MAIN(tests)
