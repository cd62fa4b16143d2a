/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: what was proved of the weights of one tensor, as JSON (doc/rounding.md lists the keys), and checking it against weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "round/integers.h"
#include "round/number.h"

#define KEY "tare_certificate"
enum { VERSION = 1 };

/* -0 counts as 0: formats of integers have one zero. */
static uint64_t hash(const float *w, size_t count) {
  uint64_t h = tare_mix(count, 0);
  for (size_t i = 0; i < count; i++) {
    float value = w[i] == 0 ? 0 : w[i];
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    h = tare_mix(h, bits);
  }
  return h;
}

static json_t *sizes_of(const tare_filter_shape *shape) {
  json_t *sizes = json_array();
  int failed = !sizes;
  for (int axis = 0; axis < shape->dims; axis++) failed |= json_array_append_new(sizes, json_integer(shape->size[axis]));
  if (!failed) return sizes;
  json_decref(sizes);
  return NULL;
}

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *state(const tare_constraint *c, const tare_rounding *r) {
  char digits[32];
  snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash(r->weights, r->filters * r->taps));
  json_t *j = json_object();
  const struct { const char *key; json_t *value; } entries[] = {
    {KEY, json_integer(VERSION)},
    {"rule", json_string(tare_constraint_text(c))},
    {"size", sizes_of(tare_constraint_shape(c))},
    {"channels", json_integer(tare_constraint_shape(c)->channels)},
    {"filters", json_integer((json_int_t)r->filters)},
    {"format", json_string(tare_number_format_name(r->format))},
    {"grade", json_string(r->grade == TARE_GRADE_GRID ? "grid" : "exact")},
    {"pixel_bits", json_integer(r->pixel_bits)},
    {"scales", json_integer((json_int_t)r->scales)},
    {"divisor", json_integer(r->divisor)},
    {"residual", json_string("0")},
    {"sum_max", json_integer(r->sum_max)},
    {"cost_mean", real(r->cost_mean)},
    {"cost_max", real(r->cost_max)},
    {"weights_hash", json_string(digits)},
  };
  int failed = !j;
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) failed |= json_object_set_new(j, entries[i].key, entries[i].value);
  if (!failed) return j;
  json_decref(j);
  return NULL;
}

tare_status tare_certificate_write(const tare_constraint *constraint, const tare_rounding *r, char **json, tare_error *error) {
  if (!constraint || !r || !json)
    return tare_fail(error, TARE_E_ARGUMENT, "certificate: a constraint, a rounding and a place for the text are needed; one is NULL");
  json_t *j = state(constraint, r);
  char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL, *copy = text ? tare_strdup(text) : NULL;
  free(text);
  json_decref(j);
  if (!copy) return tare_fail_memory(error, 1, "a certificate");
  tare_error why = {0};
  tare_status status = tare_certificate_verify(copy, r->filters * r->taps, r->weights, &why);
  if (status == TARE_OK) *json = copy;
  else tare_free(copy);
  if (status == TARE_E_DATA) return tare_fail(error, TARE_E_LIBRARY, "the weights are not what a certificate would state: %.900s", why.message);
  return status ? tare_fail(error, status, "%s", why.message) : TARE_OK;
}

void tare_certificate_free(char *json) { tare_free(json); }

/* What a certificate says, read; `rule`, `format` and `grade` belong to the JSON. */
typedef struct tare_claim {
  const char *rule, *format, *grade, *hash;
  json_int_t size[TARE_MAX_DIMS], channels, filters, pixel_bits, scales, divisor, sum_max;
  int dims;
} tare_claim;

static tare_status fail_key(const char *key, const char *expected, tare_error *error) {
  return tare_fail(error, TARE_E_DATA, "certificate: expected \"%s\" to be %s", key, expected);
}

static tare_status read_texts(const json_t *j, tare_claim *c, tare_error *error) {
  const struct { const char *key; const char **to; } keys[] = {
    {"rule", &c->rule}, {"format", &c->format}, {"grade", &c->grade}, {"weights_hash", &c->hash}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!(*keys[i].to = json_string_value(json_object_get(j, keys[i].key)))) return fail_key(keys[i].key, "a text", error);
  return TARE_OK;
}

