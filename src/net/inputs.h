/* SPDX-License-Identifier: Apache-2.0 */
/* What a convolution sees: its input images with their border, and the covariance of their patches. */
#ifndef TARE_NET_INPUTS_H
#define TARE_NET_INPUTS_H

#include "net/layers.h"

/* The second moments of the patches of one slice of `layer`, taps x taps, freed by the caller; over as many of the images as it takes. */
tare_status tare_layer_covariance(tare_net *net, tare_layer *layer, const void *images, size_t count, double **matrix, tare_error *error);

#endif
