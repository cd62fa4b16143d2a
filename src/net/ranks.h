/* SPDX-License-Identifier: Apache-2.0 */
/* What a network does with other ranks: sums of batch norm at once, gradients in buckets on their way while backward goes on. */
#ifndef TARE_NET_RANKS_H
#define TARE_NET_RANKS_H

#include <tare/ranks.h>

#include "net/moments.h"
#include "net/net.h"

/* Gradients that travel together; how far they are is in ranks.c. */
typedef struct tare_bucket {
  size_t size, chunk;       /* elements; those that this rank sums: size <= chunk x ranks */
  void *values, *parts;     /* chunk x ranks elements each */
  int layers, filled;
  int stage;
  void *request;
} tare_bucket;

struct tare_exchange {
  const tare_ranks *ranks;
  tare_bucket *buckets;
  int count;
  tare_error error;         /* of the first failure */
};

/* Ranks whose sums this pass takes: NULL when alone. */
const tare_ranks *tare_net_ranks(const tare_net *net);
int tare_net_first_image(const tare_net *net);   /* of this rank in the whole batch */
int tare_net_all_images(const tare_net *net);    /* in it */
/* The moments of all ranks, in the fixed tree; unchanged if batch norm keeps to its own. */
void tare_ranks_moments(tare_net *net, int channels, tare_moments *moments);
/* values[i] summed over the ranks in the fixed tree. */
void tare_ranks_add(tare_net *net, double *values, size_t count);
/* Puts n elements into the layer's bucket, which goes when it is full; and gets them back, summed. */
void tare_ranks_send(tare_net *net, const tare_layer *layer, const void *values, size_t n);
void tare_ranks_receive(tare_net *net, const tare_layer *layer, void *values, size_t n);
void tare_exchange_free(struct tare_exchange *exchange);

#endif