static tare_status read_numbers(const json_t *j, tare_claim *c, tare_error *error) {
  const struct { const char *key; json_int_t *to, low, high; } keys[] = {
    {"channels", &c->channels, 1, 1 << 24}, {"filters", &c->filters, 0, 1LL << 40}, {"pixel_bits", &c->pixel_bits, 0, 16},
    {"scales", &c->scales, 1, 1 << 24},     {"divisor", &c->divisor, 1, 1 << 24},   {"sum_max", &c->sum_max, 0, 1LL << 60}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const json_t *value = json_object_get(j, keys[i].key);
    *keys[i].to = json_integer_value(value);
    if (!json_is_integer(value) || *keys[i].to < keys[i].low || *keys[i].to > keys[i].high)
      return fail_key(keys[i].key, "an integer in range", error);
  }
  const json_t *size = json_object_get(j, "size");
  c->dims = (int)json_array_size(size);
  if (c->dims < 1 || c->dims > TARE_MAX_DIMS) return fail_key("size", "1 to 3 sizes", error);
  for (int i = 0; i < c->dims; i++) {
    c->size[i] = json_integer_value(json_array_get(size, (size_t)i));
    if (c->size[i] < 1 || c->size[i] > 1 << 24) return fail_key("size", "sizes of at least 1", error);
  }
  return TARE_OK;
}

static tare_status read_claim(const json_t *j, tare_claim *c, tare_error *error) {
  if (!json_is_object(j) || json_integer_value(json_object_get(j, KEY)) != VERSION)
    return tare_fail(error, TARE_E_DATA, "certificate: expected JSON with \"" KEY "\": %d", VERSION);
  tare_status status = read_texts(j, c, error);
  return status ? status : read_numbers(j, c, error);
}

/* The claim against weights. */
typedef struct trial {
  const tare_claim *claim;
  tare_number_format format;
  int grid;
  size_t group;      /* taps that share a scale */
  int32_t *q;
  float *scale;
} trial;

static tare_status check_group(const trial *t, size_t i, const float *w, tare_error *error) {
  const tare_number *number = tare_number_of(t->format);
  int binary = t->grid || number->bits > 0;
  int32_t *q = t->q + i * t->group;
  int found = tare_integers_find(w + i * t->group, t->group, binary, number->bound, q, &t->scale[i]);
  if (found < 0) return tare_fail_memory(error, t->group * sizeof *q, "a certificate's integers");
  double largest = 0;
  for (size_t k = 0; k < t->group; k++) largest = fmax(largest, fabs((double)w[i * t->group + k]));
  if (!found || t->scale[i] < ldexpf(1, number->low) || largest > ldexp((double)number->bound, number->high))
    return tare_fail(error, TARE_E_DATA, "certificate: weights of filter %zu are no integers up to %lld times %s, as %s and grade %s ask",
                     i / (size_t)t->claim->scales, (long long)number->bound, binary ? "a power of two" : "a scale", number->name, t->claim->grade);
  return TARE_OK;
}

/* The integers found are the smallest, so their sums are at most those stated. */
static tare_status check_sums(const trial *t, size_t filters, size_t taps, tare_error *error) {
  int64_t limit = t->grid ? ((1 << 24) - 1) / ((1 << t->claim->pixel_bits) - 1) : INT64_MAX;
  if (t->claim->sum_max > limit)
    return tare_fail(error, TARE_E_DATA, "certificate: sums of %lld are over %lld, the bound of its grade", (long long)t->claim->sum_max, (long long)limit);
  for (size_t i = 0; i < filters; i++) {
    int64_t sum = 0;
    for (size_t k = 0; k < taps; k++) sum += abs(t->q[i * taps + k]);
    if (sum > t->claim->sum_max)
      return tare_fail(error, TARE_E_DATA, "certificate: the integers of filter %zu add up to %lld, more than the %lld stated", i, (long long)sum,
                       (long long)t->claim->sum_max);
  }
  return TARE_OK;
}

