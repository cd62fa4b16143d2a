/* SPDX-License-Identifier: Apache-2.0 */
/* Until the room is written. */
extern int tare_train_placeholder;
int tare_train_placeholder;
