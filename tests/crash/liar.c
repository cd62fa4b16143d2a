/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liar FOLDER: images that lie about their size, or never end:
 *   claims.png    2^31-1 by 2^31-1 pixels in 100 bytes
 *   claims.jpg    65500 x 65500 in a few hundred
 *   claims.tif    2^31-1 rows in one strip of 8 bytes
 *   endless.tif   a directory whose next one is itself
 *   many.tif      a million entries claimed in a directory
 *   bomb.png      30000 x 30000 grey pixels of 0, whole, in under a megabyte: over the limit
 *   large.png     12000 x 12000 of the same kind: within the limit, so it may be read, strip by strip
 *   cut.png       a true header, half of its data
 *   text.gif      no image
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char *folder;

static FILE *create(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  if (!file) exit(1);
  return file;
}

static void big(FILE *file, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(value >> shift & 255), file);
}

static void little(FILE *file, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) fputc((int)(value >> 8 * i & 255), file);
}

static void chunk(FILE *file, const char *type, const unsigned char *data, size_t size) {
  uLong crc = crc32(crc32(0, (const Bytef *)type, 4), data, (uInt)size);
  big(file, (uint32_t)size);
  fwrite(type, 1, 4, file);
  if (size) fwrite(data, 1, size, file);
  big(file, (uint32_t)crc);
}

static void header(FILE *file, uint32_t width, uint32_t height) {
  unsigned char ihdr[13] = {[8] = 8};
  for (int i = 0; i < 4; i++) {
    ihdr[i] = (unsigned char)(width >> (24 - 8 * i));
    ihdr[4 + i] = (unsigned char)(height >> (24 - 8 * i));
  }
  fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
  chunk(file, "IHDR", ihdr, sizeof ihdr);
}

/* Rows of zeros, deflated; `share` of the data is there. */
static void zeros(const char *name, uint32_t side, double share) {
  FILE *file = create(name);
  size_t room = 1 << 21;
  unsigned char *row = calloc(side + 1, 1), *packed = malloc(room);
  z_stream z = {.next_out = packed, .avail_out = (uInt)room};
  if (!row || !packed || deflateInit(&z, 9) != Z_OK) exit(1);
  for (uint32_t y = 0; y < side; y++) {
    z.next_in = row;
    z.avail_in = side + 1;
    if (deflate(&z, y + 1 == side ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) exit(1);
  }
  header(file, side, side);
  chunk(file, "IDAT", packed, (size_t)((double)z.total_out * share));
  chunk(file, "IEND", NULL, 0);
  deflateEnd(&z);
  free(row);
  free(packed);
  fclose(file);
}

static void claims_png(void) {
  static const unsigned char little_data[] = {0x78, 0x9c, 0x63, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01};
  FILE *file = create("claims.png");
  header(file, INT32_MAX, INT32_MAX);
  chunk(file, "IDAT", little_data, sizeof little_data);
  chunk(file, "IEND", NULL, 0);
  fclose(file);
}

static void claims_jpeg(void) {
  FILE *file = create("claims.jpg");
  fwrite("\xff\xd8\xff\xdb\x00\x43\x00", 1, 7, file);
  for (int i = 0; i < 64; i++) fputc(1, file);
  fwrite("\xff\xc0\x00\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\x00", 1, 13, file); /* 65500 x 65500, one component */
  fwrite("\xff\xc4\x00\x14\x00\x01", 1, 6, file);
  for (int i = 0; i < 15; i++) fputc(0, file);
  fputc(0, file);
  fwrite("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\x00\xff\xd9", 1, 14, file);
  fclose(file);
}

static void entry(FILE *file, int tag, int type, uint32_t count, uint32_t value) {
  little(file, (uint32_t)tag, 2);
  little(file, (uint32_t)type, 2);
  little(file, count, 4);
  little(file, value, 4);
}

/* A grey TIFF of one strip at byte 8; `entries` as the directory says, `next` where its next one is. */
static void tiff(const char *name, uint32_t rows, uint32_t entries, uint32_t next) {
  FILE *file = create(name);
  const int real = 9;
  fwrite("II*\0", 1, 4, file);
  little(file, 16, 4);
  fwrite("12345678", 1, 8, file);
  little(file, entries ? entries : (uint32_t)real, 2);
  entry(file, 256, 4, 1, 64);
  entry(file, 257, 4, 1, rows);
  entry(file, 258, 3, 1, 8);
  entry(file, 259, 3, 1, 1);
  entry(file, 262, 3, 1, 1);
  entry(file, 273, 4, 1, 8);
  entry(file, 277, 3, 1, 1);
  entry(file, 278, 4, 1, rows);
  entry(file, 279, 4, 1, 8);
  little(file, next, 4);
  fclose(file);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  folder = argv[1];
  claims_png();
  claims_jpeg();
  tiff("claims.tif", INT32_MAX, 0, 0);
  tiff("endless.tif", 64, 0, 16);
  tiff("many.tif", 64, 65535, 16);
  zeros("bomb.png", 30000, 1);
  zeros("large.png", 12000, 1);
  zeros("cut.png", 1000, 0.5);
  FILE *text = create("text.gif");
  fputs("GIF89a is what this is not", text);
  fclose(text);
  return 0;
}
