/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which candidate does which passes. The passes of a plan are split into groups in every possible way (forward
 * alone, the backward ones together, ...); a split costs the sum of what the best candidate
 * expects for each of its groups, and the cheapest split is made ready. With `measure` the candidates are timed instead; with wisdom that
 * knows the problem nothing is compared.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "conv/measure.h"
#include "conv/plan.h"
#include "conv/wisdom.h"

static const double MOST_ERROR = 5e-7; /* of an accurate plan's candidates */
enum { GROUPS = 8, SPLITS = 5 }; /* sets of passes; ways to split three passes */

/* Groups as sums of tare_pass. A plan of fewer passes uses what is left of them. Single passes first: of equals the first wins. */
static const int splits[SPLITS][TARE_PASSES] = {{1, 2, 4}, {1, 6, 0}, {2, 5, 0}, {4, 3, 0}, {7, 0, 0}};
static const char *const names[GROUPS] = {
  "", "forward", "backward data", "forward + backward data", "backward weights", "forward + backward weights",
  "backward data + backward weights", "forward + backward data + backward weights"};

/* All verdicts on one group of passes. Costs: cycles; nanoseconds, if the plan measures. */
typedef struct opinion {
  tare_verdict verdicts[TARE_MOST_CANDIDATES];
  double costs[TARE_MOST_CANDIDATES];
  unsigned timed; /* a bit for each */
  int judged, best;
} opinion;

static int several(int passes) { return (passes & (passes - 1)) != 0; }

static void judge(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_verdict *verdict) {
  const char *only = plan->options.candidate;
  *verdict = (tare_verdict){.cycles = -1};
  if (only && strcmp(only, how->name)) snprintf(verdict->reason, sizeof verdict->reason, "not asked for");
  else if (!(how->precisions >> plan->options.precision & 1)) snprintf(verdict->reason, sizeof verdict->reason, "not in this precision");
  else if (!how->planes && !tare_conv_problem_is_flat(&plan->problem)) snprintf(verdict->reason, sizeof verdict->reason, "planes");
  else {
    tare_group group;
    tare_conv_outline(plan, how, passes, &group);
    how->judge(&group.ready.query, verdict);
    verdict->cycles *= group.parts;
    if (plan->options.flags & TARE_CONV_ACCURATE && verdict->cycles >= 0 && verdict->error > MOST_ERROR) {
      verdict->cycles = -1;
      snprintf(verdict->reason, sizeof verdict->reason, "not accurate: an error of about %.1e", verdict->error);
    }
  }
}

/* The candidate of the least cost, -1 if all decline. */
static int shortest(const opinion *o) {
  int best = -1;
  for (int i = 0; tare_candidates[i]; i++)
    if (o->verdicts[i].cycles >= 0 && (best < 0 || o->costs[i] < o->costs[best])) best = i;
  return best;
}

static void form_opinion(const tare_conv_plan *plan, int passes, int measure, opinion *o) {
  *o = (opinion){.judged = 1};
  for (int i = 0; tare_candidates[i]; i++) {
    if (!several(passes) || tare_candidates[i]->joins) judge(plan, tare_candidates[i], passes, &o->verdicts[i]);
    else o->verdicts[i].cycles = -1;
    o->costs[i] = o->verdicts[i].cycles;
  }
  if (measure) o->timed = tare_conv_measure(plan, passes, o->verdicts, o->costs);
  o->best = shortest(o);
}

/* What a split costs; below 0: a group of it cannot be done. */
static double cost_of(const tare_conv_plan *plan, opinion *opinions, const int *split) {
  double sum = 0;
  for (int i = 0; i < TARE_PASSES; i++) {
    int passes = split[i] & plan->options.passes;
    if (!passes) continue;
    opinion *o = &opinions[passes];
    if (!o->judged) form_opinion(plan, passes, plan->options.measure, o);
    if (o->best < 0) return -1;
    sum += o->costs[o->best];
  }
  return sum;
}

static const int *cheapest_split(const tare_conv_plan *plan, opinion *opinions) {
  const int *best = splits[0];
  double cost = cost_of(plan, opinions, best);
  for (int i = 1; i < SPLITS; i++) {
    double other = cost_of(plan, opinions, splits[i]);
    if (other >= 0 && (cost < 0 || other < cost)) {
      cost = other;
      best = splits[i];
    }
  }
  return best;
}

static void note(tare_text *notes, const opinion *o, int passes, int chosen) {
  for (int i = 0; o->judged && tare_candidates[i]; i++) {
    const tare_verdict *v = &o->verdicts[i];
    if (several(passes) && v->cycles < 0 && !v->reason[0]) continue; /* was not asked */
    tare_text_add(notes, "%s: %s %s: %s", names[passes], tare_candidates[i]->name, v->cycles < 0 ? "declines" : "accepts", v->reason);
    if (o->timed >> i & 1) tare_text_add(notes, ", took %.4g ms", o->costs[i] * 1e-6);
    else if (v->cycles >= 0) tare_text_add(notes, ", about %.4g thousand cycles", v->cycles / 1000);
    if (v->cycles >= 0 && chosen && i == o->best) tare_text_add(notes, " (chosen)");
    tare_text_add(notes, "\n");
  }
}

/* The error of a group that no candidate does. */
static tare_status nobody(const tare_conv_plan *plan, const opinion *o, int passes, tare_error *error) {
  const char *only = plan->options.candidate;
  for (int i = 0; only && tare_candidates[i]; i++)
    if (strcmp(only, tare_candidates[i]->name) == 0)
      return tare_fail(error, TARE_E_UNSUPPORTED, "%s cannot do the %s pass: %s", only, names[passes], o->verdicts[i].reason);
  return tare_fail(error, TARE_E_UNSUPPORTED, "no candidate does the %s pass", names[passes]);
}

