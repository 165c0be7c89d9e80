/* RANKS 1 2 3 4
   A window holds what its pixels are on whichever rank owns them, for windows that reach over several tiles, lie
   elsewhere, or are empty; and as many messages and bytes go as are told. */
#include "conv/halo.h"

#include "core/traffic.h"
#include "support/domain.h"

enum { ROWS = 7, COLUMNS = 5, CHANNELS = 3, ITEMS = 2 };

static double Value(PetscInt item, PetscInt row, PetscInt column, PetscInt channel)
{
  return item * 1000 + row * 100 + column * 10 + channel;
}

static double *Filled(const CordsBox *box, PetscBool with_values)
{
  double *numbers, *next;

  SupportCall(PetscMalloc1(ITEMS * CordsBoxPixels(box) * CHANNELS + 1, &numbers));
  next = numbers;
  for (PetscInt n = 0; n < ITEMS; n++)
    for (PetscInt i = 0; i < box->row_count; i++)
      for (PetscInt j = 0; j < box->column_count; j++)
        for (PetscInt c = 0; c < CHANNELS; c++)
          *next++ = with_values ? Value(n, box->row_start + i, box->column_start + j, c) : -1;
  return numbers;
}

/* What this rank lacks of a window: a message from each rank that owns a part of it. */
static CordsTraffic Lacking(const CordsContextData *context, const CordsBox *window)
{
  CordsTraffic lacking = {0};

  for (PetscInt k = 0; k < context->grid_rows * context->grid_columns; k++) {
    const CordsLayout layout = CordsLayoutCut(ROWS, COLUMNS, CHANNELS, context->grid_rows, context->grid_columns, k);
    const CordsBox tile = CordsBoxOfLayout(&layout), part = CordsBoxIntersect(&tile, window);
    if (k == context->domain_rank || CordsBoxPixels(&part) == 0) continue;
    lacking.messages++;
    lacking.bytes += ITEMS * CHANNELS * (PetscInt64)sizeof(double) * CordsBoxPixels(&part);
  }
  return lacking;
}

static void CheckWindow(const CordsContextData *context, const CordsBox *window)
{
  const CordsLayout layout = CordsLayoutOf(context, ROWS, COLUMNS, CHANNELS);
  const CordsBox tile = CordsBoxOfLayout(&layout);
  double *own = Filled(&tile, PETSC_TRUE), *found = Filled(window, PETSC_FALSE), *right = Filled(window, PETSC_TRUE);
  const CordsTraffic before = CordsTrafficSoFar(CORDS_TRAFFIC_HALO), lacking = Lacking(context, window);
  CordsTraffic after;
  PetscInt64 excess[2]; /* sent but not lacked: messages, bytes */
  CordsHalo halo;

  SupportCall(CordsHaloCreate(context, ROWS, COLUMNS, CHANNELS, window, &halo));
  for (int again = 0; again < 2; again++) { /* a halo is used many times */
    SupportCall(CordsHaloBegin(halo, CORDS_F64, ITEMS, own, NULL, found));
    SupportCall(CordsHaloEnd(halo));
    for (PetscInt k = 0; k < ITEMS * CordsBoxPixels(window) * CHANNELS; k++) assert_true(found[k] == right[k]);
  }
  after = CordsTrafficSoFar(CORDS_TRAFFIC_HALO);
  excess[0] = after.messages - before.messages - 2 * lacking.messages;
  excess[1] = after.bytes - before.bytes - 2 * lacking.bytes;
  SupportCall(MPI_Allreduce(MPI_IN_PLACE, excess, 2, MPIU_INT64, MPI_SUM, context->domain_comm));
  assert_int_equal(excess[0], 0); /* of all ranks together, as each sends what others lack */
  assert_int_equal(excess[1], 0);
  SupportCall(CordsHaloDestroy(&halo));
  SupportCall(PetscFree(own));
  SupportCall(PetscFree(found));
  SupportCall(PetscFree(right));
}

static void TestWindows(void **state)
{
  SUPPORT_FOR_GRIDS(rows)
  {
    const CordsContextData context = SupportDomain(rows);
    const CordsLayout layout = CordsLayoutOf(&context, ROWS, COLUMNS, CHANNELS);
    const CordsBox own = CordsBoxOfLayout(&layout), all = {0, ROWS, 0, COLUMNS}, none = {0};
    CordsBox wider = {own.row_start - 1, own.row_count + 2, own.column_start - 1, own.column_count + 2}, far;
    wider = CordsBoxIntersect(&wider, &all);
    far = (CordsBox){(2 * context.rank) % ROWS, 1, context.rank % COLUMNS, 1};
    CheckWindow(&context, &wider);
    CheckWindow(&context, &all);
    CheckWindow(&context, &far);
    CheckWindow(&context, context.rank % 2 ? &none : &all);
  }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(TestWindows)};
SUPPORT_MAIN(tests)
