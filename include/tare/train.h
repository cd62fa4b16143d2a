/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training: losses, optimisers, schedules, the loop, checkpoints, model files.
 * Batches come through a callback, so that any program can bring its own data.
 */
#ifndef TARE_TRAIN_H
#define TARE_TRAIN_H

#include <stdint.h>
#include <tare/net.h>
#include <tare/data.h>
#include <tare/format.h>
#include <tare/round.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One batch. Arrays belong to the callback and stay valid until it is called again. */
typedef struct tare_batch {
  int count; /* images; at most the net's batch */
  const float *images;    /* count x h x w x c */
  const int32_t *labels;  /* count, for cross-entropy; else NULL */
  const float *targets;   /* count x output_size, for mean squared error; else NULL */
} tare_batch;
/*
 * Fill `batch` for step `index` (0, 1, ...): a pure function of index, so that
 * a run can resume. Another status than TARE_OK ends the run with it.
 */
typedef tare_status (*tare_batch_fn)(void *user, uint64_t index, tare_batch *batch, tare_error *error);

/* Cross-entropy of labels, mean squared error of targets (doc/train.md). */
typedef enum tare_loss { TARE_LOSS_CROSS_ENTROPY, TARE_LOSS_MSE } tare_loss;

/* Where a training stands after a step. */
typedef struct tare_progress {
  uint64_t first;         /* where this run began: 0, or the checkpoint's step */
  uint64_t step, steps;   /* finished, in all */
  double loss;            /* of this step's batch, penalties not counted */
  double penalty; /* the penalties' share */
  double accuracy;        /* of this step's batch, 0..1; NAN for MSE */
  double lr; /* of this step */
  double seconds;         /* of this run, since its step `first` */
  uint64_t skipped;       /* steps skipped, in all; of a skipped one loss, penalty and accuracy are NAN */
} tare_progress;

/* A training; tare_train_defaults fills it. */
typedef struct tare_train_options {
  const char *optimizer;   /* "adam" "adamw" "sgd"; the table is src/train/optimizers.c */
  double lr;               /* 0: the optimiser's own default */
  double momentum;         /* sgd: 0.9 unless given; NAN: default */
  double beta1, beta2, epsilon; /* NAN: 0.9, 0.999, 1e-8 (1e-7 is Keras's) */
  double weight_decay;     /* 0 or more, on the trained parameters; adamw decoupled */
  const char *schedule;    /* "constant" "cosine" "step(N,F)": times F every N steps; NULL: constant */
  tare_loss loss; /* which of the two */
  uint64_t steps;          /* in all, also after a resume; at least 1 */
  const char *checkpoint;  /* a path, or NULL */
  uint64_t checkpoint_every; /* steps; 0: at the end only */
  int resume;              /* continue from the checkpoint if it is there; *resumed of the result says */
  /*
   * A step whose loss or gradient is not finite changes nothing and is skipped, if fewer than so many before it in a row were; else it ends the
   * run. 10; 0: the first one does.
   */
  int most_skipped;
  int started;             /* 1: the net was started or its weights were set: go on from them. 0: start it */
  /* After each step; not 0 stops with TARE_E_STOPPED (checkpoint written first); may be NULL. */
  int (*progress)(void *user, const tare_progress *progress);
  void *user;              /* handed to progress */
  /*
   * Other ranks that train the same network (ranks.h); NULL: alone. The net's batch is then this rank's share of the whole, and `batches` gives
   * that share of batch `index`. Rank 0 writes the checkpoint, which names the whole batch and goes on with any number of ranks. A stop that any
   * rank asks for stops all after the same step. Must outlive the call.
   */
  const tare_ranks *ranks;
} tare_train_options;
/* The values that the comments above name. */
TARE_API void tare_train_defaults(tare_train_options *options);

/* What a training came to. */
typedef struct tare_train_result {
  uint64_t steps;      /* finished */
  int resumed;         /* 1 if it continued from a checkpoint */
  double last_loss;    /* of the last step's batch */
  double seconds;      /* of this run */
  uint64_t skipped;    /* steps that changed nothing, of all */
} tare_train_result;

