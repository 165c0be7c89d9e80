/* One static function per number type out of one macro, and the call of the one that is meant. */
#ifndef CORDS_CONV_NUMBER_TYPES_H
#define CORDS_CONV_NUMBER_TYPES_H

#include "core/array.h"

#define CORDS_SAME(x) (x)

/* DEFINE(T, M, TO, FROM, suffix) for every type.  T: numbers of images, M: of sums, CordsTypeMaster; TO(x): T → M,
   FROM(m): M → T. */
#define CORDS_FOR_NUMBER_TYPES(DEFINE)                                                                                 \
  DEFINE(float, float, CORDS_SAME, CORDS_SAME, F32)                                                                    \
  DEFINE(double, double, CORDS_SAME, CORDS_SAME, F64)                                                                  \
  DEFINE(uint16_t, float, CordsFromBf16, CordsToBf16, BF16)

/* name##suffix(...) for the suffix of a type, where that returns nothing. */
#define CORDS_BY_NUMBER_TYPE(type, name, ...)                                                                          \
  ((type) == CORDS_F64    ? name##F64(__VA_ARGS__)                                                                     \
   : (type) == CORDS_BF16 ? name##BF16(__VA_ARGS__)                                                                    \
                          : name##F32(__VA_ARGS__))

#endif
