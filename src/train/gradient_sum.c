#include "train/gradient_sum.h"

#include "core/reduce.h"

struct _p_CordsGradientSum {
  CordsModel model;
  CordsReduction reduction;
  PetscInt counts[CORDS_AREAS_MAX];
  CordsGradientPiece *pieces[CORDS_AREAS_MAX];
  /* of the gradient at work */
  float *gradient;
  PetscInt next; /* area whose pieces begin next; −1: all have begun */
};

/* Whether a tensor is a parameter of what leads into an area. */
static PetscBool LeadsInto(CordsModel model, PetscInt tensor, PetscInt area)
{
  const CordsArchitecture *a = &model->architecture;
  const PetscInt connections[3] = {a->recurrent[area], a->feedforward[area], a->skip[area]};
  char bias[32];

  for (int k = 0; k < 3; k++) {
    const PetscInt g = connections[k] < 0 ? -1 : CordsModelConnectionTensor(model, connections[k]);
    if (g >= 0 && (tensor == g || tensor == g + 1)) return PETSC_TRUE;
  }
  snprintf(bias, sizeof bias, "conv_bias.%d", (int)area);
  return (PetscBool)(tensor == CordsModelFind(model, bias));
}

/* Area 0 stands for what leads into no other. */
static PetscBool Belongs(CordsModel model, PetscInt tensor, PetscInt area)
{
  if (area > 0) return LeadsInto(model, tensor, area);
  for (PetscInt other = 1; other < model->architecture.area_count; other++)
    if (LeadsInto(model, tensor, other)) return PETSC_FALSE;
  return PETSC_TRUE;
}

PetscErrorCode CordsGradientPieces(CordsModel model, PetscInt area, PetscInt *count, CordsGradientPiece **pieces)
{
  PetscInt at = 0, found = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(model->learnable_count, pieces));
  for (PetscInt k = 0; k < model->learnable_count; k++) {
    const PetscInt size = CordsTensorSize(&model->tensors[k]);
    CordsGradientPiece *last = found > 0 ? &(*pieces)[found - 1] : NULL;
    if (Belongs(model, k, area)) {
      if (last && last->start + last->count == at)
        last->count += size;
      else
        (*pieces)[found++] = (CordsGradientPiece){at, size};
    }
    at += size;
  }
  *count = found;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsGradientSumCreate(CordsContext context, CordsModel model, CordsGradientSum *sum)
{
  CordsGradientSum s;
  PetscInt all = 0;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  s->model = model;
  s->next = -1;
  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    PetscCall(CordsGradientPieces(model, i, &s->counts[i], &s->pieces[i]));
    all += s->counts[i];
  }
  PetscCall(CordsReductionCreate(context, all, &s->reduction));
  *sum = s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsGradientSumDestroy(CordsGradientSum *sum)
{
  PetscFunctionBegin;
  if (!*sum) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < (*sum)->model->architecture.area_count; i++) PetscCall(PetscFree((*sum)->pieces[i]));
  PetscCall(CordsReductionDestroy(&(*sum)->reduction));
  PetscCall(PetscFree(*sum));
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsGradientSumBegin(CordsGradientSum sum, float *gradient)
{
  sum->gradient = gradient;
  sum->next = sum->model->architecture.area_count - 1;
}

static PetscErrorCode BeginNext(CordsGradientSum s)
{
  const PetscInt area = s->next--;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->counts[area]; k++) {
    const CordsGradientPiece *piece = &s->pieces[area][k];
    PetscCall(CordsReductionBegin(s->reduction, piece->count, s->gradient + piece->start));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsGradientSumArea(CordsGradientSum sum, PetscInt area)
{
  PetscFunctionBegin;
  if (!sum) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCheck(area == sum->next && area > 0, PETSC_COMM_SELF, PETSC_ERR_ORDER,
             "area %" PetscInt_FMT " is done, but area %" PetscInt_FMT " was to be next", area, sum->next);
  PetscCall(BeginNext(sum));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsGradientSumEnd(CordsGradientSum sum)
{
  PetscFunctionBegin;
  while (sum->next >= 0) PetscCall(BeginNext(sum));
  PetscCall(CordsReductionEnd(sum->reduction));
  PetscFunctionReturn(PETSC_SUCCESS);
}
