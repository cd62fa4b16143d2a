/* SPDX-License-Identifier: Apache-2.0 */
/* One pass through libjpeg-turbo, in memory. Its fatal errors come back by longjmp, so that every resource sits in `pass`. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/error.h"
#include "data/manipulate.h"

typedef struct pass {
  struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
  jmp_buf failed;
  char message[JMSG_LENGTH_MAX];
  struct jpeg_compress_struct encoder;
  struct jpeg_decompress_struct decoder;
  unsigned char *stream;
  unsigned long size;
} pass;

static void on_error(j_common_ptr common) {
  pass *p = (pass *)common->err;
  common->err->format_message(common, p->message);
  longjmp(p->failed, 1);
}

static void no_message(j_common_ptr common) { (void)common; }

static void encode(pass *p, const tare_picture *image, int quality) {
  struct jpeg_compress_struct *e = &p->encoder;
  jpeg_create_compress(e);
  jpeg_mem_dest(e, &p->stream, &p->size);
  e->image_width = (JDIMENSION)image->width;
  e->image_height = (JDIMENSION)image->height;
  e->input_components = image->channels;
  e->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(e);
  jpeg_set_quality(e, quality, TRUE);
  jpeg_start_compress(e, TRUE);
  while (e->next_scanline < e->image_height) {
    JSAMPROW row = (JSAMPROW)image->pixels + (size_t)e->next_scanline * tare_picture_row_bytes(image);
    jpeg_write_scanlines(e, &row, 1);
  }
  jpeg_finish_compress(e);
}

static void decode(pass *p, tare_picture *out) {
  struct jpeg_decompress_struct *d = &p->decoder;
  jpeg_create_decompress(d);
  jpeg_mem_src(d, p->stream, p->size);
  jpeg_read_header(d, TRUE);
  d->out_color_space = out->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(d);
  while (d->output_scanline < d->output_height) {
    JSAMPROW row = (JSAMPROW)out->pixels + (size_t)d->output_scanline * tare_picture_row_bytes(out);
    jpeg_read_scanlines(d, &row, 1);
  }
  jpeg_finish_decompress(d);
}

tare_status tare_jpeg_pass(const tare_picture *image, int quality, tare_picture *out, tare_error *error) {
  pass p;
  memset(&p, 0, sizeof p);
  tare_status status = tare_picture_create(image->width, image->height, image->channels, 8, out, error);
  if (status) return status;
  p.encoder.err = p.decoder.err = jpeg_std_error(&p.manager);
  p.manager.error_exit = on_error;
  p.manager.output_message = no_message;
  if (setjmp(p.failed)) {
    status = tare_fail(error, TARE_E_LIBRARY, "libjpeg: %s", p.message);
    tare_picture_free(out);
  } else {
    encode(&p, image, quality);
    decode(&p, out);
  }
  jpeg_destroy_compress(&p.encoder); /* both do nothing to a zeroed struct */
  jpeg_destroy_decompress(&p.decoder);
  free(p.stream);
  return status;
}
