/* SPDX-License-Identifier: Apache-2.0 */
/* Until the room is written. */
extern int tare_net_placeholder;
int tare_net_placeholder;
