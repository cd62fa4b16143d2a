/* SPDX-License-Identifier: Apache-2.0 */
/* Until the room is written. */
extern int tare_format_placeholder;
int tare_format_placeholder;
