#include "conv/choice.h"

#include "conv/choice_private.h"
#include "conv/precision.h"
#include "core/config.h"
#include "core/log.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* What this process knows; the same on all ranks, since only collective functions change it. */
static CordsConvChoiceTable known;

static struct {
  PetscBool measured;   /* -kernel_choice: by trials; */
  PetscBool lean;       /* the first in order that is lean, whatever is faster; */
  PetscBool compared;   /* trials tell how much faster */
  PetscBool file_named; /* -kernel_cache was given */
  PetscBool file_read, file_warned;
  char path[PETSC_MAX_PATH_LEN]; /* empty: no file */
} settings;

PetscErrorCode CordsConvChoiceFromOptions(PetscBool memory_is_short)
{
  static const char *const ways[] = {"measured", "order", "lean"};
  PetscInt way = memory_is_short ? 2 : 0;
  char path[PETSC_MAX_PATH_LEN] = "";

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-kernel_choice",
                              "how a convolution finds its kernel: a short trial, the order of `cords info "
                              "backends`, or the first there that is lean in memory (standard with -memory_limit)",
                              PETSC_STATIC_ARRAY_LENGTH(ways), ways, &way));
  PetscCall(CordsOptionString("-kernel_cache",
                              "file that keeps what trials found; standard: kernels.h5 in the user's "
                              "cache folder",
                              sizeof path, path));
  settings.measured = (PetscBool)(way == 0);
  settings.lean = (PetscBool)(way == 2);
  settings.compared = (PetscBool)(settings.lean && memory_is_short);
  settings.file_named = (PetscBool)(path[0] != '\0');
  settings.file_read = settings.file_warned = PETSC_FALSE;
  if (settings.file_named)
    PetscCall(PetscStrncpy(settings.path, path, sizeof settings.path));
  else
    CordsConvCacheDefaultPath(settings.path);
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsConvChoiceClear(void)
{
  known.count = 0;
  settings.file_read = PETSC_FALSE;
}

/* What is known with the present number of threads, or NULL. */
static const CordsConvChoice *Find(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                                   CordsConvImages images)
{
  const CordsConvChoice key = {
      .shape = *shape, .type = type, .operation = operation, .images = images, .threads = omp_get_max_threads()};

  return CordsConvChoiceLookUp(&known, &key);
}

PetscInt CordsConvChoiceFind(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                             CordsConvImages images)
{
  const CordsConvChoice *found = Find(shape, type, operation, images);

  return found ? found->backend : -1;
}

double CordsConvChoiceSlowdown(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                               CordsConvImages images)
{
  const CordsConvChoice *found = Find(shape, type, operation, images);

  /* a trial, too, keeps to the order where another one is faster by less */
  return found && found->ahead > 0 && found->ahead * cords_conv_clearly_faster <= 1 ? 1 / found->ahead : 1;
}

static void PutAbsent(CordsConvChoiceTable *table, const CordsConvChoice *choice)
{
  if (!CordsConvChoiceLookUp(table, choice)) CordsConvChoicePut(table, choice);
}

