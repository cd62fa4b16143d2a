'use strict';
/* The page of a race. */

/* What of a race is shown at first beside its three best: the ways that people try, and ours. The rest is a click away. */
const usual = ['none', 'projection', 'difference', 'spectral', 'whitened'];

function raceHead(race) {
  const {options, summary} = race, first = summary[0], reference = summary.find(row => row.method === race.reference);
  const ruleWord = element('code', {}, race.constraint);
  page.append(element('p', {class: 'kicker'}, 'tare race'),
    element('h1', {}, 'Which way of holding ', ruleWord, ' trains fastest?'));
  const lead = element('p', {class: 'lead', id: 'lead'});
  if (!first.learns) lead.append(`No method learned in ${plural(options.steps, 'step')}: a guess has loss ${fixed(race.chance, 2)}. `);
  if (isNumber(first.mean_loss)) lead.append(element('b', {}, first.method), ` has the lowest loss over the whole training, ${fixed(first.mean_loss, 3)}. `);
  const there = first.steps_to_reference, needed = reference && reference.steps_to_reference;
  if (reference && first !== reference && there && needed)
    lead.append(`It is at the difference layer’s last loss after ${plural(there, 'step')}; the difference layer itself gets there after ${needed}` +
      (needed > 1.05 * there ? `, ${(needed / there).toFixed(1)} times as many.` : '.'));
  page.append(lead);
  if (options.seeds < 8)
    page.append(element('p', {class: 'note'}, `A demonstration with ${plural(options.seeds, 'seed')}: a claim of order needs 8 seeds and at least 7 of 8 paired wins.`));
  const facts = [['data', race.data], ['filters', `${options.filters} of ${race.kernel}×${race.kernel}`], ['steps', options.steps], ['batch', options.batch],
    ['optimizer', options.optimizer], ['seeds', options.seeds], ['test images', race.test_images]];
  page.append(element('ul', {class: 'facts'}, ...facts.map(([name, value]) => element('li', {}, name + ' ', element('b', {}, String(value))))));
}

/* The data sets of a method: its curve, and the edges of its band. */
function curveSets(method, methods) {
  const {mean, spread} = data.curves[method], line = (value, more) => ({
    method, data: data.steps.map((x, i) => ({x, y: isNumber(mean[i]) ? value(mean[i], spread[i] || 0) : null})),
    pointRadius: 0, borderWidth: 0, parsing: false, ...more});
  return [line(y => y, {label: method, borderWidth: baseName(method) === 'difference' ? 2.5 : 2, borderDash: dash(method, methods), pointHoverRadius: 4}),
    line((y, sd) => Math.max(y - sd, y / 100), {quiet: true, pointHoverRadius: 0}), /* a logarithmic scale has no place for 0 */
    line((y, sd) => y + sd, {quiet: true, fill: '-1', pointHoverRadius: 0})];
}

function paintCurves(made) {
  made.data.datasets.forEach(set => {
    if (!set.method) set.borderColor = styleOf('--muted');
    else if (!set.quiet) set.borderColor = set.pointHoverBackgroundColor = set.backgroundColor = colour(set.method);
    else set.backgroundColor = colour(set.method, styleOf('--soft'));
  });
}

/* The numbers behind the curves, for who cannot see them. */
function curveTable(methods) {
  const picks = [...new Set([0, .1, .25, .5, .75, 1].map(part => Math.round(part * (data.steps.length - 1))))];
  const head = element('tr', {}, element('th', {scope: 'col'}, 'method'), ...picks.map(i => element('th', {scope: 'col'}, `step ${data.steps[i]}`)));
  const rows = methods.map(method => element('tr', {}, element('th', {scope: 'row'}, method),
    ...picks.map(i => element('td', {}, fixed(data.curves[method].mean[i], 3)))));
  return element('details', {}, element('summary', {}, 'The curves as numbers'),
    element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'The curves as numbers'},
      element('table', {'aria-label': 'The curves as numbers'}, element('thead', {}, head), element('tbody', {}, ...rows))));
}

