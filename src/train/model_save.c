/* SPDX-License-Identifier: Apache-2.0 */
/* The model file: composed weights under plain names, the network and its rules in the metadata (doc/formats.md). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/train.h"
#include "train/written.h"

enum { OWN_ENTRIES = 6 };

/* Everything a model file needs while it is made. */
typedef struct model_file {
  tare_net *net;
  size_t count;
  tare_net_tensor *infos;  /* hold the tensors' names */
  tare_tensor *tensors;
  float *values;           /* all tensors, one after another */
  json_t *rules;
  char input[48], *rules_text, *classes_text, *hashes_text;
  tare_metadata *metadata;
} model_file;

static void model_file_free(model_file *m) {
  json_decref(m->rules);
  free(m->rules_text);
  free(m->classes_text);
  tare_free(m->hashes_text);
  tare_free(m->infos);
  tare_free(m->tensors);
  tare_free(m->values);
  tare_free(m->metadata);
}

static tare_status make_arrays(model_file *m, tare_error *error) {
  size_t total = 0;
  m->count = tare_net_tensor_count(m->net);
  m->infos = tare_alloc(m->count, sizeof *m->infos);
  m->tensors = tare_alloc(m->count, sizeof *m->tensors);
  if (!m->infos || !m->tensors) return tare_fail_memory(error, m->count * sizeof *m->infos, "a model file");
  for (size_t i = 0; i < m->count; i++) {
    tare_status status = tare_net_tensor_info(m->net, i, &m->infos[i], error);
    if (status) return status;
    total += tare_written_values(&m->infos[i]);
  }
  m->values = tare_alloc(total, sizeof *m->values);
  return m->values ? TARE_OK : tare_fail_memory(error, total * sizeof *m->values, "a model file");
}

static tare_status fill_tensors(model_file *m, tare_error *error) {
  float *values = m->values;
  m->rules = json_array();
  for (size_t i = 0; i < m->count; i++) {
    const tare_net_tensor *info = &m->infos[i];
    int exact;
    tare_status status = tare_train_written_tensor(m->net, i, values, &exact, error);
    if (status) return status;
    m->tensors[i] = (tare_tensor){.name = info->name, .dtype = TARE_DTYPE_F32, .dims = info->dims, .data = values};
    memcpy(m->tensors[i].shape, info->shape, (size_t)info->dims * sizeof *info->shape);
    values += tare_written_values(info);
    const tare_constraint *rule = info->constraint;
    if (!rule || tare_constraint_rows(rule) == 0) continue;
    if (json_array_append_new(m->rules, json_pack("{s:s, s:s, s:b}", "tensor", info->name, "rule", tare_constraint_text(rule), "exact", exact)))
      return tare_fail_memory(error, 1, "a model file");
  }
  return TARE_OK;
}

static tare_status write_words(model_file *m, const char *const *class_names, int classes, const uint64_t *hashes, size_t count,
                               tare_error *error) {
  const tare_net_options *o = tare_net_get_options(m->net);
  snprintf(m->input, sizeof m->input, "%dx%dx%d", o->height, o->width, o->channels);
  json_t *names = json_array();
  for (int i = 0; i < classes; i++)
    if (json_array_append_new(names, class_names[i] ? json_string(class_names[i]) : NULL)) {
      json_decref(names);
      return tare_fail(error, TARE_E_ARGUMENT, "the name of class %d is not UTF-8 text, or memory is out", i);
    }
  m->classes_text = json_dumps(names, JSON_COMPACT);
  m->rules_text = json_dumps(m->rules, JSON_COMPACT);
  m->hashes_text = tare_alloc(count * TARE_HASH_DIGITS + 1, 1);
  json_decref(names);
  if (!m->classes_text || !m->rules_text || !m->hashes_text) return tare_fail_memory(error, count * TARE_HASH_DIGITS, "a model file");
  for (size_t i = 0; i < count; i++)
    snprintf(m->hashes_text + i * TARE_HASH_DIGITS, TARE_HASH_DIGITS + 1, "%016llx", (unsigned long long)hashes[i]);
  return TARE_OK;
}

static tare_status fill_metadata(model_file *m, const tare_metadata *extra, size_t extra_count, tare_error *error) {
  const tare_metadata own[OWN_ENTRIES] = {{"format", TARE_MODEL_FORMAT}, {"net", tare_net_line(m->net)}, {"input", m->input},
                                          {"classes", m->classes_text}, {"rules", m->rules_text}, {"train_hashes", m->hashes_text}};
  m->metadata = tare_alloc(OWN_ENTRIES + extra_count, sizeof *m->metadata);
  if (!m->metadata) return tare_fail_memory(error, (OWN_ENTRIES + extra_count) * sizeof *m->metadata, "a model file");
  memcpy(m->metadata, own, sizeof own);
  if (extra_count) memcpy(m->metadata + OWN_ENTRIES, extra, extra_count * sizeof *extra);
  return TARE_OK;
}

tare_status tare_model_save(tare_net *net, const char *path, const char *const *class_names, int classes, const uint64_t *train_hashes,
                            size_t hashes, const tare_metadata *extra, size_t extra_count, tare_error *error) {
  if (!net || !path || classes < 0 || (classes && !class_names) || (hashes && !train_hashes) || (extra_count && !extra))
    return tare_fail(error, TARE_E_ARGUMENT, "a model file needs a network, a path and the lists that are counted; one is NULL");
  model_file m = {.net = net};
  tare_status status = make_arrays(&m, error);
  if (!status) status = fill_tensors(&m, error);
  if (!status) status = write_words(&m, class_names, classes, train_hashes, hashes, error);
  if (!status) status = fill_metadata(&m, extra, extra_count, error);
  if (!status) status = tare_safetensors_write(path, m.tensors, m.count, m.metadata, OWN_ENTRIES + extra_count, error);
  model_file_free(&m);
  return status;
}
