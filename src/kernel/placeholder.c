/* SPDX-License-Identifier: Apache-2.0 */
/* Until the room is written. */
extern int tare_kernel_placeholder;
int tare_kernel_placeholder;