function curveSection(race, shown, changes) {
  const methods = race.summary.map(row => row.method), seeds = race.options.seeds;
  const learnt = methods.filter(method => data.curves[method].mean.some(isNumber));
  const guess = {label: 'a guess', data: [data.steps[0], data.steps[data.steps.length - 1]].map(x => ({x, y: race.chance})), quiet: true, parsing: false,
    pointRadius: 0, pointHoverRadius: 0, borderWidth: 1, borderDash: [2, 4]};
  const curves = chart(`Training loss by step for ${list(learnt)}. The arrow keys move through the steps; the numbers are in the table below.`, {
    type: 'line', data: {datasets: [...learnt.flatMap(method => curveSets(method, methods)), guess]},
    options: {
      interaction: {mode: 'index', intersect: false},
      scales: {x: axis('training step', {type: 'linear', min: data.steps[0], max: data.steps[data.steps.length - 1], grid: {display: false}}),
        y: axis('training loss')},
      plugins: {tooltip: {filter: item => !item.dataset.quiet, itemSort: (a, b) => a.parsed.y - b.parsed.y, callbacks: {
        title: items => items.length ? `step ${items[0].parsed.x}` : '',
        label: item => ` ${item.dataset.method}  ${item.parsed.y.toFixed(3)}` + (seeds > 1 ? ` ± ${data.curves[item.dataset.method].spread[item.dataIndex].toFixed(3)}` : '')}}},
    }}, paintCurves);
  let bands = seeds > 1;
  function apply() {
    curves.made.data.datasets.forEach((set, i) => set.method && curves.made.setDatasetVisibility(i, shown.has(set.method) && (!set.quiet || bands)));
    curves.made.update('none');
  }
  changes.push(apply);
  const boxes = methods.map(method => {
    const box = checkbox(method, shown.has(method), on => { on ? shown.add(method) : shown.delete(method); changes.forEach(change => change()); }, lineSample(method, methods));
    changes.push(() => { box.input.checked = shown.has(method); });
    return box.label;
  });
  const choose = (text, wanted) => element('button', {type: 'button', onclick: () => {
    shown.clear();
    wanted.forEach(method => shown.add(method));
    changes.forEach(change => change());
  }}, text);
  const log = checkbox('logarithmic scale', false, on => curves.setType('y', on ? 'logarithmic' : 'linear'));
  const band = checkbox('spread over seeds', bands, on => { bands = on; apply(); });
  const first = [...shown];
  section('curves', 'Loss while training',
    element('p', {class: 'quiet'}, `Mean over ${plural(seeds, 'seed')}, then over the ${race.window} steps before; ` +
      (seeds > 1 ? 'the bands are one standard deviation over seeds. ' : '') + `A guess has loss ${fixed(race.chance, 2)}.`),
    element('fieldset', {}, element('legend', {}, 'Methods, the best first'), element('div', {class: 'pills'}, ...boxes)),
    element('figure', {class: 'card'}, curves.box),
    element('div', {class: 'controls'}, log.label, seeds > 1 ? band.label : null, choose('Show all', methods), choose('Show the usual', first)),
    curveTable(learnt));
  curves.begin();
  apply();
}

