/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoard's event files: protocol buffers (events.proto) in TensorFlow's record format, doc/formats.md. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tare/events.h>
#include <tare/image.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/png.h"
#include "events.pb-c.h"

enum { BUCKETS = 50 };

struct tare_events { FILE *file; char *path; };

/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78: RFC 3720, appendix B.4), "masked" as TensorFlow's records have it. */
static uint32_t masked_crc(const uint8_t *data, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void little_endian(uint8_t *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static tare_status cannot_write(const char *path, tare_error *error) {
  return tare_fail(error, TARE_E_IO, "%s: cannot be written: %s", path, strerror(errno));
}

/* A record: its length and the length's CRC, the message and its CRC. */
static tare_status write_record(tare_events *events, const uint8_t *message, size_t size, tare_error *error) {
  uint8_t head[12], tail[4];
  little_endian(head, size, 8);
  little_endian(head + 8, masked_crc(head, 8), 4);
  little_endian(tail, masked_crc(message, size), 4);
  if (fwrite(head, sizeof head, 1, events->file) == 1 && fwrite(message, 1, size, events->file) == size &&
      fwrite(tail, sizeof tail, 1, events->file) == 1)
    return TARE_OK;
  return cannot_write(events->path, error);
}

static tare_status write_event(tare_events *events, Tare__Event *event, tare_error *error) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  event->wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  size_t size = tare__event__get_packed_size(event);
  uint8_t *message = tare_alloc(size, 1);
  if (!message) return tare_fail_memory(error, size, "an event");
  tare__event__pack(event, message);
  tare_status status = write_record(events, message, size, error);
  tare_free(message);
  return status;
}

static tare_status write_value(tare_events *events, uint64_t step, Tare__Summary__Value *value, tare_error *error) {
  Tare__Summary summary = TARE__SUMMARY__INIT;
  Tare__Event event = TARE__EVENT__INIT;
  summary.n_value = 1;
  summary.value = &value;
  event.step = (int64_t)step;
  event.what_case = TARE__EVENT__WHAT_SUMMARY;
  event.summary = &summary;
  return write_event(events, &event, error);
}

/* The parents too, as mkdir -p. */
static tare_status make_folder(const char *folder, tare_error *error) {
  char *path = tare_strdup(folder);
  if (!path) return tare_fail_memory(error, strlen(folder) + 1, "a folder's name");
  struct stat info;
  int bad = 0;
  for (char *slash = path + 1; *path && *slash && !bad; slash++) {
    if (*slash != '/') continue;
    *slash = 0;
    bad = mkdir(path, 0777) && errno != EEXIST;
    *slash = '/';
  }
  if (!bad) bad = mkdir(path, 0777) && errno != EEXIST;
  if (!bad && stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) bad = 1, errno = ENOTDIR;
  tare_free(path);
  return bad ? cannot_write(folder, error) : TARE_OK;
}

/* Named as TensorBoard looks for them: it takes what holds "tfevents". The nanoseconds tell two runs of one process apart. */
static tare_status open_file(tare_events *events, const char *folder, tare_error *error) {
  struct timespec now;
  char host[64] = "host";
  size_t size = strlen(folder) + 160;
  clock_gettime(CLOCK_REALTIME, &now);
  gethostname(host, sizeof host - 1);
  host[strcspn(host, "/")] = 0;
  if (!(events->path = tare_alloc(size, 1))) return tare_fail_memory(error, size, "a file's name");
  snprintf(events->path, size, "%s/events.out.tfevents.%lld.%s.%ld.%ld", folder, (long long)now.tv_sec, host, (long)getpid(), now.tv_nsec);
  events->file = fopen(events->path, "wbxe");
  return events->file ? TARE_OK : cannot_write(events->path, error);
}

tare_status tare_events_create(const char *folder, tare_events **out, tare_error *error) {
  if (!folder || !*folder || !out) return tare_fail(error, TARE_E_ARGUMENT, "events need a folder and a place for the result");
  tare_events *events = tare_alloc(1, sizeof *events);
  if (!events) return tare_fail_memory(error, sizeof *events, "events");
  char version[] = "brain.Event:2";
  Tare__Event first = TARE__EVENT__INIT;
  first.what_case = TARE__EVENT__WHAT_FILE_VERSION;
  first.file_version = version;
  tare_status status = make_folder(folder, error);
  if (!status) status = open_file(events, folder, error);
  if (!status) status = write_event(events, &first, error);
  if (!status) status = tare_events_flush(events, error);
  if (status) tare_events_close(events, NULL);
  else *out = events;
  return status;
}

static const char no_event[] = "an event needs a file of events, a tag and values; one is NULL";

tare_status tare_events_scalar(tare_events *events, const char *tag, uint64_t step, double value, tare_error *error) {
  if (!events || !tag) return tare_fail(error, TARE_E_ARGUMENT, no_event);
  Tare__Summary__Value v = TARE__SUMMARY__VALUE__INIT;
  v.tag = (char *)(uintptr_t)tag; /* packing only reads it */
  v.value_case = TARE__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
  v.simple_value = (float)value;
  return write_value(events, step, &v, error);
}

/* Buckets of one width; one of its own where all values are equal. */
static void fill_buckets(Tare__Histogram *h, const float *values, size_t count) {
  double width = (h->max - h->min) / BUCKETS;
  h->n_bucket = h->n_bucket_limit = width > 0 ? BUCKETS : 1;
  for (size_t b = 0; b < h->n_bucket; b++) h->bucket_limit[b] = h->min + width * (double)(b + 1);
  h->bucket_limit[h->n_bucket - 1] = h->max;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) continue;
    size_t b = width > 0 ? (size_t)(((double)values[i] - h->min) / width) : 0;
    h->bucket[b < h->n_bucket ? b : h->n_bucket - 1]++;
  }
}

