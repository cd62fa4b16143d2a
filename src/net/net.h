/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the net room. A line is parsed into items, one a layer of the line; an item adds one
 * layer or two to the chain. Every layer keeps its output for the whole batch, shard after
 * shard, each shard aligned; gradients go down through two buffers in turn. A pass
 * is a list of stages: all stages up to one with a join run shard by shard, while the shard's
 * data is in the cache; then the join sees all shards.
 */
#ifndef TARE_NET_NET_H
#define TARE_NET_NET_H

#include <stdatomic.h>
#include <tare/basis.h>
#include <tare/net.h>
#include <tare/pool.h>

#include "base/error.h"
#include "base/text.h"
#include "kernel/kernel.h"
#include "net/line.h"
#include "net/methods.h"

enum { TARE_SHARD_IMAGES = 8 };

typedef struct tare_layer tare_layer;
typedef void (*tare_shard_fn)(tare_net *net, tare_layer *layer, int shard, int worker);
typedef void (*tare_join_fn)(tare_net *net, tare_layer *layer);

typedef struct tare_layer_kind tare_layer_kind;

/* One layer of the line, as parsed. */
typedef struct tare_item {
  const tare_layer_kind *kind;
  int number, column;      /* place in the line, from 1 */
  int place;               /* from the end of the line, from 1: the random stream, so that nets with another head draw the same tail */
  int outputs;             /* filters, or outputs of dense */
  int kernel[2], stride, groups, dilation, bias;
  int pad;                 /* -1: (K-1)/2, as "same" */
  tare_border border;
  char *rule;              /* without braces; NULL: none */
  int rule_column, bare_rule; /* bare: without braces */
  int argument_column;     /* of the first word behind the name */
  const tare_method *method;
  double argument;         /* of the method */
  double rate;             /* of dropout */
} tare_item;

/* A row of the table in layers.c: a word of the line. */
struct tare_layer_kind {
  const char *name;
  const char *usage;       /* what may follow the name */
  tare_status (*parse)(tare_words *words, tare_item *item, tare_error *error); /* NULL: nothing follows */
  void (*write)(const tare_item *item, tare_text *text);                       /* " 8x7 sum=0 spectral"; NULL: nothing follows */
  tare_status (*add)(tare_net *net, tare_item *item, tare_error *error);       /* appends its layers through tare_net_add */
};

/* What a layer does; any entry may be NULL. */
typedef struct tare_layer_ops {
  int in_place;            /* the output takes the place of the input, the gradient too */
  int gradient_in_place;   /* the gradient does */
  tare_status (*create)(tare_net *net, tare_layer *layer, tare_error *error); /* once all layers are known: plans, scratch */
  void (*free)(tare_layer *layer);
  tare_status (*start)(tare_net *net, tare_layer *layer, const void *images, size_t count, tare_error *error);
  tare_status (*refresh)(tare_net *net, tare_layer *layer, tare_error *error); /* after the parameters changed */
  void (*after_step)(tare_net *net, tare_layer *layer);
  tare_shard_fn forward;      /* shard by shard */
  tare_join_fn forward_join;  /* all shards done */
  tare_shard_fn forward_after;
  tare_shard_fn backward;
  tare_join_fn backward_join;
  tare_shard_fn backward_after;
  tare_join_fn send;          /* with other ranks, after backward: its partial gradients go on their way */
  void (*reduce)(tare_net *net, tare_layer *layer);        /* shards' partial gradients into the gradient array */
  uint64_t (*pattern)(tare_net *net, tare_layer *layer);   /* a hash of the choices it made: a numeric derivative must not cross a kink */
} tare_layer_ops;

struct tare_layer {
  const tare_layer_ops *ops;
  const tare_item *item;      /* NULL for the input and the output */
  tare_layer *below;          /* the layer before it in the chain; NULL for the input */
  int in[3], out[3];          /* rows, columns, channels of one image */
  size_t in_size, out_size;   /* elements of one image */
  void *output;               /* shard s begins at s * stride elements; owned unless in_place */
  size_t stride;
  int owns_output;
  int needs_dx;               /* backward must give the gradient of the input */
  int slot_dy, slot_dx;       /* which of the two gradient buffers */
  int trains;                 /* has parameters */
  int skip;                   /* another layer does its work */
  size_t parameters, parameter_count; /* in the flat arrays */
  size_t state, state_count;
  int bucket;                 /* ranks.c: where its gradients travel */
  size_t bucket_at;
  void *self;                 /* what its family keeps */
};

/* A tensor under its plain name. */
typedef enum tare_role { TARE_ROLE_WEIGHT, TARE_ROLE_PARAMETER, TARE_ROLE_STATE } tare_role;
typedef struct tare_tensor_entry {
  tare_net_tensor info;
  tare_layer *layer;
  tare_role role;
  size_t offset, count;       /* in the flat array of its role */
} tare_tensor_entry;

