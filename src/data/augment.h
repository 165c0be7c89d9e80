/* Random changes of training images.  All functions here are pure: the result depends on the arguments only, random
   numbers on the key, so that an image is changed the same way on any number of ranks.  They may be called from several
   threads at once.  Images are [row][column][channel].

   In this order: CordsCropDraw and CordsResizedCrop (data/resized_crop.h) where images have any size;
   CordsAugmentPixels on bytes; CordsAugmentImage on float32, 0..1; CordsAugmentMix on the normalised images of a batch.

   The definitions are those of torchvision: RandomResizedCrop and RandAugment on PIL images; RandomHorizontalFlip,
   RandomAffine, ColorJitter, ElasticTransform, CutMix, MixUp on float tensors. */
#ifndef CORDS_DATA_AUGMENT_H
#define CORDS_DATA_AUGMENT_H

#include "data/random_augment.h"
#include "data/resized_crop.h"

/* What is done to the training images of a dataset; a zero switches the part off. */
typedef struct {
  CordsCropRange crop;                        /* random box instead of the whole image */
  CordsRandomAugment operations;              /* RandAugment */
  PetscBool flip;                             /* left to right, with probability 1/2 */
  PetscBool affine;                           /* the next four */
  double angle_deg;                           /* rotation, uniform in ± */
  double translate;                           /* shift, uniform in ± this part of the side, in whole pixels */
  double scale_min, scale_max;                /* uniform */
  double shear_deg;                           /* along x, uniform in ± */
  double brightness, contrast;                /* factors uniform in 1 ± */
  double elastic_alpha, elastic_sigma_pixels; /* size and smoothness of the displacement */
  PetscBool mix;                              /* CutMix or MixUp, with probability 1/2 each */
} CordsAugmentation;

/* Are images changed as bytes (flip included) before they are floats? */
static inline PetscBool CordsAugmentOnBytes(const CordsAugmentation *augmentation)
{
  return (PetscBool)(augmentation->crop.area_max > 0 || augmentation->operations.count > 0);
}

/* Flip, then RandAugment, in place, of an image that is resized already, if CordsAugmentOnBytes; else nothing.
   key.sample is the number of the image.  work: CordsRandomAugmentWorkBytes bytes. */
void CordsAugmentPixels(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key,
                        uint8_t *image, uint8_t *work);

void CordsAugmentFlipPixels(CordsImageShape shape, uint8_t *image);

/* Numbers of work space that CordsAugmentImage needs. */
size_t CordsAugmentWorkSize(CordsImageShape shape);

/* Flip (unless CordsAugmentPixels does it), affine map, jitter, elastic, in this order, in place; key.sample is the
   number of the image.  image: 0..1 */
void CordsAugmentImage(const CordsAugmentation *augmentation, CordsImageShape shape, CordsRandomKey key, float *image,
                       float *work);

void CordsAugmentFlip(CordsImageShape shape, float *image);

/* The inverse map of: shear along x, rotate (clockwise on the screen), scale, about the centre, then shift.  An output
   pixel at (x, y) from the centre shows the input at (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]). */
void CordsAugmentAffineMatrix(double angle_deg, double shift_x, double shift_y, double scale, double shear_deg,
                              double m[6]);

/* Nearest neighbour (ties to even), zero outside. */
void CordsAugmentAffine(CordsImageShape shape, const double m[6], const float *input, float *output);

/* factor · image, cut to 0..1. */
void CordsAugmentBrightness(CordsImageShape shape, double factor, float *image);

/* factor · image + (1 − factor) · (mean of the grey image), cut to 0..1. */
void CordsAugmentContrast(CordsImageShape shape, double factor, float *image);

/* Move: output pixel (row, column) shows the input at (column + dx, row + dy), pixels; bilinear, zero outside, and what
   is partly outside is darkened by that part once more, as torchvision's filling with zero does.
   dx, dy: [row][column] */
void CordsAugmentWarp(CordsImageShape shape, const float *dx, const float *dy, const float *input, float *output);

/* Gaussian of sigma pixels on a field [row][column], the kernel cut at 4 sigma, reflected at the border (the outermost
   pixel is not repeated).  work: as many numbers as the field. */
void CordsAugmentSmooth(PetscInt rows, PetscInt columns, double sigma, float *field, float *work);

/* How the images of one batch are mixed with their neighbours. */
typedef struct {
  double share;  /* of the image itself; its neighbour has 1 − share */
  PetscBool cut; /* CutMix: the box is the neighbour's; else MixUp: all pixels are weighted */
  PetscInt row_start, row_end, column_start, column_end;
} CordsMix;

/* key.sample is the number of the batch. */
CordsMix CordsAugmentMixDraw(CordsImageShape shape, CordsRandomKey key);

/* image: changed in place; neighbour: not mixed itself. */
void CordsAugmentMix(CordsImageShape shape, const CordsMix *mix, const float *neighbour, float *image);

#endif