/* Whether a choice is missing for any operation. */
static PetscBool IsMissing(const CordsConvShape *shape, CordsType type)
{
  for (int operation = 0; operation < CORDS_CONV_OPERATION_COUNT; operation++) {
    for (int images = 0; images < CORDS_CONV_IMAGES_COUNT; images++)
      if (CordsConvChoiceFind(shape, type, (CordsConvOperation)operation, (CordsConvImages)images) < 0)
        return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscInt CountMissing(PetscInt count, const CordsConvShape shapes[], const CordsType types[])
{
  PetscInt missing = 0;

  for (PetscInt k = 0; k < count; k++) missing += IsMissing(&shapes[k], types[k]);
  return missing;
}

/* What rank 0 did, for all ranks. */
typedef struct {
  int foreign;  /* the file holds something else */
  int compared; /* choices by trial */
  double trials_s;
  char ignored[CORDS_CONV_CACHE_NOTE_LENGTH], unwritten[CORDS_CONV_CACHE_NOTE_LENGTH]; /* sentences about the file */
} Outcome;

/* Rank 0: read the file, once in a run. */
static PetscErrorCode TakeFileHere(Outcome *outcome)
{
  CordsConvCacheState state;
  CordsConvChoiceTable *table;

  PetscFunctionBegin;
  if (settings.file_read || !settings.path[0]) PetscFunctionReturn(PETSC_SUCCESS);
  settings.file_read = PETSC_TRUE;
  PetscCall(PetscNew(&table));
  PetscCall(CordsConvCacheRead(settings.path, table, &state, outcome->ignored));
  for (PetscInt k = 0; k < table->count; k++) PutAbsent(&known, &table->choices[k]);
  outcome->foreign = state == CORDS_CONV_CACHE_FOREIGN;
  if (outcome->foreign && !settings.file_named) settings.path[0] = '\0'; /* nothing of ours; left alone */
  PetscCall(PetscFree(table));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0: choose what is missing and keep it in the file. */
static PetscErrorCode ChooseHere(PetscInt count, const CordsConvShape shapes[], const CordsType types[],
                                 Outcome *outcome)
{
  CordsConvChoiceTable *fresh;
  double start_s = MPI_Wtime();

  PetscFunctionBegin;
  PetscCall(PetscNew(&fresh));
  for (PetscInt k = 0; k < count; k++) {
    PetscInt before = fresh->count;

    if (!IsMissing(&shapes[k], types[k])) continue;
    if (settings.measured || settings.compared)
      PetscCall(CordsConvChoiceMeasure(&shapes[k], types[k], settings.lean, fresh));
    else
      PetscCall(CordsConvChoiceOrder(&shapes[k], types[k], settings.lean, fresh));
    for (PetscInt c = before; c < fresh->count; c++) {
      outcome->compared += fresh->choices[c].ahead > 0;
      PutAbsent(&known, &fresh->choices[c]);
    }
  }
  outcome->trials_s = MPI_Wtime() - start_s;
  if (settings.measured && outcome->compared && settings.path[0])
    PetscCall(CordsConvCacheAdd(settings.path, (PetscBool)!settings.file_named, fresh, outcome->unwritten));
  PetscCall(PetscFree(fresh));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Rank 0's choices for these shapes become those of all ranks. */
static PetscErrorCode Share(CordsContext context, PetscInt count, const CordsConvShape shapes[],
                            const CordsType types[])
{
  CordsConvChoiceTable *shared;
  PetscInt refused;
  char *text = NULL;
  int length = 0;

  PetscFunctionBegin;
  PetscCall(PetscNew(&shared));
  for (PetscInt k = 0; k < known.count && context->rank == 0; k++) {
    const CordsConvChoice *c = &known.choices[k];

    for (PetscInt j = 0; j < count; j++)
      if (c->type == types[j] && !memcmp(&c->shape, &shapes[j], sizeof c->shape)) CordsConvChoicePut(shared, c);
  }
  if (context->rank == 0) {
    PetscCall(CordsConvChoiceTableText(shared, &text));
    length = (int)strlen(text);
  }
  PetscCallMPI(MPI_Bcast(&length, 1, MPI_INT, 0, context->comm));
  if (context->rank > 0) PetscCall(PetscCalloc1(length + 1, &text));
  PetscCallMPI(MPI_Bcast(text, length, MPI_CHAR, 0, context->comm));
  if (context->rank > 0)
    PetscCheck(CordsConvChoiceTableParse(text, shared, &refused), PETSC_COMM_SELF, PETSC_ERR_PLIB,
               "choices of rank 0 cannot be read");
  for (PetscInt k = 0; k < shared->count; k++) CordsConvChoicePut(&known, &shared->choices[k]);
  PetscCall(PetscFree(shared));
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The same words, or the same error, on all ranks. */
static PetscErrorCode Tell(CordsContext context, Outcome *outcome)
{
  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(outcome, sizeof *outcome, MPI_BYTE, 0, context->comm));
  CordsCheckUser(!outcome->foreign || !settings.file_named, context->comm,
                 "-kernel_cache %s: it holds something else than kernel choices; give the name of a new file",
                 settings.path);
  CordsCheckUser(!outcome->unwritten[0] || !settings.file_named, context->comm, "-kernel_cache %s: %s", settings.path,
                 outcome->unwritten);
  if (outcome->ignored[0]) PetscCall(CordsLog(context, "kernels: %s; it is ignored and made anew\n", outcome->ignored));
  if (outcome->compared)
    PetscCall(CordsLog(context, "kernels: %d %s by trials of %.2f s\n", outcome->compared,
                       settings.lean ? "lean ones compared with the first in order" : "choices", outcome->trials_s));
  if (outcome->unwritten[0] && !settings.file_warned) {
    PetscCall(CordsLog(context, "kernels: %s; the trials will be made again in the next run\n", outcome->unwritten));
    settings.file_warned = PETSC_TRUE;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvChoicePrepare(CordsContext context, PetscInt count, const CordsConvShape shapes[],
                                      const CordsType types[])
{
  Outcome outcome = {0};

  PetscFunctionBegin;
  if (context->rank == 0) {
    if (settings.measured && CountMissing(count, shapes, types)) PetscCall(TakeFileHere(&outcome));
    if (!outcome.foreign || !settings.file_named) PetscCall(ChooseHere(count, shapes, types, &outcome));
  }
  PetscCall(Tell(context, &outcome));
  PetscCall(Share(context, count, shapes, types));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvChoiceGetText(char **text)
{
  PetscFunctionBegin;
  PetscCall(CordsConvChoiceTableText(&known, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvChoiceSetText(CordsContext context, const char *name, const char *text)
{
  CordsConvChoiceTable *table;
  PetscBool good;
  PetscInt refused;

  PetscFunctionBegin;
  PetscCall(PetscNew(&table));
  good = CordsConvChoiceTableParse(text, table, &refused);
  for (PetscInt k = 0; k < table->count && good; k++) CordsConvChoicePut(&known, &table->choices[k]);
  PetscCall(PetscFree(table));
  CordsCheckUser(good, context->comm, "%s: its choices of kernels are damaged", name);
  if (refused)
    PetscCall(CordsLog(context,
                       "kernels: %" PetscInt_FMT " choices of %s name kernels that this program or processor does not "
                       "have; the continued run may differ in the last digits\n",
                       refused, name));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One line of the table, aligned. */
static void DescribeChoice(const CordsConvChoice *c, const char *backend, size_t length, char *line)
{
  const CordsConvShape *s = &c->shape;
  char in[48], out[48], kernel[48], ahead[32] = "-";

  snprintf(in, sizeof in, "%d x %d x %d", (int)s->in_rows, (int)s->in_columns, (int)s->in_channels);
  snprintf(out, sizeof out, "%d x %d x %d", (int)s->out_rows, (int)s->out_columns, (int)s->out_channels);
  snprintf(kernel, sizeof kernel, "%dx%d/%d", (int)s->kernel_rows, (int)s->kernel_columns, (int)s->stride);
  if (c->ahead > 0) snprintf(ahead, sizeof ahead, "%.2f", c->ahead);
  snprintf(line, length, "  %-16s %-16s %-8s %-5s %-17s %-5s %7d  %-10s %s\n", in, out, kernel, CordsTypeNames[c->type],
           CordsConvOperationNames[c->operation], CordsConvImagesNames[c->images], (int)c->threads, backend, ahead);
}

/* What rank 0 finds in the file. */
static PetscErrorCode DescribeFile(size_t length, char *text, CordsConvChoiceTable *table)
{
  char note[CORDS_CONV_CACHE_NOTE_LENGTH];
  CordsConvCacheState state;

  PetscFunctionBegin;
  if (!settings.path[0]) {
    snprintf(text, length, "kernel choices: no file (neither -kernel_cache, XDG_CACHE_HOME nor HOME is set)\n");
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsConvCacheRead(settings.path, table, &state, note));
  if (state == CORDS_CONV_CACHE_FOREIGN) snprintf(note, sizeof note, "'%s' holds something else", settings.path);
  snprintf(text, length, "kernel choices: %s, %s%s\n", settings.path,
           state == CORDS_CONV_CACHE_GOOD     ? "measured on this machine"
           : state == CORDS_CONV_CACHE_ABSENT ? "nothing measured yet"
                                              : "not used: ",
           note);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsConvChoiceDescribe(char **text)
{
  enum { HEAD = 2 * PETSC_MAX_PATH_LEN + 1024, LINE = 256 };
  const char *const *names;
  CordsConvChoiceTable *table;
  PetscInt count;
  char *end;

  PetscFunctionBegin;
  PetscCall(CordsConvBackendList(&count, &names, NULL));
  PetscCall(PetscNew(&table));
  PetscCall(PetscCalloc1(HEAD + (size_t)CORDS_CONV_CHOICES_MAX * LINE, text));
  end = *text + sprintf(*text, "precisions of this processor: f32, f64%s\n",
                        CordsPrecisionHas(CORDS_BF16) ? ", bf16" : "; bf16 needs AVX512-BF16");
  PetscCall(DescribeFile(HEAD - 256, end, table));
  end += strlen(end);
  if (table->count)
    end +=
        sprintf(end, "  %-16s %-16s %-8s %-5s %-17s %-5s %7s  %-10s %s\n", "in", "out", "kernel/s", "type", "operation",
                "n", "threads", "backend", "time of the next / its time; below 1.1: not clear, the order decides");
  for (PetscInt k = 0; k < table->count; k++, end += strlen(end))
    DescribeChoice(&table->choices[k], names[table->choices[k].backend], LINE, end);
  PetscCall(PetscFree(table));
  PetscFunctionReturn(PETSC_SUCCESS);
}