static void decline(opinion *o, const char *why) {
  tare_verdict *v = &o->verdicts[o->best];
  v->cycles = -1;
  snprintf(v->reason, sizeof v->reason, "%.*s", (int)sizeof v->reason - 1, why);
  o->best = shortest(o);
}

/* What groups keep adds up with the workspace of others: if that is too much, one that keeps something declines; 1 if so. */
static int is_too_much(tare_conv_plan *plan, opinion *opinions) {
  tare_conv_add_sizes(plan);
  if (plan->workspace_size + plan->kept_size <= tare_conv_limit(plan)) return 0;
  for (int i = 0; i < plan->group_count; i++)
    if (plan->groups[i].ready.kept) {
      decline(&opinions[plan->groups[i].ready.query.passes], "more than the limit together with the other passes");
      return 1;
    }
  return 0;
}

/* Makes the groups of a split; a candidate that fails after all declines from then on, and `again` asks for another choice. */
static tare_status make_groups(tare_conv_plan *plan, opinion *opinions, const int *split, int *again, tare_error *error) {
  *again = 0;
  for (int i = 0; i < TARE_PASSES; i++) {
    int passes = split[i] & plan->options.passes;
    if (!passes) continue;
    opinion *o = &opinions[passes];
    if (o->best < 0) return nobody(plan, o, passes, error);
    tare_error why = {.message = ""};
    tare_status status = tare_conv_make_group(plan, tare_candidates[o->best], passes, &plan->groups[plan->group_count], &why);
    if (status == TARE_E_MEMORY) return tare_fail(error, status, "%s", why.message);
    if (status) {
      decline(o, why.message);
      *again = 1;
      return TARE_OK;
    }
    memcpy(plan->groups[plan->group_count].algorithm, o->verdicts[o->best].reason, sizeof o->verdicts[o->best].reason);
    plan->group_count++;
  }
  *again = is_too_much(plan, opinions);
  return TARE_OK;
}

static void drop_groups(tare_conv_plan *plan) {
  while (plan->group_count) tare_conv_free_group(&plan->groups[--plan->group_count]);
}

static void note_all(tare_text *notes, const opinion *opinions, const int *split, int passes) {
  static const int order[GROUPS - 1] = {1, 2, 4, 3, 5, 6, 7};
  for (int i = 0; i < GROUPS - 1; i++) {
    int chosen = 0;
    for (int j = 0; j < TARE_PASSES; j++) chosen |= order[i] == (split[j] & passes);
    note(notes, &opinions[order[i]], order[i], chosen);
  }
}

/* The next "passes:candidate" of a choice; 0 at its end or where it is none. */
static int next_group(const char **choice, int *passes, char name[32]) {
  int used = 0;
  if (sscanf(*choice, "%d:%31s%n", passes, name, &used) != 2 || *passes < 1 || *passes >= GROUPS) return 0;
  *choice += used;
  return 1;
}

/* The split that wisdom knows, its candidates as the best of their groups: 1; 0 if it knows none that can be done. */
static int recall(const tare_conv_plan *plan, opinion *opinions, int *split) {
  char key[TARE_MOST_KEY], choice[TARE_MOST_CHOICE], name[32];
  const char *at = choice;
  int covered = 0, passes;
  if (!plan->options.wisdom || plan->options.candidate) return 0;
  tare_wisdom_key(plan, key);
  if (!tare_wisdom_find(plan->options.wisdom, key, choice)) return 0;
  for (int count = 0; count < TARE_PASSES && next_group(&at, &passes, name); count++) {
    opinion *o = &opinions[passes];
    form_opinion(plan, passes, 0, o);
    o->best = -1;
    for (int i = 0; tare_candidates[i]; i++)
      if (strcmp(tare_candidates[i]->name, name) == 0 && o->verdicts[i].cycles >= 0) o->best = i;
    if (o->best < 0 || covered & passes) return 0;
    covered |= passes;
    split[count] = passes;
  }
  return covered == plan->options.passes;
}

static void remember(const tare_conv_plan *plan) {
  char key[TARE_MOST_KEY], choice[TARE_MOST_CHOICE];
  size_t length = 0;
  if (!plan->options.measure || !plan->options.wisdom || plan->options.candidate) return;
  for (int i = 0; i < plan->group_count; i++)
    length += (size_t)snprintf(choice + length, sizeof choice - length, "%s%d:%s", i ? " " : "", plan->groups[i].ready.query.passes,
                               plan->groups[i].ready.how->name);
  tare_wisdom_key(plan, key);
  tare_wisdom_add(plan->options.wisdom, key, choice);
}

/* 1: done as wisdom says. */
static int choose_by_wisdom(tare_conv_plan *plan, tare_text *notes) {
  opinion opinions[GROUPS] = {0};
  int split[TARE_PASSES] = {0}, again;
  if (!recall(plan, opinions, split)) return 0;
  if (make_groups(plan, opinions, split, &again, NULL) || again) return drop_groups(plan), 0;
  tare_text_add(notes, "chosen by wisdom\n");
  note_all(notes, opinions, split, plan->options.passes);
  return 1;
}

tare_status tare_conv_choose(tare_conv_plan *plan, tare_text *notes, tare_error *error) {
  opinion opinions[GROUPS] = {0};
  const int *split;
  tare_status status;
  int again;
  if (choose_by_wisdom(plan, notes)) return TARE_OK;
  do {
    drop_groups(plan);
    split = cheapest_split(plan, opinions);
    status = make_groups(plan, opinions, split, &again, error);
  } while (!status && again);
  if (!status) remember(plan);
  note_all(notes, opinions, split, plan->options.passes);
  return status;
}
