'use strict';
/* The page of one training. */

function trainHead(run) {
  page.append(element('p', {class: 'kicker'}, 'tare train'), element('h1', {}, percent(run.accuracy, 1), ' right on images it was not trained on'));
  page.append(element('p', {class: 'lead', id: 'lead'}, `${percent(run.accuracy, 2)} of ${plural(run.patches, 'test patch').replace('patchs', 'patches')} ` +
    `of ${plural(run.images, 'image')}; with other images of the kind it would be ${fixed(run.accuracy_low * 100, 1)} to ${percent(run.accuracy_high, 1)} (95 %). Test loss ${fixed(run.loss, 3)}.`));
  if (run.images < 30) page.append(element('p', {class: 'note'}, `With ${plural(run.images, 'test image')} the accuracy is indicative.`));
  const facts = [['data', run.data], ['steps', run.steps], ['batch', run.batch], ['optimizer', run.optimizer], ['training took', `${fixed(run.seconds, 1)} s`], ['model', run.model]];
  page.append(element('ul', {class: 'facts'}, ...facts.map(([name, value]) => element('li', {}, name + ' ', element('b', {}, String(value))))));
}

/* The mean over so many points before each. */
const trailing = (values, window) => values.map((_, i) => {
  const part = values.slice(Math.max(0, i - window + 1), i + 1);
  return part.reduce((sum, value) => sum + value, 0) / part.length;
});

/* One line over the steps, in the page's accent; with a `window` its trailing mean, and the values themselves pale behind it. */
function lineChart(label, title, values, format, window = 1) {
  const line = (shown, more) => ({label: title, parsing: false, pointRadius: 0, data: data.steps.map((x, i) => ({x, y: shown[i]})), ...more});
  const sets = [line(trailing(values, window), {pointHoverRadius: 4, borderWidth: 2})];
  if (window > 1) sets.push(line(values, {pointHoverRadius: 0, borderWidth: 1, quiet: true}));
  const made = chart(`${label}: from ${format(values[0])} to ${format(values[values.length - 1])}. The arrow keys move through the steps.`, {
    type: 'line', data: {datasets: sets},
    options: {interaction: {mode: 'index', intersect: false},
      scales: {x: axis('training step', {type: 'linear', min: data.steps[0], max: data.steps[data.steps.length - 1], grid: {display: false}}), y: axis(title, {ticks: {callback: value => format(value)}})},
      plugins: {tooltip: {filter: item => !item.dataset.quiet, callbacks: {title: items => items.length ? `step ${items[0].parsed.x}` : '', label: item => ` ${format(item.parsed.y)}`}}}},
  }, chartMade => chartMade.data.datasets.forEach(set => { set.borderColor = set.backgroundColor = set.pointHoverBackgroundColor = styleOf(set.quiet ? '--rule' : '--accent'); }), true);
  return made;
}

function trainCurves(run) {
  const window = 12, loss = lineChart('Training loss by step', 'training loss', data.loss, value => fixed(value, 2), window);
  const accuracy = lineChart('Training accuracy by step', 'accuracy while training', data.accuracy, value => percent(value, 0), window);
  const rate = lineChart('Learning rate by step', 'learning rate', data.lr, value => short(value));
  const log = checkbox('logarithmic scale of the loss', false, on => loss.setType('y', on ? 'logarithmic' : 'linear'));
  section('curves', 'While training', element('p', {class: 'quiet'}, `Means over ${window * run.window} steps; pale behind them ${run.window > 1 ? `means over ${run.window}` : 'every step'}.`),
    element('figure', {class: 'card'}, loss.box), element('div', {class: 'controls'}, log.label),
    element('div', {class: 'columns'}, element('figure', {class: 'card'}, accuracy.box), element('figure', {class: 'card'}, rate.box)));
  [loss, accuracy, rate].forEach(one => one.begin());
}

function ruleSection(run) {
  if (!run.rules.length) return;
  section('exact', 'Do the rules hold?', element('p', {class: 'quiet'}, 'Residuals of the weights in the model file, computed as rational numbers: 0 is exactly 0.'),
    sortableTable('Rules', [
      {title: 'tensor', value: row => row.tensor, label: row => row.tensor},
      {title: 'rule', value: row => row.rule, label: row => element('code', {}, row.rule)},
      {title: 'largest |A w − b|', value: row => row.residual, label: row => residual(row.residual)},
    ], run.rules));
}

function trainPage(run) {
  document.title = `tare train: ${run.data}`;
  trainHead(run);
  trainCurves(run);
  ruleSection(run);
  filterSection([{...run.look, title: run.look.filters ? run.look.filters.tensor : 'first convolution'}], 'The first convolution of the model.');
  exampleSection(run.examples, [{...run.look, title: 'this model'}], 'Test patches, as the network sees them; what it takes them for, and how sure it is.');
  reproduceSection([['seed', run.seed], ['network', run.net]], 'The same command gives the same bits, with any number of threads.');
}
