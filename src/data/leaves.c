/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead leaves: discs that occlude each other, centres uniform, radii with
 * density r^-3 between R_MIN and R_MAX, which makes the picture alike at every
 * scale, as photos are (power ~ 1/f^2): Lee, Mumford & Huang 2001, "Occlusion
 * models for natural images". Each disc has a grey level, a slight slope of
 * shade and a light texture. A camera then sees the scene: a lens softens it,
 * its contrast differs from picture to picture, and the sensor adds noise.
 *
 * Drawn front to back until no pixel lets light through, which gives the
 * model's stationary distribution exactly (Kendall & Thoennes 1999, "Perfect
 * simulation in stochastic geometry"). `open` is what a pixel still lets
 * through, 1 to 0: an edge pixel takes part of a disc, the discs behind it share
 * the rest.
 */
#include "data/leaves.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "data/manipulate.h"

enum { SIZE = TARE_LEAVES_SIZE, TEXTURE = 256, SMALL = 4 };
enum { CHECK = 4096, MOST_DISCS = 1 << 20 }; /* discs between two looks for rows that are done; a bound that is not met in practice */
static const double R_MIN = 1.25, R_MAX = 160;
static const float MID = 128, SPAN = 224; /* grey levels of discs */
static const double FAINTEST = 1 / 32.0; /* the least contrast of a picture; the most is 1 */
static const double SHARPEST = 0.3, SOFTEST = 0.8, QUIETEST = 0.25, NOISIEST = 1; /* sigmas of lens (pixels) and sensor (grey levels) */
static const float CLOSED = 1.0f / 1024; /* a quarter of a grey level of the brightest disc behind */

typedef struct canvas {
  float light[SIZE * SIZE], open[SIZE * SIZE];
  int8_t texture[TEXTURE][TEXTURE + SIZE]; /* repeats along a row, so that a row of pixels reads on without a break */
  uint8_t done[SIZE];                      /* rows without an open pixel */
  int rows_left;
} canvas;

typedef struct disc {
  double x, y, r;
  float grey, slope_x, slope_y, contrast;
  int texture_x, texture_y;
} disc;

static void add_square(canvas *c, int y, int x, int side, int height) {
  for (int j = 0; j < side; j++)
    for (int i = 0; i < side; i++) c->texture[y + j][x + i] = (int8_t)(c->texture[y + j][x + i] + height);
}

/* Squares of random height, of sides 1 to 16: a texture of several scales, within -80..75, its standard deviation about 20. */
static void make_texture(canvas *c, tare_rng *rng) {
  for (int side = 16; side >= 1; side /= 2)
    for (int y = 0; y < TEXTURE; y += side)
      for (int x = 0; x < TEXTURE; x += 8 * side) {
        uint64_t bits = tare_rng_u64(rng);
        for (int k = 0; k < 8; k++, bits >>= 8) add_square(c, y, x + k * side, side, (int)(bits & 31) - 16);
      }
  for (int y = 0; y < TEXTURE; y++)
    for (int x = TEXTURE; x < TEXTURE + SIZE; x++) c->texture[y][x] = c->texture[y][x - TEXTURE];
}

/*
 * A disc that meets the picture: its radius from the inverse of
 * F(r) = (1 - (R_MIN/r)^2) / (1 - (R_MIN/R_MAX)^2), kept with a probability proportional
 * to the area (SIZE + 2r)^2 that its centre may lie in; its centre uniform there.
 */
static disc draw_disc(tare_rng *rng) {
  const double span = 1 - R_MIN * R_MIN / (R_MAX * R_MAX);
  double r, room;
  do {
    r = R_MIN / sqrt(1 - tare_rng_unit(rng) * span);
    room = (SIZE + 2 * r) / (SIZE + 2 * R_MAX);
  } while (tare_rng_unit(rng) >= room * room);
  disc d = {.r = r};
  d.x = tare_rng_range(rng, -r, SIZE + r);
  d.y = tare_rng_range(rng, -r, SIZE + r);
  uint64_t bits = tare_rng_u64(rng);
  d.texture_x = (int)(bits & 255);
  d.texture_y = (int)(bits >> 8 & 255);
  d.grey = MID - SPAN / 2 + (float)(bits >> 16 & 0xffff) * (SPAN / 65536);
  d.contrast = (float)(bits >> 32 & 255) * (0.12f / 255);                     /* up to 2.4 grey levels */
  d.slope_x = ((float)(bits >> 40 & 255) / 127.5f - 1) * 10 / (float)r;       /* up to 10 from the centre to the edge */
  d.slope_y = ((float)(bits >> 48 & 255) / 127.5f - 1) * 10 / (float)r;
  return d;
}

static float value_at(const disc *d, const int8_t *texture, int x, int y) {
  return d->grey + d->slope_x * (float)(x - (int)d->x) + d->slope_y * (float)(y - (int)d->y) + d->contrast * (float)texture[x];
}

/* Pixels of row y that the disc's edge may cut: each is covered by what of one pixel's width lies inside, along the radius. */
static void draw_edge(canvas *c, const disc *d, const int8_t *texture, int y, int left, int right) {
  float *light = c->light + y * SIZE, *open = c->open + y * SIZE;
  double dy = y + 0.5 - d->y;
  for (int x = left; x < right; x++) {
    if (open[x] <= 0) continue;
    double dx = x + 0.5 - d->x, inside = d->r + 0.5 - sqrt(dx * dx + dy * dy);
    float share = open[x] * (float)(inside < 0 ? 0 : inside < 1 ? inside : 1);
    light[x] += share * value_at(d, texture, x, y);
    open[x] -= share;
  }
}

