/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods: how the weights of a convolution are held while training.
 * The parameters t of a layer become its weights w (compose), the gradient of w that of t (backprop).
 * Arrays are of the net's precision, unit after unit; every function works on units first .. first+count-1,
 * so that a large layer is split over threads.
 */
#ifndef TARE_NET_METHODS_H
#define TARE_NET_METHODS_H

#include <tare/basis.h>
#include <tare/conv.h>

#include "base/rng.h"
#include "kernel/kernel.h"

typedef struct tare_weights tare_weights;

typedef enum tare_rule_use { TARE_RULE_MAY, TARE_RULE_MUST } tare_rule_use;

/* A row of the table in methods.c. */
typedef struct tare_method {
  const char *name;
  tare_rule_use rule;
  int holds;              /* the rule holds while training */
  const char *basis;      /* the basis behind it, NULL: parameters are as many as weights */
  int measures;           /* that basis is made from the measured covariance of the input */
  int absorbs;            /* that basis takes over the scale of the input (tare_basis_rescale); else the coefficients do */
  int projects;           /* after_step needs a basis to project with */
  int penalises;          /* the argument is the strength of the penalty */
  int split;              /* two layers: a frozen convolution gives the basis's responses, the weights mix them */
  int whole_filters;      /* works on filters, whatever the rule's unit */
  int approximate;        /* its backprop is not the gradient of the loss, by intent: nothing to check */
  int takes_argument;
  double argument, low, high; /* the default and its range */
  void (*compose)(const tare_weights *weights, size_t first, size_t count, const void *t, void *w);
  void (*backprop)(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g);
  void (*after_step)(const tare_weights *weights, size_t first, size_t count, void *t); /* NULL: nothing */
} tare_method;

/* NULL if there is none; the length of the name is up to '('. */
const tare_method *tare_method_find(const char *name, size_t length);
const char *tare_method_name(int i); /* NULL behind the last */

/* The weights of one layer. */
struct tare_weights {
  const tare_method *method;
  double argument;
  int outputs, channels, kernel[2]; /* channels: of one filter, that is of one group */
  tare_precision precision;
  const tare_kernels *kernels;
  tare_constraint *constraint;      /* NULL: no rule */
  int rows;                         /* of the rule */
  double *matrix, *target;          /* A and b */
  tare_basis *basis;                /* of the method; one to project with for projection; else NULL */
  size_t units;                     /* what the functions above count */
  int taps, coefficients;           /* weights and parameters of one unit */
  int composed;                     /* elements of one unit that compose writes: taps, or what the 1x1 of a split method has */
  double scale;                     /* the factor that the start gave the basis */
  double *covariance;               /* measured, taps of a slice squared, for methods that measure */
};

/* Checks method, rule and shape against each other. rule NULL: none. weights is freed with tare_weights_free also on failure. */
tare_status tare_weights_create(tare_weights *weights, const tare_method *method, double argument, const char *rule, int outputs,
                                int channels, const int kernel[2], tare_precision precision, tare_error *error);
void tare_weights_free(tare_weights *weights);
size_t tare_weights_count(const tare_weights *weights);      /* plain weights: outputs x channels x rows x columns */
size_t tare_weights_parameters(const tare_weights *weights);
size_t tare_weights_composed(const tare_weights *weights);   /* elements that compose writes in all */
int tare_weights_slice_taps(const tare_weights *weights);
/* A basis by name for these weights' rule ("spectral(0.5)"); covariance: slice_taps squared doubles, or NULL for the model. */
tare_status tare_weights_basis(const tare_weights *weights, const char *name, const double *covariance, tare_basis **out,
                               tare_error *error);
/* Makes the method's own basis anew from a covariance (NULL: the model) and a scale. */
tare_status tare_weights_set_basis(tare_weights *weights, const double *covariance, double scale, tare_error *error);
/* The plain weights, whatever compose gives. */
void tare_weights_plain(const tare_weights *weights, const void *t, void *w);
/* Parameters whose weights are w, or the nearest; both in double. */
tare_status tare_weights_solve(const tare_weights *weights, const double *w, double *t, tare_error *error);
/* Draws of the start, in double. Glorot: uniform, limit sqrt(6 / (fan_in + fan_out)). */
void tare_weights_glorot(const tare_weights *weights, int groups, tare_rng *rng, double *t);
/* Normal coefficients with E[(w - w0)' C (w - w0)] = 1 a filter; covariance as in tare_weights_basis. */
tare_status tare_weights_draw(const tare_weights *weights, const tare_basis *basis, const double *covariance, tare_rng *rng, double *t,
                              tare_error *error);
/* Adds the penalty's gradient to g (NULL: does not) and returns its value. */
double tare_weights_penalty(const tare_weights *weights, const void *t, void *g);
/* A hash of the signs of A w - b where a penalty has its kink; 0 without one. */
uint64_t tare_weights_sides(const tare_weights *weights, const void *t);

#endif
