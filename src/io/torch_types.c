#include "io/torch_types.h"

#include <math.h>
#include <string.h>

/* Numbers of storages are little-endian and need not be aligned. */
static uint64_t Bits(const unsigned char *bytes, int count)
{
  uint64_t bits = 0;

  for (int k = count - 1; k >= 0; k--) bits = bits << 8 | bytes[k];
  return bits;
}

static float FromFloat(const unsigned char *bytes)
{
  uint32_t bits = (uint32_t)Bits(bytes, 4);
  float value;

  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Infinite where float32 has no such number. */
static float FromDouble(const unsigned char *bytes)
{
  uint64_t bits = Bits(bytes, 8);
  double value;

  memcpy(&value, &bits, sizeof value);
  return (float)value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static float FromHalf(const unsigned char *bytes)
{
  uint32_t bits = (uint32_t)Bits(bytes, 2), exponent = bits >> 10 & 31, fraction = bits & 1023;
  float value;

  if (exponent == 31)
    value = fraction ? NAN : INFINITY;
  else if (exponent == 0)
    value = ldexpf((float)fraction, -24);
  else
    value = ldexpf((float)(fraction + 1024), (int)exponent - 25);
  return bits >> 15 ? -value : value;
}

/* The upper half of a float32. */
static float FromBfloat(const unsigned char *bytes)
{
  uint32_t bits = (uint32_t)Bits(bytes, 2) << 16;
  float value;

  memcpy(&value, &bits, sizeof value);
  return value;
}

static float FromInt64(const unsigned char *bytes)
{
  return (float)(int64_t)Bits(bytes, 8);
}

static float FromInt32(const unsigned char *bytes)
{
  return (float)(int32_t)(uint32_t)Bits(bytes, 4);
}

static float FromInt16(const unsigned char *bytes)
{
  return (float)(int16_t)(uint16_t)Bits(bytes, 2);
}

static float FromInt8(const unsigned char *bytes)
{
  return (float)(signed char)bytes[0];
}

static float FromByte(const unsigned char *bytes)
{
  return (float)bytes[0];
}

const CordsTorchType cords_torch_types[] = {
    {"torch FloatStorage", "float32", 4, FromFloat}, {"torch DoubleStorage", "float64", 8, FromDouble},
    {"torch HalfStorage", "float16", 2, FromHalf},   {"torch BFloat16Storage", "bfloat16", 2, FromBfloat},
    {"torch LongStorage", "int64", 8, FromInt64},    {"torch IntStorage", "int32", 4, FromInt32},
    {"torch ShortStorage", "int16", 2, FromInt16},   {"torch CharStorage", "int8", 1, FromInt8},
    {"torch ByteStorage", "uint8", 1, FromByte},     {"torch BoolStorage", "bool", 1, FromByte},
};
const PetscInt cords_torch_type_count = PETSC_STATIC_ARRAY_LENGTH(cords_torch_types);
