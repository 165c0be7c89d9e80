#include "conv/choice_private.h"

#include "conv/backend.h"
#include "core/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_LENGTH = 320, SIZE_MAX_SANE = 1 << 20, THREADS_MAX_SANE = 1 << 16 };

const char *const CordsConvImagesNames[] = {"few", "many"};

static PetscBool SameKey(const CordsConvChoice *a, const CordsConvChoice *b)
{
  /* the shape has no padding bytes: PetscInt only */
  return (PetscBool)(a->type == b->type && a->operation == b->operation && a->images == b->images &&
                     a->threads == b->threads && !memcmp(&a->shape, &b->shape, sizeof a->shape));
}

CordsConvChoice *CordsConvChoiceLookUp(CordsConvChoiceTable *table, const CordsConvChoice *key)
{
  for (PetscInt k = 0; k < table->count; k++)
    if (SameKey(&table->choices[k], key)) return &table->choices[k];
  return NULL;
}

void CordsConvChoicePut(CordsConvChoiceTable *table, const CordsConvChoice *choice)
{
  CordsConvChoice *known = CordsConvChoiceLookUp(table, choice);

  if (!known && table->count < CORDS_CONV_CHOICES_MAX) known = &table->choices[table->count++];
  if (known) *known = *choice;
}

#define SIZES_FORMAT "threads %d in %dx%dx%d out %dx%dx%d kernel %dx%d stride %d padding %d,%d,%d,%d"

static void FormatLine(const CordsConvChoice *c, const char *backend, char line[LINE_MAX_LENGTH])
{
  const CordsConvShape *s = &c->shape;

  snprintf(line, LINE_MAX_LENGTH, "%s %s %s " SIZES_FORMAT " backend %s ahead %.2f", CordsTypeNames[c->type],
           CordsConvOperationNames[c->operation], CordsConvImagesNames[c->images], (int)c->threads, (int)s->in_rows,
           (int)s->in_columns, (int)s->in_channels, (int)s->out_rows, (int)s->out_columns, (int)s->out_channels,
           (int)s->kernel_rows, (int)s->kernel_columns, (int)s->stride, (int)s->pad_top, (int)s->pad_left,
           (int)s->pad_bottom, (int)s->pad_right, backend, c->ahead);
}

PetscErrorCode CordsConvChoiceTableText(const CordsConvChoiceTable *table, char **text)
{
  const char *const *names;
  char line[LINE_MAX_LENGTH], *end;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsConvBackendList(&count, &names, NULL));
  PetscCall(PetscMalloc1((size_t)table->count * (LINE_MAX_LENGTH + 1) + 1, text));
  end = *text;
  *end = '\0';
  for (PetscInt k = 0; k < table->count; k++) {
    FormatLine(&table->choices[k], names[table->choices[k].backend], line);
    end += sprintf(end, "%s\n", line);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscInt IndexOf(PetscInt count, const char *const names[], const char *name)
{
  for (PetscInt k = 0; k < count; k++)
    if (!strcmp(names[k], name)) return k;
  return -1;
}

/* Sizes that belong together; everything that a trial or a backend relies on. */
static PetscBool Sane(const CordsConvChoice *c)
{
  const CordsConvShape *s = &c->shape;
  const PetscInt positive[] = {s->in_rows,      s->in_columns,  s->in_channels,    s->out_rows, s->out_columns,
                               s->out_channels, s->kernel_rows, s->kernel_columns, s->stride},
                 padding[] = {s->pad_top, s->pad_left, s->pad_bottom, s->pad_right};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(positive); k++)
    if (positive[k] < 1 || positive[k] > SIZE_MAX_SANE) return PETSC_FALSE;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(padding); k++)
    if (padding[k] < 0 || padding[k] > SIZE_MAX_SANE) return PETSC_FALSE;
  return (PetscBool)(c->threads >= 1 && c->threads <= THREADS_MAX_SANE && isfinite(c->ahead) && c->ahead >= 0 &&
                     c->ahead < 1e6);
}

/* False if the line is not exactly what FormatLine writes for a sane choice. */
static PetscBool ParseLine(const char *line, CordsConvChoice *c, char backend[32])
{
  char type[8], operation[24], images[8], again[LINE_MAX_LENGTH];
  int n[14];
  PetscInt indices[3];

  if (sscanf(line, "%7s %23s %7s " SIZES_FORMAT " backend %31s ahead %lf", type, operation, images, &n[0], &n[1], &n[2],
             &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11], &n[12], &n[13], backend, &c->ahead) != 19)
    return PETSC_FALSE;
  indices[0] = IndexOf(CORDS_TYPE_COUNT, CordsTypeNames, type);
  indices[1] = IndexOf(CORDS_CONV_OPERATION_COUNT, CordsConvOperationNames, operation);
  indices[2] = IndexOf(CORDS_CONV_IMAGES_COUNT, CordsConvImagesNames, images);
  if (indices[0] < 0 || indices[1] < 0 || indices[2] < 0) return PETSC_FALSE;
  c->type = (CordsType)indices[0];
  c->operation = (CordsConvOperation)indices[1];
  c->images = (CordsConvImages)indices[2];
  c->threads = n[0];
  c->shape = (CordsConvShape){.in_rows = n[1],
                              .in_columns = n[2],
                              .in_channels = n[3],
                              .out_rows = n[4],
                              .out_columns = n[5],
                              .out_channels = n[6],
                              .kernel_rows = n[7],
                              .kernel_columns = n[8],
                              .stride = n[9],
                              .pad_top = n[10],
                              .pad_left = n[11],
                              .pad_bottom = n[12],
                              .pad_right = n[13]};
  if (!Sane(c)) return PETSC_FALSE;
  FormatLine(c, backend, again);
  return (PetscBool)!strcmp(line, again);
}

PetscBool CordsConvChoiceTableParse(const char *text, CordsConvChoiceTable *table, PetscInt *refused)
{
  const char *const *names;
  PetscInt count;
  PetscBool can;

  *refused = 0;
  if (CordsConvBackendList(&count, &names, NULL)) return PETSC_FALSE;
  while (*text) {
    CordsConvChoice choice;
    char line[LINE_MAX_LENGTH], backend[32];
    size_t length = strcspn(text, "\n");

    if (length >= sizeof line || text[length] != '\n') return PETSC_FALSE;
    memcpy(line, text, length);
    line[length] = '\0';
    text += length + 1;
    if (!ParseLine(line, &choice, backend)) return PETSC_FALSE;
    choice.backend = IndexOf(count, names, backend);
    can = PETSC_FALSE;
    if (choice.backend >= 0 && CordsConvBackendSupports(backend, &choice.shape, choice.type, &can, NULL))
      return PETSC_FALSE;
    if (can)
      CordsConvChoicePut(table, &choice);
    else
      ++*refused;
  }
  return PETSC_TRUE;
}
