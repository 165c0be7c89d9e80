#include "conv/halo.h"

#include "core/traffic.h"

/* A part of a window that has to travel. */
typedef struct {
  PetscMPIInt rank; /* where it goes, or comes from */
  CordsBox box;
  CordsArray buffer; /* bytes as F32, grown as needed */
} Part;

struct _p_CordsHalo {
  MPI_Comm comm;
  PetscInt channels;
  CordsBox tile, window, inside; /* owned, needed, and both */
  PetscInt send_count, receive_count;
  Part *sends, *receives;
  MPI_Request *requests; /* of receives, then sends */
  /* of the exchange at work */
  PetscInt n;
  size_t pixel_bytes;
  void *target;
};

/* A part for every rank whose box meets ours. */
static PetscErrorCode FindParts(PetscMPIInt self, PetscMPIInt size, const CordsBox *ours, const CordsBox *boxes,
                                PetscInt *count, Part **parts)
{
  PetscFunctionBegin;
  *count = 0;
  PetscCall(PetscCalloc1(size, parts));
  for (PetscMPIInt rank = 0; rank < size; rank++) {
    const CordsBox box = CordsBoxIntersect(ours, &boxes[rank]);
    if (rank != self && CordsBoxPixels(&box) > 0) (*parts)[(*count)++] = (Part){.rank = rank, .box = box};
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsHaloCreate(CordsContext context, PetscInt rows, PetscInt columns, PetscInt channels,
                               const CordsBox *window, CordsHalo *halo)
{
  CordsHalo h;
  CordsBox *tiles, *windows;
  PetscMPIInt size, rank;

  PetscFunctionBegin;
  PetscCall(PetscNew(&h));
  h->comm = context->domain_comm;
  h->channels = channels;
  h->window = *window;
  PetscCallMPI(MPI_Comm_size(h->comm, &size));
  PetscCallMPI(MPI_Comm_rank(h->comm, &rank));
  PetscCall(PetscMalloc2(size, &tiles, size, &windows));
  for (PetscMPIInt k = 0; k < size; k++) {
    const CordsLayout layout = CordsLayoutCut(rows, columns, channels, context->grid_rows, context->grid_columns, k);
    tiles[k] = CordsBoxOfLayout(&layout);
  }
  PetscCallMPI(MPI_Allgather(window, 4, MPIU_INT, windows, 4, MPIU_INT, h->comm));
  h->tile = tiles[rank];
  h->inside = CordsBoxIntersect(&h->tile, &h->window);
  PetscCall(FindParts(rank, size, &h->tile, windows, &h->send_count, &h->sends));
  PetscCall(FindParts(rank, size, &h->window, tiles, &h->receive_count, &h->receives));
  PetscCall(PetscMalloc1(h->send_count + h->receive_count, &h->requests));
  PetscCall(PetscFree2(tiles, windows));
  *halo = h;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PartsDestroy(PetscInt count, Part **parts)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsArrayDestroy(&(*parts)[k].buffer));
  PetscCall(PetscFree(*parts));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsHaloDestroy(CordsHalo *halo)
{
  CordsHalo h = *halo;

  PetscFunctionBegin;
  if (!h) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PartsDestroy(h->send_count, &h->sends));
  PetscCall(PartsDestroy(h->receive_count, &h->receives));
  PetscCall(PetscFree(h->requests));
  PetscCall(PetscFree(h));
  *halo = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static size_t PartBytes(const CordsHalo h, const Part *part)
{
  return (size_t)h->n * CordsBoxPixels(&part->box) * h->pixel_bytes;
}

/* Room for the part's items of the exchange at work. */
static PetscErrorCode Room(const CordsHalo h, Part *part)
{
  const size_t line = 64, lines = (PartBytes(h, part) + line - 1) / line;

  PetscFunctionBegin;
  if ((size_t)part->buffer.items >= lines) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&part->buffer));
  PetscCall(CordsArrayCreate(CORDS_F32, (PetscInt)lines, (PetscInt)(line / sizeof(float)), &part->buffer));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Count(const CordsHalo h, const Part *part, PetscMPIInt *count)
{
  PetscFunctionBegin;
  PetscCheck(PartBytes(h, part) <= (size_t)PETSC_MPI_INT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "a halo of %.0f MB in one message: fewer images or steps at a time", (double)PartBytes(h, part) / 1e6);
  *count = (PetscMPIInt)PartBytes(h, part);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsHaloBegin(CordsHalo h, CordsType type, PetscInt n, const void *tile, const CordsBox *unread,
                              void *window)
{
  const CordsBox nothing = {0};
  MPI_Request *request = h->requests;
  PetscMPIInt count;
  const int tag = 0;

  PetscFunctionBegin;
  h->n = n;
  h->pixel_bytes = (size_t)h->channels * CordsTypeSize(type);
  h->target = window;
  for (PetscInt k = 0; k < h->receive_count; k++) {
    Part *part = &h->receives[k];
    PetscCall(Room(h, part));
    PetscCall(Count(h, part, &count));
    PetscCallMPI(MPI_Irecv(part->buffer.data, count, MPI_BYTE, part->rank, tag, h->comm, request++));
  }
  for (PetscInt k = 0; k < h->send_count; k++) {
    Part *part = &h->sends[k];
    PetscCall(Room(h, part));
    PetscCall(Count(h, part, &count));
    CordsBoxCopy(&part->box, n, h->pixel_bytes, &h->tile, tile, &part->box, part->buffer.data);
    PetscCallMPI(MPI_Isend(part->buffer.data, count, MPI_BYTE, part->rank, tag, h->comm, request++));
    CordsTrafficCount(CORDS_TRAFFIC_HALO, 1, count);
  }
  CordsBoxCopyAround(&h->inside, unread ? unread : &nothing, n, h->pixel_bytes, &h->tile, tile, &h->window, window);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsHaloEnd(CordsHalo h)
{
  PetscFunctionBegin;
  PetscCallMPI(MPI_Waitall((PetscMPIInt)(h->send_count + h->receive_count), h->requests, MPI_STATUSES_IGNORE));
  for (PetscInt k = 0; k < h->receive_count; k++) {
    const Part *part = &h->receives[k];
    CordsBoxCopy(&part->box, h->n, h->pixel_bytes, &part->box, part->buffer.data, &h->window, h->target);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