/* START: batch statistics, nothing random, nothing kept. */
typedef enum tare_mode { TARE_MODE_EVAL, TARE_MODE_TRAIN, TARE_MODE_START } tare_mode;

typedef struct tare_stage { tare_layer *layer; tare_shard_fn shard; tare_join_fn join; } tare_stage;
typedef struct tare_stages { tare_stage *list; int count; } tare_stages;

struct tare_net {
  tare_net_options options;
  int input_gradient;         /* backward goes down to the pixels */
  const tare_kernels *kernels;
  size_t real;                /* bytes of an element */
  tare_pool *pool;
  tare_item *items;
  int item_count;
  char *line;
  tare_layer **layers;        /* the input first, the output last */
  int layer_count;
  tare_tensor_entry *tensors;
  int tensor_count;
  void *parameters, *gradients, *state;
  size_t parameter_count, state_count;
  void *gradient[2];          /* shard s begins at s * gradient_stride elements */
  size_t gradient_stride;
  void **scratch;             /* a worker each */
  size_t scratch_bytes;
  tare_stages forward, backward;
  double *scales;             /* what get_scales hands out */
  tare_text notes;            /* of the start */
  int stale;                  /* parameters changed since the last refresh */
  int pinned;                 /* weights that are pinned */
  /* The pass that runs: */
  const void *images, *doutput;
  void *output;               /* contiguous, the caller's view */
  int count;                  /* images */
  int shards;
  tare_mode mode;
  uint64_t step;
  const tare_stage *running;
  int running_count;
  atomic_int failed;          /* a status that a shard met */
  struct tare_exchange *exchange; /* ranks.c; NULL: alone */
};

/* net.c, chain.c */
void tare_net_add_note(tare_net *net, const char *note); /* a line of tare_net_notes, until the next start; "" adds none */
tare_status tare_net_make(const char *line, const tare_net_options *options, int input_gradient, tare_net **out, tare_error *error);
/* Appends a layer of output h x w x c whose `self` is `self_size` zeroed bytes; NULL with error filled when out of memory. */
tare_layer *tare_net_add(tare_net *net, const tare_item *item, const tare_layer_ops *ops, int h, int w, int c, size_t self_size,
                         tare_error *error);
const int *tare_net_shape(const tare_net *net); /* rows, columns, channels that the chain gives so far */
/* A tensor NAMEn.part, n counting the layers of the item's kind. */
tare_status tare_net_name_tensor(tare_net *net, tare_layer *layer, const char *part, tare_role role, size_t offset, int dims,
                                 const int64_t *shape, tare_error *error);
int tare_net_shard_capacity(const tare_net *net);  /* images of a full shard: 8, or the batch if that is smaller */
int tare_net_max_shards(const tare_net *net);
/* "layer 2, column 7: ..." */
tare_status tare_item_fail(const tare_item *item, int column, tare_status status, tare_error *error, const char *format, ...)
  __attribute__((format(printf, 5, 6)));
tare_status tare_item_prefix(const tare_item *item, int column, tare_status status, tare_error *error);

/* run.c */
tare_status tare_net_stages(tare_net *net, tare_error *error);              /* the lists of both passes */
tare_status tare_net_run(tare_net *net, const tare_stages *stages, tare_error *error);
/* Forward of `count` images through the layers before `layer` (NULL: all). */
tare_status tare_net_forward_to(tare_net *net, const tare_layer *layer, const void *images, int count, tare_mode mode, uint64_t step,
                                tare_error *error);
tare_status tare_net_refresh(tare_net *net, tare_error *error);
int tare_shard_images(const tare_net *net, int shard);                      /* in the running batch */
void *tare_at(const tare_net *net, const void *array, size_t elements);     /* array + elements, whatever the precision */
void *tare_layer_x(const tare_net *net, const tare_layer *layer, int shard);
void *tare_layer_y(const tare_net *net, const tare_layer *layer, int shard);
void *tare_layer_dy(const tare_net *net, const tare_layer *layer, int shard);
void *tare_layer_dx(const tare_net *net, const tare_layer *layer, int shard);
void tare_net_note(tare_net *net, tare_status status);                      /* keeps the first failure of a pass */
/* run(user, first, count) over pieces of `chunk` of 0 .. total-1, on the pool; the same pieces for any number of threads. */
typedef void (*tare_piece_fn)(void *user, size_t first, size_t count);
void tare_net_pieces(tare_net *net, size_t total, size_t chunk, tare_piece_fn run, void *user);
/* Adds `arrays` arrays of n elements, `stride` apart, into the first, in a fixed tree: neighbours, then neighbouring pairs, ... */
void tare_net_tree(tare_net *net, void *base, size_t stride, size_t n, int arrays);

/* layers.c */
const char *tare_layer_kind_name(int i);
tare_status tare_net_parse(tare_net *net, const char *line, tare_error *error);
char *tare_net_write_line(const tare_net *net);

#endif