static void draw_inside(canvas *c, const disc *d, const int8_t *texture, int y, int left, int right) {
  float *restrict light = c->light + y * SIZE, *restrict open = c->open + y * SIZE;
  for (int x = left; x < right; x++) {
    light[x] += open[x] * value_at(d, texture, x, y);
    open[x] = 0;
  }
}

static int clip(double value) { return value < 0 ? 0 : value < SIZE ? (int)value : SIZE; }

/* From the first pixel whose centre is within `half` of the disc's centre, along a row, to the one after the last. */
static void span(const disc *d, double reach, double dy, int *left, int *right) {
  double square = reach * reach - dy * dy, half = reach > 0 && square > 0 ? sqrt(square) : -1;
  *left = clip(ceil(d->x - half - 0.5));
  *right = half < 0 ? *left : clip(floor(d->x + half - 0.5) + 1);
}

static const int8_t *texture_row(const canvas *c, const disc *d, int y) { return c->texture[(y + d->texture_y) % TEXTURE] + d->texture_x; }

static void draw_large(canvas *c, const disc *d, int top, int bottom) {
  int left, right, inner_left, inner_right;
  for (int y = top; y < bottom; y++) {
    if (c->done[y]) continue;
    double dy = y + 0.5 - d->y;
    const int8_t *texture = texture_row(c, d, y);
    span(d, d->r + 0.5, dy, &left, &right);
    span(d, d->r - 0.5, dy, &inner_left, &inner_right);
    if (inner_left >= inner_right) inner_left = inner_right = right;
    draw_edge(c, d, texture, y, left, inner_left);
    draw_inside(c, d, texture, y, inner_left, inner_right);
    draw_edge(c, d, texture, y, inner_right, right);
  }
}

/* Most discs are small and most of their pixels covered already: look at every pixel of the square round it. */
static void draw_small(canvas *c, const disc *d, int top, int bottom) {
  int left, right;
  span(d, d->r + 0.5, 0, &left, &right);
  for (int y = top; y < bottom; y++)
    if (!c->done[y]) draw_edge(c, d, texture_row(c, d, y), y, left, right);
}

static void draw(canvas *c, const disc *d) {
  int top = clip(floor(d->y - d->r - 0.5)), bottom = clip(ceil(d->y + d->r + 0.5));
  if (d->r < SMALL) draw_small(c, d, top, bottom);
  else draw_large(c, d, top, bottom);
}

static void look_for_done_rows(canvas *c) {
  for (int y = 0; y < SIZE; y++) {
    int x = 0;
    while (!c->done[y] && x < SIZE && c->open[y * SIZE + x] <= CLOSED) x++;
    if (x < SIZE) continue;
    c->done[y] = 1;
    c->rows_left--;
  }
}

static void fill(canvas *c, tare_rng *rng) {
  c->rows_left = SIZE;
  for (int i = 0; i < SIZE * SIZE; i++) c->open[i] = 1;
  make_texture(c, rng);
  for (int i = 1; c->rows_left > 0 && i <= MOST_DISCS; i++) {
    disc d = draw_disc(rng);
    draw(c, &d);
    if (i % CHECK == 0) look_for_done_rows(c);
  }
}

/*
 * [a 1-2a a] along the columns, then along the rows, edges repeated: the
 * variance of these weights is 2a.
 */
static void soften(float *light, float a) {
  float above[SIZE], here[SIZE];
  memcpy(above, light, SIZE * sizeof *light);
  for (int y = 0; y < SIZE; y++, light += SIZE) {
    const float *below = y < SIZE - 1 ? light + SIZE : light;
    for (int x = 0; x < SIZE; x++) {
      float old = light[x];
      here[x] = old + a * (above[x] - 2 * old + below[x]);
      above[x] = old;
    }
    for (int x = 0; x < SIZE; x++) light[x] = here[x] + a * (here[x > 0 ? x - 1 : 0] - 2 * here[x] + here[x < SIZE - 1 ? x + 1 : x]);
  }
}

/* The lens (`soften` twice: near a Gaussian), then the contrast, its logarithm uniform, about any grey level that leaves room. */
static void expose(canvas *c, tare_rng *rng) {
  float sigma = (float)tare_rng_range(rng, SHARPEST, SOFTEST), contrast = (float)pow(FAINTEST, tare_rng_unit(rng));
  float grey = MID + (1 - contrast) * (float)tare_rng_range(rng, -SPAN / 2, SPAN / 2);
  for (int times = 0; times < 2; times++) soften(c->light, sigma * sigma / 4);
  for (int i = 0; i < SIZE * SIZE; i++) c->light[i] = grey + contrast * (c->light[i] - MID);
}

tare_status tare_leaves_image(uint64_t seed, uint64_t number, tare_picture *out, tare_error *error) {
  tare_rng rng;
  tare_noise noise;
  canvas *c = tare_alloc(1, sizeof *c);
  if (!c) return tare_fail_memory(error, sizeof *c, "a dead-leaves image");
  tare_status status = tare_picture_create(SIZE, SIZE, 1, 8, out, error);
  if (!status) {
    tare_rng_init(&rng, seed, number);
    fill(c, &rng);
    expose(c, &rng);
    uint8_t *pixels = out->pixels;
    for (int i = 0; i < SIZE * SIZE; i++) pixels[i] = (uint8_t)(int)fminf(fmaxf(c->light[i] + 0.5f, 0), 255);
    tare_noise_init(&noise, tare_rng_range(&rng, QUIETEST, NOISIEST));
    tare_noise_add(&noise, &rng, pixels, SIZE * SIZE, pixels);
  }
  tare_free(c);
  return status;
}
