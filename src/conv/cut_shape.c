#include "conv/cut_shape.h"

/* One dimension: a kernel of `kernel` taps on `in` pixels gives `out`; own parts of both. */
typedef struct {
  PetscInt in, out, kernel, stride, pad;
  PetscInt in_start, in_count, out_start, out_count;
} Line;

/* A window, and the zero pixels before and after it. */
typedef struct {
  PetscInt start, count, before, after;
} Window;

/* Of the inputs that the own outputs read. */
static Window ForwardWindow(const Line *l)
{
  const PetscInt first = l->out_start * l->stride - l->pad;
  const PetscInt end = (l->out_start + l->out_count - 1) * l->stride - l->pad + l->kernel;
  Window w = {0};

  if (l->out_count == 0) return w;
  w.start = PetscMax(first, 0);
  w.count = PetscMin(end, l->in) - w.start;
  w.before = w.start - first;
  w.after = PetscMax(end - l->in, 0);
  return w;
}

/* Of the outputs that read own inputs, or lie beside those that do: a kernel shorter than its stride skips pixels, and
   then one output more keeps the border from being negative. */
static Window AdjointWindow(const Line *l)
{
  const PetscInt least =
      l->in_start + l->pad - l->kernel + 1; /* stride × the first output that reads the first input */
  const PetscInt rounded = l->kernel >= l->stride ? l->stride - 1 : 0;
  PetscInt last;
  Window w = {0};

  if (l->in_count == 0) return w;
  w.start = least > 0 ? PetscMin((least + rounded) / l->stride, l->out - 1) : 0;
  last = PetscMin((l->in_start + l->in_count - 1 + l->pad) / l->stride, l->out - 1);
  w.count = last - w.start + 1;
  w.before = l->in_start - (w.start * l->stride - l->pad);
  w.after = PetscMax(last * l->stride - l->pad + l->kernel - (l->in_start + l->in_count), 0);
  return w;
}

static CordsConvShape Smaller(const CordsConvShape *whole, const CordsBox *in, const CordsBox *out, const Window *rows,
                              const Window *columns)
{
  CordsConvShape s = *whole;

  s.in_rows = in->row_count;
  s.in_columns = in->column_count;
  s.out_rows = out->row_count;
  s.out_columns = out->column_count;
  s.pad_top = rows->before;
  s.pad_bottom = rows->after;
  s.pad_left = columns->before;
  s.pad_right = columns->after;
  return s;
}

static CordsBox BoxOf(const Window *rows, const Window *columns)
{
  if (rows->count == 0 || columns->count == 0) return (CordsBox){0};
  return (CordsBox){rows->start, rows->count, columns->start, columns->count};
}

CordsCutShape CordsCutShapeOf(const CordsConvShape *whole, PetscInt grid_rows, PetscInt grid_columns, PetscInt rank)
{
  const CordsConvShape *s = whole;
  const CordsLayout in = CordsLayoutCut(s->in_rows, s->in_columns, s->in_channels, grid_rows, grid_columns, rank);
  const CordsLayout out = CordsLayoutCut(s->out_rows, s->out_columns, s->out_channels, grid_rows, grid_columns, rank);
  const Line rows = {s->in_rows,   s->out_rows,  s->kernel_rows, s->stride,    s->pad_top,
                     in.row_start, in.row_count, out.row_start,  out.row_count};
  const Line columns = {s->in_columns,   s->out_columns,  s->kernel_columns, s->stride,       s->pad_left,
                        in.column_start, in.column_count, out.column_start,  out.column_count};
  const Window forward[2] = {ForwardWindow(&rows), ForwardWindow(&columns)};
  const Window adjoint[2] = {AdjointWindow(&rows), AdjointWindow(&columns)};
  CordsCutShape cut = {.in = CordsBoxOfLayout(&in), .out = CordsBoxOfLayout(&out)};

  cut.in_window = BoxOf(&forward[0], &forward[1]);
  cut.out_window = BoxOf(&adjoint[0], &adjoint[1]);
  cut.local = Smaller(whole, &cut.in, &cut.out, &(Window){0}, &(Window){0});
  cut.forward = Smaller(whole, &cut.in_window, &cut.out, &forward[0], &forward[1]);
  cut.adjoint = Smaller(whole, &cut.in, &cut.out_window, &adjoint[0], &adjoint[1]);
  return cut;
}
