#include "conv/route.h"

#include "conv/vector_types.h"
#include "core/allocate.h"

#include <stdlib.h>
#include <string.h>

enum { LANES_MAX = 16 };

/* A part of a panel that stays in the second-level cache beside the images. */
static const size_t part_bytes = (size_t)640 << 10;

static PetscInt UnitElements(const CordsRoute *route)
{
  return (PetscInt)(route->unit_size / CordsTypeSize(route->type));
}

/* Forward: the input pixel of tap (a, b) at output pixel (i, j).  Backward: the output pixel that has input pixel (i,
   j) at its tap.  −1: outside, or between two strides. */
static PetscInt Source(const CordsConvShape *s, PetscBool adjoint, PetscInt i, PetscInt j, PetscInt a, PetscInt b)
{
  PetscInt row = adjoint ? i + s->pad_top - a : i * s->stride + a - s->pad_top;
  PetscInt column = adjoint ? j + s->pad_left - b : j * s->stride + b - s->pad_left;
  PetscInt rows = adjoint ? s->out_rows : s->in_rows, columns = adjoint ? s->out_columns : s->in_columns;

  if (adjoint && (row % s->stride != 0 || column % s->stride != 0)) return -1;
  if (adjoint) row /= s->stride, column /= s->stride;
  return row < 0 || row >= rows || column < 0 || column >= columns ? -1 : row * columns + column;
}

/* Whether a tap falls between two strides for all pixels of the class (row, column) mod stride. */
static PetscBool TapInClass(const CordsConvShape *s, PetscInt row_class, PetscInt column_class, PetscInt a, PetscInt b)
{
  return (PetscBool)((row_class + s->pad_top - a) % s->stride == 0 &&
                     (column_class + s->pad_left - b) % s->stride == 0);
}

