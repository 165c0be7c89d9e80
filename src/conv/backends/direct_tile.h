/* Template: the innermost loops of the direct convolution in one number type.  Included once per type by direct.c with

     NAME(x)        x with the type's suffix
     ELEMENT        a number of an image          NUMBER   a number of sums, running states, weights as given
     UNIT           what one multiplication reads of an image: a number, or a pair of bf16 of neighbouring channels
     LANES          NUMBERs in a VECTOR of 64 bytes; UNITs of weights fill it too
     MULTIPLY_ADD(sum, unit, weights)   a VECTOR of sums, one UNIT, a vector of LANES UNITs of weights
     TO_NUMBER(x), TO_ELEMENT(x)        between ELEMENT and NUMBER
     LOAD(p), STORE(p, v)               LANES ELEMENTs at p as a VECTOR of NUMBERs, and back

   A tile is PIXELS output pixels times WIDTH vectors of output channels, whose sums stay in registers while all taps
   and input channels are visited.  Every pixel has a pointer per tap, so borders, strides and the ends of rows cost
   nothing here (Dukhan, "The indirect convolution algorithm", 2019).  With 6 × 4 vectors a step of the loop is 24
   multiply-adds for 10 loads. */

typedef NUMBER NAME(Vector) __attribute__((vector_size(64)));
typedef NUMBER NAME(LooseVector) __attribute__((vector_size(64), aligned(sizeof(ELEMENT)), may_alias));