function raceTable(race) {
  const reference = race.summary.find(row => row.method === race.reference);
  const sd = (value, spread, digits = 3) => [fixed(value, digits), race.options.seeds > 1 && isNumber(value) ? element('small', {}, ` ±${fixed(spread, digits)}`) : ''];
  const cell = (...parts) => element('span', {}, ...parts);
  const faster = row => reference && row.steps_to_reference ? reference.steps_to_reference / row.steps_to_reference : null;
  const columns = [
    {title: 'method', value: row => row.method, label: row => cell(paintedSwatch(row.method), row.method)},
    {title: 'mean loss', help: 'over the whole training', value: row => row.mean_loss, label: row => row.diverged && !isNumber(row.mean_loss) ? 'diverged' : cell(...sd(row.mean_loss, row.mean_loss_spread))},
    {title: 'last loss', help: 'of the last steps', value: row => row.final_loss, label: row => cell(...sd(row.final_loss, row.final_loss_spread))},
    {title: 'accuracy, %', help: 'on test images, with the 95 % interval', value: row => row.test_accuracy,
      label: row => cell(isNumber(row.test_accuracy) ? fixed(row.test_accuracy * 100, 1) : missing, element('small', {}, isNumber(row.accuracy_low) ? ` ${fixed(row.accuracy_low * 100, 0)}–${fixed(row.accuracy_high * 100, 0)}` : ''))},
    {title: 'steps to ref', help: 'to the difference layer’s last loss', value: row => row.steps_to_reference, label: row => row.steps_to_reference ?? 'never'},
    {title: 'fewer', help: 'the difference layer’s steps over these', value: faster, label: row => faster(row) ? `${faster(row).toFixed(1)}×` : missing},
    {title: 'seconds', help: 'to the difference layer’s last loss', value: row => row.seconds_to_reference, label: row => fixed(row.seconds_to_reference, 1)},
    {title: 'step, ms', help: 'one training step on one thread', value: row => row.step_ms, label: row => fixed(row.step_ms, 2)},
    {title: 'residual', help: 'the largest exact |A w − b| in the weights that would be written', value: row => row.residual_max, label: row => residual(row.residual_max)},
    {title: 'rate', help: 'learning rate, the best of those tried', value: row => row.lr, label: row => isNumber(row.lr) ? String(+row.lr.toPrecision(3)) : missing + (row.lr_at_edge ? '*' : '')},
    {title: 'wins', help: 'seeds with a lower mean loss than the difference layer', value: row => row.pairs ? row.wins / row.pairs : null, label: row => row.pairs ? `${row.wins}/${row.pairs}` : missing},
  ];
  const notes = [`“Steps to ref”: steps to the difference layer’s last loss${reference ? ', ' + fixed(reference.final_loss, 3) : ''}.`];
  if (race.summary.some(row => row.lr_at_edge)) notes.push('* the best rate lies at an end of those tried.');
  if (race.test_images < 30) notes.push(`Accuracy on ${plural(race.test_images, 'test image')} is indicative.`);
  section('table', 'The table', element('p', {class: 'quiet'}, 'A click on a heading sorts. ' + notes.join(' ')),
    sortableTable('Summary of the race', columns, race.summary, row => row === reference ? 'reference' : null));
}

function timeSection(race, shown, changes) {
  const timed = race.summary.filter(row => isNumber(row.step_ms)).sort((a, b) => a.step_ms - b.step_ms), methods = race.summary.map(row => row.method);
  const rest = timed.map(row => Math.max(0, row.step_ms - (row.layer_ms || 0)));
  const bars = chart(`Milliseconds of a training step: ${timed.map(row => `${row.method} ${fixed(row.step_ms, 1)}`).join(', ')}.`, {
    type: 'bar', data: {labels: timed.map(row => row.method), datasets: [
      {label: 'the constrained layer', data: timed.map(row => row.layer_ms)}, {label: 'the rest of the network', data: rest}]},
    options: {indexAxis: 'y', interaction: {mode: 'index', intersect: false}, datasets: {bar: {categoryPercentage: .8, barPercentage: .9}},
      scales: {x: axis('milliseconds a step', {stacked: true, beginAtZero: true}), y: axis('', {stacked: true, grid: {display: false}, ticks: {autoSkip: false}})},
      plugins: {tooltip: {callbacks: {label: item => ` ${item.dataset.label}  ${item.raw.toFixed(2)} ms`}}}},
  }, made => {
    made.data.datasets[0].backgroundColor = timed.map(row => colour(row.method));
    made.data.datasets[1].backgroundColor = timed.map(row => colour(row.method, .3));
  });
  const words = 'One step (forward, backward, optimiser) on one thread, measured in turns after the last run.';
  const {kernel, layer_ms} = race.sizes, sized = methods.filter(method => layer_ms[method].some(isNumber));
  const growth = chart(`Milliseconds of the constrained layer by filter size: ${sized.map(method => `${method} ${layer_ms[method].map(short).join(', ')}`).join('; ')}, for sizes ${kernel.join(', ')}.`, {
    type: 'line', data: {datasets: sized.map(method => ({method, label: method, parsing: false, borderWidth: 2, borderDash: dash(method, methods), pointRadius: 3,
      spanGaps: true, data: kernel.map((x, i) => ({x, y: isNumber(layer_ms[method][i]) ? layer_ms[method][i] : null}))}))},
    options: {interaction: {mode: 'index', intersect: false},
      scales: {x: axis('filter size K', {type: 'linear', min: kernel[0], max: kernel[kernel.length - 1], grid: {display: false}, afterBuildTicks: scale => { scale.ticks = kernel.map(value => ({value})); }}),
        y: axis('ms for the layer', {type: 'logarithmic'})},
      plugins: {tooltip: {itemSort: (a, b) => a.parsed.y - b.parsed.y, callbacks: {title: items => items.length ? `${items[0].parsed.x}×${items[0].parsed.x}` : '',
        label: item => ` ${item.dataset.method}  ${item.parsed.y.toFixed(2)} ms`}}}},
  }, made => made.data.datasets.forEach(set => { set.borderColor = set.backgroundColor = set.pointBackgroundColor = colour(set.method); }));
  section('time', 'What a step costs', element('p', {class: 'quiet'}, words),
    element('div', {class: 'columns'},
      element('figure', {class: 'card'}, element('figcaption', {}, 'A step of each method; the strong part is the constrained layer'), bars.box),
      element('figure', {class: 'card'}, element('figcaption', {}, 'The constrained layer alone, by filter size; the methods chosen above'), growth.box)));
  bars.begin();
  growth.begin();
  const apply = () => {
    growth.made.data.datasets.forEach((set, i) => growth.made.setDatasetVisibility(i, shown.has(set.method)));
    growth.made.update('none');
  };
  changes.push(apply);
  apply();
}