tare_status tare_events_histogram(tare_events *events, const char *tag, uint64_t step, const float *values, size_t count, tare_error *error) {
  if (!events || !tag || (count && !values)) return tare_fail(error, TARE_E_ARGUMENT, no_event);
  double limits[BUCKETS], buckets[BUCKETS] = {0};
  Tare__Histogram h = TARE__HISTOGRAM__INIT;
  h.min = INFINITY;
  h.max = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    double value = (double)values[i];
    if (!isfinite(value)) continue;
    h.min = fmin(h.min, value);
    h.max = fmax(h.max, value);
    h.sum += value;
    h.sum_squares += value * value;
    h.num++;
  }
  if (!(h.num > 0)) return TARE_OK;
  h.bucket_limit = limits;
  h.bucket = buckets;
  fill_buckets(&h, values, count);
  Tare__Summary__Value v = TARE__SUMMARY__VALUE__INIT;
  v.tag = (char *)(uintptr_t)tag;
  v.value_case = TARE__SUMMARY__VALUE__VALUE_HISTO;
  v.histo = &h;
  return write_value(events, step, &v, error);
}

tare_status tare_events_image(tare_events *events, const char *tag, uint64_t step, const uint8_t *pixels, int width, int height, int channels,
                              tare_error *error) {
  if (!events || !tag) return tare_fail(error, TARE_E_ARGUMENT, no_event);
  Tare__Summary__Image image = TARE__SUMMARY__IMAGE__INIT;
  Tare__Summary__Value v = TARE__SUMMARY__VALUE__INIT;
  tare_status status = tare_png_encode(pixels, width, height, channels, &image.encoded_image_string.data, &image.encoded_image_string.len, error);
  if (status) return status;
  image.width = width;
  image.height = height;
  image.colorspace = channels;
  v.tag = (char *)(uintptr_t)tag;
  v.value_case = TARE__SUMMARY__VALUE__VALUE_IMAGE;
  v.image = &image;
  status = write_value(events, step, &v, error);
  tare_free(image.encoded_image_string.data);
  return status;
}

tare_status tare_events_flush(tare_events *events, tare_error *error) {
  if (!events) return tare_fail(error, TARE_E_ARGUMENT, no_event);
  return fflush(events->file) == 0 ? TARE_OK : cannot_write(events->path, error);
}

tare_status tare_events_close(tare_events *events, tare_error *error) {
  if (!events) return TARE_OK;
  tare_status status = TARE_OK;
  if (events->file && fclose(events->file)) status = cannot_write(events->path, error);
  tare_free(events->path);
  tare_free(events);
  return status;
}
