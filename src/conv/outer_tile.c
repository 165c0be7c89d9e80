#include "conv/outer_tile.h"

#include "conv/vector_types.h"

#define DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, CHANNELS, WIDTH)                                                      \
  static void Tile##SUFFIX##CHANNELS##x##WIDTH(PetscInt pixels, const void *const *rows, PetscInt channel,             \
                                               const void *panel, void *dw, size_t stride, PetscInt lanes_last)        \
  {                                                                                                                    \
    typedef NUMBER Vector __attribute__((vector_size(64)));                                                            \
    typedef NUMBER Loose __attribute__((vector_size(64), aligned(sizeof(NUMBER)), may_alias));                         \
    Vector sum[CHANNELS][WIDTH];                                                                                       \
    const UNIT *w = panel;                                                                                             \
    UNROLL for (int c = 0; c < CHANNELS; c++) UNROLL for (int v = 0; v < WIDTH; v++)                                   \
    {                                                                                                                  \
      sum[c][v] = (Vector){0};                                                                                         \
      __builtin_prefetch((const NUMBER *)dw + (size_t)c * stride + v * LANES, 1); /* for the end */                    \
    }                                                                                                                  \
    for (PetscInt p = 0; p < pixels; p++, w += WIDTH * LANES) {                                                        \
      const UNIT *row = (const UNIT *)rows[p] + channel;                                                               \
      UnsignedVector gradient[WIDTH];                                                                                  \
      UNROLL for (int v = 0; v < WIDTH; v++) LOAD_UNITS(gradient[v], w + v * LANES);                                   \
      UNROLL for (int c = 0; c < CHANNELS; c++)                                                                        \
      {                                                                                                                \
        const UNIT unit = row[c];                                                                                      \
        UNROLL for (int v = 0; v < WIDTH; v++) MULTIPLY_ADD_##SUFFIX(sum[c][v], unit, gradient[v]);                    \
      }                                                                                                                \
    }                                                                                                                  \
    UNROLL for (int c = 0; c < CHANNELS; c++) UNROLL for (int v = 0; v < WIDTH; v++)                                   \
    {                                                                                                                  \
      NUMBER *to = (NUMBER *)dw + (size_t)c * stride + v * LANES;                                                      \
      if (v < WIDTH - 1 || lanes_last == LANES)                                                                        \
        *(Loose *)to += sum[c][v];                                                                                     \
      else                                                                                                             \
        for (PetscInt k = 0; k < lanes_last; k++) to[k] += sum[c][v][k];                                               \
    }                                                                                                                  \
  }

/* A tile of CHANNELS input channels after another, whose dw is prefetched by the one before. */
#define DEFINE_VECTOR(SUFFIX, NUMBER, UNIT, LANES, CHANNELS, WIDTH)                                                    \
  static void Vector##SUFFIX##x##WIDTH(PetscInt pixels, const void *rows, const void *panel, void *dw)                 \
  {                                                                                                                    \
    typedef NUMBER Vector __attribute__((vector_size(64)));                                                            \
    Vector *to = dw;                                                                                                   \
    for (int first = 0; first < LANES; first += CHANNELS, to += CHANNELS * WIDTH) {                                    \
      const UNIT *row = (const UNIT *)rows + first, *w = panel;                                                        \
      const Vector *next = to + CHANNELS * WIDTH;                                                                      \
      Vector sum[CHANNELS][WIDTH];                                                                                     \
      UNROLL for (int c = 0; c < CHANNELS; c++) UNROLL for (int v = 0; v < WIDTH; v++) sum[c][v] = (Vector){0};        \
      for (PetscInt p = 0; p < pixels; p++, row += LANES, w += WIDTH * LANES) {                                        \
        UnsignedVector gradient[WIDTH];                                                                                \
        __builtin_prefetch(next + p, 1);                                                                               \
        UNROLL for (int v = 0; v < WIDTH; v++) LOAD_UNITS(gradient[v], w + v * LANES);                                 \
        UNROLL for (int c = 0; c < CHANNELS; c++)                                                                      \
        {                                                                                                              \
          const UNIT unit = row[c];                                                                                    \
          UNROLL for (int v = 0; v < WIDTH; v++) MULTIPLY_ADD_##SUFFIX(sum[c][v], unit, gradient[v]);                  \
        }                                                                                                              \
      }                                                                                                                \
      UNROLL for (int c = 0; c < CHANNELS; c++) UNROLL for (int v = 0; v < WIDTH; v++) to[c * WIDTH + v] += sum[c][v]; \
    }                                                                                                                  \
  }

#define DEFINE_WIDTH(SUFFIX, NUMBER, UNIT, LANES, WIDTH)                                                               \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 1, WIDTH)                                                                   \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 2, WIDTH)                                                                   \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 3, WIDTH)                                                                   \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 4, WIDTH)                                                                   \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 5, WIDTH)                                                                   \
  DEFINE_TILE(SUFFIX, NUMBER, UNIT, LANES, 6, WIDTH)

#define LIST_WIDTH(SUFFIX, WIDTH)                                                                                      \
  {                                                                                                                    \
    Tile##SUFFIX##1x##WIDTH, Tile##SUFFIX##2x##WIDTH, Tile##SUFFIX##3x##WIDTH, Tile##SUFFIX##4x##WIDTH,                \
        Tile##SUFFIX##5x##WIDTH, Tile##SUFFIX##6x##WIDTH                                                               \
  }

/* [log2 width][channels − 1] */
#define DEFINE_TYPE(SUFFIX, NUMBER, UNIT, LANES)                                                                       \
  DEFINE_WIDTH(SUFFIX, NUMBER, UNIT, LANES, 1)                                                                         \
  DEFINE_WIDTH(SUFFIX, NUMBER, UNIT, LANES, 2)                                                                         \
  DEFINE_WIDTH(SUFFIX, NUMBER, UNIT, LANES, 4)                                                                         \
  DEFINE_VECTOR(SUFFIX, NUMBER, UNIT, LANES, 8, 1)                                                                     \
  DEFINE_VECTOR(SUFFIX, NUMBER, UNIT, LANES, 8, 2)                                                                     \
  DEFINE_VECTOR(SUFFIX, NUMBER, UNIT, LANES, 4, 4)                                                                     \
  static const CordsOuterFunction tiles##SUFFIX[3][CORDS_OUTER_CHANNELS_MAX] = {                                       \
      LIST_WIDTH(SUFFIX, 1), LIST_WIDTH(SUFFIX, 2), LIST_WIDTH(SUFFIX, 4)};                                            \
  static const CordsOuterVectorFunction vectors##SUFFIX[3] = {Vector##SUFFIX##x1, Vector##SUFFIX##x2,                  \
                                                              Vector##SUFFIX##x4};

DEFINE_TYPE(F32, float, float, 16)
DEFINE_TYPE(F64, double, double, 8)
DEFINE_TYPE(BF16, float, uint32_t, 16)

const CordsOuterFunction (*CordsOuterTiles(CordsType type))[CORDS_OUTER_CHANNELS_MAX]
{
  return type == CORDS_F64 ? tilesF64 : type == CORDS_BF16 ? tilesBF16 : tilesF32;
}

const CordsOuterVectorFunction *CordsOuterVectors(CordsType type)
{
  return type == CORDS_F64 ? vectorsF64 : type == CORDS_BF16 ? vectorsBF16 : vectorsF32;
}