function residualSection(race) {
  const ruled = race.summary.filter(row => isNumber(row.residual_max)), exact = ruled.filter(row => row.residual_max === 0);
  if (!ruled.length) return;
  const broken = ruled.filter(row => row.residual_max !== 0);
  section('exact', 'Does the rule hold?',
    element('p', {}, exact.length ? `In the weights as they would be written, ${race.constraint} holds exactly, to the last bit, for ${list(exact.map(row => row.method))}: ` +
      'the residual, computed as a rational number, is 0.' : 'In none of these weights does the rule hold exactly.'),
    broken.length ? element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Rules that do not hold'}, element('table', {'aria-label': 'Rules that do not hold'},
      element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'does not hold it'), element('th', {scope: 'col'}, 'largest |A w − b|'), element('th', {scope: 'col'}, 'mean |A w − b|'))),
      element('tbody', {}, ...broken.map(row => element('tr', {}, element('th', {scope: 'row'}, row.method), element('td', {}, residual(row.residual_max)),
        element('td', {}, isNumber(row.penalty_residual) ? short(row.penalty_residual) : missing)))))) : null);
}

function racePage(race) {
  const looks = race.looks.map(look => ({...look, title: look.method}));
  looks.sort((a, b) => race.summary.findIndex(row => row.method === a.method) - race.summary.findIndex(row => row.method === b.method));
  const methods = race.summary.map(row => row.method), shown = new Set(methods.filter((method, i) => i < 3 || usual.includes(method))), changes = [];
  const penalty = methods.find(method => baseName(method) === 'penalty');
  if (penalty) shown.add(penalty);
  if (methods.length <= 6) methods.forEach(method => shown.add(method));
  document.title = `tare race: ${race.constraint} on ${race.data}`;
  raceHead(race);
  curveSection(race, shown, changes);
  raceTable(race);
  timeSection(race, shown, changes);
  residualSection(race);
  filterSection(looks, `Of the run with seed ${race.options.seed}.`);
  exampleSection(race.examples, looks, `Test patches, as the network sees them, each with its own random brightness; what the network of seed ${race.options.seed} takes them for, and how sure it is.`);
  const tuned = race.tuning ? `rates ${race.tuning.rates.map(String).join(', ')} on seed${race.tuning.seeds.length > 1 ? 's' : ''} ${race.tuning.seeds.join(', ')}` : 'not tuned';
  reproduceSection([['seeds', race.options.seeds > 1 ? `${race.options.seed} to ${race.options.seed + race.options.seeds - 1}` : race.options.seed], ['tuning', tuned], ['start', race.options.init],
    [`network, ${methods[0]}`, race.options.networks[methods[0]]]], 'The same command gives the same numbers, but for the times, with any number of threads.');
}