static tare_status check_rule(const trial *t, const tare_constraint *c, const float *w, tare_error *error) {
  const tare_claim *claim = t->claim;
  size_t filters = (size_t)claim->filters, groups = filters * (size_t)claim->scales;
  tare_status status = TARE_OK;
  for (size_t i = 0; i < groups && !status; i++) status = check_group(t, i, w, error);
  if (!status) status = check_sums(t, filters, t->group * (size_t)claim->scales, error);
  tare_residual residual;
  if (!status) status = tare_round_residual(c, filters, t->q, (size_t)claim->scales, t->scale, (int)claim->divisor, &residual, error);
  if (status || residual.max_abs == 0) return status;
  return tare_fail(error, TARE_E_DATA, "certificate: \"%s\" is broken: row %d of slice or filter %zu is off by %s", claim->rule, residual.worst_row,
                   residual.worst_unit, residual.fraction);
}

static tare_status try_claim(trial *t, const tare_constraint *c, size_t count, const float *w, tare_error *error) {
  const tare_claim *claim = t->claim;
  const tare_filter_shape *shape = tare_constraint_shape(c);
  size_t taps = (size_t)shape->channels;
  for (int axis = 0; axis < shape->dims; axis++) taps *= (size_t)shape->size[axis];
  size_t units = taps / (size_t)tare_constraint_taps(c), scales = (size_t)claim->scales;
  if ((size_t)claim->filters * taps != count)
    return tare_fail(error, TARE_E_DATA, "certificate: it speaks of %lld filters of %zu taps, the weights are %zu", (long long)claim->filters, taps, count);
  if (scales != 1 && (scales != units || t->grid || !tare_number_of(t->format)->bits)) return fail_key("scales", "what format and grade ask", error);
  char digits[32];
  snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash(w, count));
  if (strcmp(digits, claim->hash) != 0) return tare_fail(error, TARE_E_DATA, "certificate: the weights are not those that it speaks of (their hash differs)");
  t->group = taps / scales;
  t->q = tare_alloc(count, sizeof *t->q);
  t->scale = tare_alloc((size_t)claim->filters * scales, sizeof *t->scale);
  tare_status status = t->q && t->scale ? check_rule(t, c, w, error) : tare_fail_memory(error, count * sizeof *t->q, "a certificate's integers");
  tare_free(t->q);
  tare_free(t->scale);
  return status;
}

static tare_status check_claim(const tare_claim *claim, size_t count, const float *w, tare_error *error) {
  trial t = {.claim = claim, .grid = strcmp(claim->grade, "grid") == 0};
  if (!t.grid && strcmp(claim->grade, "exact") != 0) return fail_key("grade", "exact or grid", error);
  if (t.grid && claim->pixel_bits != 8 && claim->pixel_bits != 16) return fail_key("pixel_bits", "8 or 16", error);
  if (tare_number_format_find(claim->format, &t.format, NULL)) return fail_key("format", "a number format", error);
  for (size_t i = 0; i < count; i++)
    if (!isfinite(w[i])) return tare_fail(error, TARE_E_DATA, "certificate: weight %zu is not finite", i);
  tare_filter_shape shape = {.dims = claim->dims, .channels = (int)claim->channels};
  for (int i = 0; i < claim->dims; i++) shape.size[i] = (int)claim->size[i];
  tare_constraint *c = NULL;
  tare_error why = {0};
  tare_status status = tare_constraint_create(claim->rule, &shape, 1, &c, &why);
  if (status == TARE_E_MEMORY) return tare_fail(error, status, "%s", why.message);
  if (status) return tare_fail(error, TARE_E_DATA, "certificate: its rule: %.900s", why.message);
  status = try_claim(&t, c, count, w, error);
  tare_constraint_free(c);
  return status;
}

tare_status tare_certificate_verify(const char *json, size_t count, const float *weights, tare_error *error) {
  if (!json || (!weights && count)) return tare_fail(error, TARE_E_ARGUMENT, "certificate: its text and weights are needed; one is NULL");
  json_error_t why;
  json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, &why);
  if (!j) return tare_fail(error, TARE_E_DATA, "certificate: %s", why.text);
  tare_claim c = {0};
  tare_status status = read_claim(j, &c, error);
  if (!status) status = check_claim(&c, count, weights, error);
  json_decref(j);
  return status;
}