/*
 * Train a created float net. It is started (tare_net_start) from the first
 * batches, 256 images in all (their indices may go past `steps`; images with values that are not finite are passed over; training then
 * begins with batch 0 again), unless resumed or `started`. At the end the last
 * 50 batches are shown again, forward only, so that batch norm's running statistics are those of the final weights. TARE_E_DIVERGED when
 * more steps in a row than `most_skipped` have a loss or gradient that is not finite, or the parameters after a step are not (a checkpoint
 * of before is left as it was).
 * A checkpoint of another network, input, batch size, seed or options is
 * TARE_E_DATA and the message names what differs; `steps` may differ, and a
 * missing file starts afresh. Resumed training has the same bits as training in
 * one go. result may be NULL.
 */
TARE_API tare_status tare_train(tare_net *net, tare_batch_fn batches, void *user, const tare_train_options *options,
                                tare_train_result *result, tare_error *error);

/* What a network knows of the images it was shown. */
typedef struct tare_eval_result {
  double loss;      /* mean over images; mean squared error over their values too */
  double accuracy;  /* 0..1; NAN for MSE */
  size_t images; /* how many were shown */
} tare_eval_result;
/* Over `count` batches, with running statistics and without dropout. `correct` (may be NULL) gets 1 or 0 per image, in order. */
TARE_API tare_status tare_evaluate(tare_net *net, tare_batch_fn batches, void *user, uint64_t count, tare_loss loss,
                                   tare_eval_result *result, uint8_t *correct, tare_error *error);

/* Batches of a source: user is a tare_source_batches. */
typedef struct tare_source_batches tare_source_batches;
TARE_API tare_status tare_source_batches_create(const tare_source *source, tare_part part, uint64_t seed, int batch,
                                                tare_source_batches **out, tare_error *error);
/* Only the share of one rank of every training batch: count/ranks images from rank * count/ranks on. Before the first batch. */
TARE_API tare_status tare_source_batches_share(tare_source_batches *batches, int rank, int ranks, tare_error *error);
TARE_API void tare_source_batches_free(tare_source_batches *batches);
TARE_API uint64_t tare_source_batches_count(const tare_source_batches *batches); /* of one epoch, or of the test set */
TARE_API tare_status tare_source_batch(void *source_batches, uint64_t index, tare_batch *batch, tare_error *error); /* a tare_batch_fn */

/*
 * The model file: safetensors with the composed weights under plain names.
 * Convolutions under a rule that binary floats can hold are rounded so that it holds exactly.
 * Metadata: "format" "tare-model-1", "net" the line, "input" "HxWxC", "classes" names, "rules" JSON
 * [{"tensor","rule","exact":true|false}], "train_hashes", and `extra`.
 */
TARE_API tare_status tare_model_save(tare_net *net, const char *path, const char *const *class_names, int classes,
                                     const uint64_t *train_hashes, size_t hashes, const tare_metadata *extra, size_t extra_count,
                                     tare_error *error);
typedef struct tare_model tare_model;
TARE_API tare_status tare_model_load(const char *path, int batch, int threads, tare_model **out, tare_error *error);
TARE_API void tare_model_free(tare_model *model);
TARE_API tare_net *tare_model_net(tare_model *model); /* the model's; its stored weights are pinned */
TARE_API const tare_tensors *tare_model_file(const tare_model *model);
TARE_API size_t tare_model_train_hashes(const tare_model *model, uint64_t *hashes, size_t size);
TARE_API int tare_model_classes(const tare_model *model);

/* How a model becomes ONNX; all zero: fp32, exact. */
typedef struct tare_export_options {
  int format;         /* a tare_number_format for all convolutions; -1: the weights as the file has them */
  tare_grade grade;   /* grid: rounded anew */
  int pixel_bits;     /* 8 (0 is 8): the file takes 0..255; 16: 0..65535 */
  int fold;           /* 1: batch norm that follows a convolution goes into its filters, before they are rounded */
} tare_export_options;
/* What was done to it. */
typedef struct tare_export_result {
  int folded;         /* batch norms */
  char scaled[64];    /* where the pixels' factor 2^-bits went: "conv1.weight", "a node of its own" */
} tare_export_result;
/*
 * Writes the model as ONNX (opset 17): nchw, plain operators, names as in the model file. int8 and int4 weights are INT8 behind a
 * DequantizeLinear with a scale a filter and zero-point 0; activations are float. Rules and certificates are in the
 * metadata; of the filters that took the pixels' factor the rule holds times 2^bits ("times"). TARE_E_ARGUMENT: a batch norm cannot be
 * folded (b is not 0), the format cannot hold a rule. result may be NULL.
 */
TARE_API tare_status tare_model_export(tare_model *model, const char *path, const tare_export_options *options, tare_export_result *result,
                                       tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