static PetscErrorCode ClassCreate(const CordsConvShape *s, size_t pixel_bytes, PetscBool adjoint, PetscInt row_class,
                                  PetscInt column_class, CordsRouteClass *c)
{
  PetscInt rows = adjoint ? s->in_rows : s->out_rows, columns = adjoint ? s->in_columns : s->out_columns;
  PetscInt step = adjoint ? s->stride : 1, taps = s->kernel_rows * s->kernel_columns;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(taps, &c->taps));
  for (PetscInt tap = 0; tap < taps; tap++) {
    PetscInt a = tap / s->kernel_columns, b = tap % s->kernel_columns;
    if (!adjoint || TapInClass(s, row_class, column_class, a, b)) c->taps[c->tap_count++] = tap;
  }
  PetscCall(PetscMalloc1(rows * columns, &c->pixels));
  PetscCall(PetscMalloc1((size_t)rows * columns * PetscMax(c->tap_count, 1), &c->sources));
  for (PetscInt i = row_class; i < rows; i += step) {
    for (PetscInt j = column_class; j < columns; j += step) {
      for (PetscInt t = 0; t < c->tap_count; t++) {
        PetscInt a = c->taps[t] / s->kernel_columns, b = c->taps[t] % s->kernel_columns;
        PetscInt source = Source(s, adjoint, i, j, a, b);
        c->sources[c->pixel_count * c->tap_count + t] = source < 0 ? -1 : (int32_t)((size_t)source * pixel_bytes);
      }
      c->pixels[c->pixel_count++] = i * columns + j;
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRouteCreate(const CordsConvShape *s, CordsType type, PetscBool adjoint, CordsRoute *route)
{
  PetscInt step = adjoint ? s->stride : 1, in = s->in_rows * s->in_columns, out = s->out_rows * s->out_columns;
  PetscInt unit;
  size_t row_bytes;

  PetscFunctionBegin;
  route->type = type;
  route->unit_size = CordsUnitSize(type);
  route->lanes = CordsVectorLanes(type);
  unit = UnitElements(route);
  route->tap_count = s->kernel_rows * s->kernel_columns;
  route->in_pixels = adjoint ? out : in;
  route->out_pixels = adjoint ? in : out;
  route->in_channels = adjoint ? s->out_channels : s->in_channels;
  route->out_channels = adjoint ? s->in_channels : s->out_channels;
  route->units = (route->in_channels + unit - 1) / unit;
  route->vectors = (route->out_channels + route->lanes - 1) / route->lanes;
  row_bytes = (size_t)route->units * route->tap_count * CORDS_ROUTE_WIDTH_MAX * route->lanes * route->unit_size;
  route->part_count = (PetscInt)((row_bytes + part_bytes - 1) / part_bytes);
  route->part_units = (route->units + route->part_count - 1) / route->part_count;
  route->class_count = step * step;
  PetscCall(PetscCalloc1(route->class_count, &route->classes));
  for (PetscInt k = 0; k < route->class_count; k++) {
    PetscCall(ClassCreate(s, (size_t)route->in_channels * CordsTypeSize(type), adjoint, k / step, k % step,
                          &route->classes[k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRouteDestroy(CordsRoute *route)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < route->class_count; k++) {
    PetscCall(PetscFree(route->classes[k].pixels));
    PetscCall(PetscFree(route->classes[k].taps));
    PetscCall(PetscFree(route->classes[k].sources));
    PetscCall(PetscFree(route->classes[k].early_sources));
  }
  PetscCall(PetscFree(route->classes));
  if (!route->borrowed) free(route->panels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool ReadsInside(const int32_t *sources, PetscInt taps, size_t pixel_bytes, PetscInt in_columns,
                             const CordsBox *box)
{
  for (PetscInt t = 0; t < taps; t++) {
    if (sources[t] < 0) continue;
    if (CordsBoxPlace(box, (PetscInt)((size_t)sources[t] / pixel_bytes), in_columns) < 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* Pixels and their sources, those that read inside the box first. */
static PetscErrorCode SortClass(CordsRouteClass *c, size_t pixel_bytes, PetscInt in_columns, const CordsBox *early)
{
  const PetscInt taps = c->tap_count;
  PetscInt *pixels, placed = 0;
  int32_t *sources;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(c->pixel_count, &pixels));
  PetscCall(PetscMalloc1((size_t)c->pixel_count * PetscMax(taps, 1), &sources));
  for (int late = 0; late < 2; late++) {
    for (PetscInt k = 0; k < c->pixel_count; k++) {
      const int32_t *from = c->sources + (size_t)k * taps;
      if (ReadsInside(from, taps, pixel_bytes, in_columns, early) == (PetscBool)late) continue;
      PetscCall(PetscArraycpy(sources + (size_t)placed * taps, from, taps));
      pixels[placed++] = c->pixels[k];
    }
    if (!late) c->early_count = placed;
  }
  PetscCall(PetscFree(c->pixels));
  PetscCall(PetscFree(c->sources));
  c->pixels = pixels;
  c->sources = sources;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRouteDivide(CordsRoute *route, PetscInt in_columns, const CordsBox *early)
{
  const size_t pixel_bytes = (size_t)route->in_channels * CordsTypeSize(route->type);

  PetscFunctionBegin;
  route->early_pixels = CordsBoxPixels(early);
  for (PetscInt k = 0; k < route->class_count; k++) {
    CordsRouteClass *c = &route->classes[k];
    size_t count;
    PetscCall(SortClass(c, pixel_bytes, in_columns, early));
    count = (size_t)c->early_count * c->tap_count;
    PetscCall(PetscFree(c->early_sources));
    PetscCall(PetscMalloc1(count, &c->early_sources));
    for (size_t s = 0; s < count; s++) {
      c->early_sources[s] = c->sources[s];
      if (c->sources[s] < 0) continue;
      c->early_sources[s] =
          (int32_t)((size_t)CordsBoxPlace(early, (PetscInt)((size_t)c->sources[s] / pixel_bytes), in_columns) *
                    pixel_bytes);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A weight into a lane of a row of units, as the first or second number (half) of pairs. */
static inline void PutWeight(CordsType type, void *row, PetscInt lane, PetscInt half, double value)
{
  if (type == CORDS_F64)
    ((double *)row)[lane] = value;
  else if (type == CORDS_F32)
    ((float *)row)[lane] = (float)value;
  else
    ((uint16_t *)row)[2 * lane + half] = CordsToBf16((float)value);
}

static inline double GetWeight(CordsType type, const void *weights, size_t k)
{
  return type == CORDS_F64 ? ((const double *)weights)[k] : (double)((const float *)weights)[k];
}

void *CordsRoutePanelRow(const CordsRoute *route, PetscInt vector, PetscInt tap, PetscInt channel)
{
  PetscInt first = vector - vector % CORDS_ROUTE_WIDTH_MAX, unit = channel / UnitElements(route);
  PetscInt part = unit / route->part_units, width = 1 << CordsRouteLogWidth(route->vectors - first);
  size_t row;

  while (first + width <= vector) {
    first += width;
    width = 1 << CordsRouteLogWidth(route->vectors - first);
  }
  row = (size_t)tap * CordsRoutePartUnits(route, part) + (size_t)(unit - part * route->part_units);
  return (char *)CordsRoutePanel(route, first, width, part) +
         (row * width + vector - first) * route->lanes * route->unit_size;
}

size_t CordsRoutePanelBytes(const CordsRoute *route)
{
  return (size_t)route->tap_count * route->units * route->vectors * route->lanes * route->unit_size;
}

/* Memory for panels, all zero, for who fills them row by row. */
static PetscErrorCode AllocatePanels(CordsRoute *route)
{
  size_t bytes = CordsRoutePanelBytes(route);

  PetscFunctionBegin;
  if (!route->panels) PetscCall(CordsAllocate(bytes, &route->panels));
  memset(route->panels, 0, bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRoutePack(CordsRoute *route, const void *weights)
{
  PetscInt unit = UnitElements(route), taps = route->tap_count;

  PetscFunctionBegin;
  PetscCall(AllocatePanels(route));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < route->vectors; vector++) {
    PetscInt lanes = PetscMin(route->lanes, route->out_channels - vector * route->lanes);
    for (PetscInt c = 0; c < route->in_channels; c++) {
      for (PetscInt tap = 0; tap < taps; tap++) {
        void *row = CordsRoutePanelRow(route, vector, tap, c);
        for (PetscInt lane = 0; lane < lanes; lane++) {
          size_t from = ((size_t)(vector * route->lanes + lane) * route->in_channels + c) * taps + tap;
          PutWeight(route->type, row, lane, c % unit, GetWeight(route->type, weights, from));
        }
      }
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* from[c][lane] → to[lane][c]: numbers of a type that are unit_size bytes apart. */
static void TransposeBlock(CordsType type, size_t unit_size, PetscInt channels, PetscInt lanes, char *const from[],
                           char *const to[])
{
  for (PetscInt c = 0; c < channels; c++) {
    for (PetscInt lane = 0; lane < lanes; lane++) {
      const void *a = from[c] + (size_t)lane * unit_size;
      void *b = to[lane] + (size_t)c * unit_size;
      if (type == CORDS_F64)
        *(double *)b = *(const double *)a;
      else if (type == CORDS_F32)
        *(float *)b = *(const float *)a;
      else
        *(uint16_t *)b = *(const uint16_t *)a;
    }
  }
}

/* Where the number of a channel is in the first lane of its row. */
static char *NumberAt(const CordsRoute *route, PetscInt vector, PetscInt tap, PetscInt channel)
{
  char *row = CordsRoutePanelRow(route, vector, tap, channel);

  return row + (size_t)(channel % UnitElements(route)) * CordsTypeSize(route->type);
}

PetscErrorCode CordsRoutePackAdjoint(const CordsRoute *forward, CordsRoute *route)
{
  PetscFunctionBegin;
  PetscCall(AllocatePanels(route));
#pragma omp parallel for schedule(static)
  for (PetscInt vector = 0; vector < forward->vectors; vector++) {
    const PetscInt out = vector * forward->lanes, lanes = PetscMin(forward->lanes, forward->out_channels - out);
    for (PetscInt tap = 0; tap < forward->tap_count; tap++) {
      for (PetscInt first = 0; first < forward->in_channels; first += forward->lanes) {
        const PetscInt channels = PetscMin(forward->lanes, forward->in_channels - first);
        char *from[LANES_MAX], *to[LANES_MAX];
        for (PetscInt c = 0; c < channels; c++) from[c] = NumberAt(forward, vector, tap, first + c);
        for (PetscInt lane = 0; lane < lanes; lane++)
          to[lane] = NumberAt(route, first / forward->lanes, tap, out + lane);
        TransposeBlock(route->type, route->unit_size, channels, lanes, from, to);
      }
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