/* sums [pixel][vector] += taps × channels; rows [pixel][tap]; weights of tap t start at weights + starts[t]. */
#define DEFINE_TILE(PIXELS, WIDTH)                                                                                     \
  static void NAME(Tile##PIXELS##x##WIDTH)(const void *const *rows, PetscInt taps, PetscInt units,                     \
                                           const void *weights, const size_t *starts, void *sums)                      \
  {                                                                                                                    \
    NAME(Vector) sum[PIXELS][WIDTH], *memory = sums;                                                                   \
    UNROLL for (int p = 0; p < PIXELS; p++) UNROLL for (int v = 0; v < WIDTH; v++) sum[p][v] = memory[p * WIDTH + v];  \
    for (PetscInt t = 0; t < taps; t++) {                                                                              \
      const UNIT *row[PIXELS], *w = (const UNIT *)weights + starts[t];                                                 \
      UNROLL for (int p = 0; p < PIXELS; p++) row[p] = (const UNIT *)rows[p * taps + t];                               \
      for (PetscInt c = 0; c < units; c++, w += WIDTH * LANES) {                                                       \
        UNROLL for (int p = 0; p < PIXELS; p++)                                                                        \
        {                                                                                                              \
          const UNIT unit = row[p][c];                                                                                 \
          UNROLL for (int v = 0; v < WIDTH; v++) MULTIPLY_ADD(sum[p][v], unit, w + v * LANES);                         \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    UNROLL for (int p = 0; p < PIXELS; p++) UNROLL for (int v = 0; v < WIDTH; v++) memory[p * WIDTH + v] = sum[p][v];  \
  }

DEFINE_TILE(1, 4)
DEFINE_TILE(2, 4)
DEFINE_TILE(3, 4)
DEFINE_TILE(4, 4)
DEFINE_TILE(5, 4)
DEFINE_TILE(6, 4)
DEFINE_TILE(1, 2)
DEFINE_TILE(2, 2)
DEFINE_TILE(3, 2)
DEFINE_TILE(4, 2)
DEFINE_TILE(5, 2)
DEFINE_TILE(6, 2)
DEFINE_TILE(7, 2)
DEFINE_TILE(8, 2)
DEFINE_TILE(9, 2)
DEFINE_TILE(10, 2)
DEFINE_TILE(1, 1)
DEFINE_TILE(2, 1)
DEFINE_TILE(3, 1)
DEFINE_TILE(4, 1)
DEFINE_TILE(5, 1)
DEFINE_TILE(6, 1)
DEFINE_TILE(7, 1)
DEFINE_TILE(8, 1)
DEFINE_TILE(9, 1)
DEFINE_TILE(10, 1)

/* [log2 width][pixels − 1] */
static const TileFunction NAME(tiles)[3][TILE_PIXELS_MAX] = {
    {NAME(Tile1x1), NAME(Tile2x1), NAME(Tile3x1), NAME(Tile4x1), NAME(Tile5x1), NAME(Tile6x1), NAME(Tile7x1),
     NAME(Tile8x1), NAME(Tile9x1), NAME(Tile10x1)},
    {NAME(Tile1x2), NAME(Tile2x2), NAME(Tile3x2), NAME(Tile4x2), NAME(Tile5x2), NAME(Tile6x2), NAME(Tile7x2),
     NAME(Tile8x2), NAME(Tile9x2), NAME(Tile10x2)},
    {NAME(Tile1x4), NAME(Tile2x4), NAME(Tile3x4), NAME(Tile4x4), NAME(Tile5x4), NAME(Tile6x4), NULL, NULL, NULL, NULL}};

/* `count` ELEMENTs or NUMBERs at p as a vector; those beyond are zero. */
static inline NAME(Vector) NAME(LoadElements)(const ELEMENT *p, PetscInt count)
{
  NAME(Vector) v = {0};

  if (count >= LANES) return LOAD(p);
  for (PetscInt k = 0; k < count; k++) v[k] = TO_NUMBER(p[k]);
  return v;
}

static inline NAME(Vector) NAME(LoadNumbers)(const NUMBER *p, PetscInt count)
{
  NAME(Vector) v = {0};

  if (count >= LANES) return *(const NAME(LooseVector) *)p;
  for (PetscInt k = 0; k < count; k++) v[k] = p[k];
  return v;
}

static inline void NAME(StoreElements)(ELEMENT *p, PetscInt count, NAME(Vector) v)
{
  if (count >= LANES) {
    STORE(p, v);
    return;
  }
  for (PetscInt k = 0; k < count; k++) p[k] = TO_ELEMENT(v[k]);
}

static inline void NAME(StoreNumbers)(NUMBER *p, PetscInt count, NAME(Vector) v)
{
  if (count >= LANES) {
    *(NAME(LooseVector) *)p = v;
    return;
  }
  for (PetscInt k = 0; k < count; k++) p[k] = v[k];
}

/* The LANES bits of a mask at a pixel and channel; bytes of a 16-bit word in little-endian order. */
static inline unsigned NAME(LoadBits)(const uint16_t *words, PetscInt channel)
{
  return LANES == 16 ? words[channel / 16] : ((const uint8_t *)words)[channel / 8];
}

static inline void NAME(StoreBits)(uint16_t *words, PetscInt channel, unsigned bits)
{
  if (LANES == 16)
    words[channel / 16] = (uint16_t)bits;
  else if (channel % 16 == 0)
    words[channel / 16] = (uint16_t)bits; /* and zeros where nothing may follow */
  else
    ((uint8_t *)words)[channel / 8] = (uint8_t)bits;
}

/* What becomes of the sums of `count` ≤ LANES channels of one pixel: `at` is their place in an array of the output's
   shape, `channel` the first of them. */
static inline void NAME(Finish)(const Finish *f, size_t at, size_t start_at, size_t pixel, PetscInt channel,
                                PetscInt count, NAME(Vector) sum)
{
  const NUMBER keep = (NUMBER)f->law.keep, gain = (NUMBER)f->law.gain, slope = (NUMBER)f->law.slope;
  NAME(Vector) value;

  switch (f->kind) {
  case FINISH_PLAIN:
    if (f->start) sum += NAME(LoadElements)((const ELEMENT *)f->start + start_at, count);
    NAME(StoreElements)((ELEMENT *)f->y + at, count, sum);
    return;
  case FINISH_STEP:
    sum += NAME(LoadElements)((const ELEMENT *)f->start + start_at, count);
    if (f->mask_out) NAME(StoreBits)(f->mask_out + pixel * f->words, channel, NAME(Positive)(sum));
    value = keep * NAME(LoadNumbers)((const NUMBER *)f->r + at, count) + gain * NAME(Phi)(sum, slope);
    NAME(StoreNumbers)((NUMBER *)f->r_next + at, count, value);
    if (f->x_next) NAME(StoreElements)((ELEMENT *)f->x_next + at, count, value);
    return;
  case FINISH_STEP_ADJOINT:
    sum += keep * NAME(LoadNumbers)((const NUMBER *)f->r + at, count);
    if (f->g) sum += NAME(LoadNumbers)((const NUMBER *)f->g + at, count);
    NAME(StoreNumbers)((NUMBER *)f->r_next + at, count, sum);
    if (!f->mask_in) return;
    value = NAME(Select)(NAME(LoadBits)(f->mask_in + pixel * f->words, channel), gain, gain * slope) * sum;
    NAME(StoreElements)((ELEMENT *)f->y + at, count, value);
    return;
  }
}

static void NAME(FinishTile)(const Finish *f, PetscInt pixels, PetscInt width, const TilePixel *where,
                             PetscInt channels, PetscInt first, const void *sums)
{
  const NAME(Vector) *sum = sums;

  for (PetscInt p = 0; p < pixels; p++) {
    const size_t at = where[p].at * (size_t)channels, start_at = where[p].start_at * (size_t)channels;
    for (PetscInt v = 0; v < width; v++) {
      const PetscInt channel = first + v * LANES, count = PetscMin(channels - channel, LANES);
      if (count <= 0) break;
      NAME(Finish)
      (f, at + (size_t)channel, start_at + (size_t)channel, where[p].at, channel, count, sum[p * width + v]);
    }
  }
}

static const Operations NAME(operations) = {.element_size = sizeof(ELEMENT),
                                            .number_size = sizeof(NUMBER),
                                            .unit_size = sizeof(UNIT),
                                            .lanes = LANES,
                                            .tiles = NAME(tiles),
                                            .finish = NAME(FinishTile)};
