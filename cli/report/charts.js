'use strict';
/* Charts: Chart.js in the page's colours, with values under the pointer or the arrow keys. */

Chart.defaults.animation = false;
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.plugins.legend.display = false;

function axis(title, more = {}) {
  return {title: {display: true, text: title}, border: {display: false}, ...more};
}

/* Puts the style sheet's colours into a chart's options. */
function dress(options) {
  const ink = styleOf('--ink'), muted = styleOf('--muted'), rule = styleOf('--rule');
  for (const scale of Object.values(options.scales)) {
    scale.ticks = {...scale.ticks, color: muted};
    scale.title.color = muted;
    scale.grid = {...scale.grid, color: rule, borderColor: rule};
  }
  Object.assign(options.plugins.tooltip, {backgroundColor: styleOf('--card'), titleColor: ink, bodyColor: ink, footerColor: muted,
    borderColor: rule, borderWidth: 1, padding: 10, boxPadding: 4, usePointStyle: true});
}

/*
 * A chart in a box of its own. `label` is what a screen reader says; colours(chart) paints the data sets.
 * With the chart in focus the left and right arrows move the values shown, Escape hides them.
 */
function chart(label, config, colours, low = false) {
  const canvas = element('canvas', {role: 'img', tabindex: '0', 'aria-label': label});
  const box = element('div', {class: low ? 'plot low' : 'plot'}, canvas);
  config.options = {responsive: true, maintainAspectRatio: false, ...config.options};
  config.options.plugins = {tooltip: {}, ...config.options.plugins};
  let made = null, at = -1;
  const refresh = () => {
    dress(config.options);
    if (!made) return;
    made.options = config.options;
    colours(made);
    made.update('none');
  };
  painted(refresh);
  /* Chart.js measures its box, which must stand in the page by then. */
  const begin = () => {
    made = new Chart(canvas, config);
    refresh();
  };
  const setType = (name, type) => {
    config.options.scales[name].type = type;
    refresh();
  };
  function show(index) {
    const shown = made.data.datasets.map((set, datasetIndex) => ({datasetIndex, index})).filter(({datasetIndex}) =>
      made.isDatasetVisible(datasetIndex) && !made.data.datasets[datasetIndex].quiet && made.data.datasets[datasetIndex].data[index]);
    if (!shown.length) return;
    const {x, y} = made.getDatasetMeta(shown[0].datasetIndex).data[index];
    at = index;
    made.setActiveElements(shown);
    made.tooltip.setActiveElements(shown, {x, y});
    made.update('none');
  }
  function hide() {
    at = -1;
    made.setActiveElements([]);
    made.tooltip.setActiveElements([], {x: 0, y: 0});
    made.update('none');
  }
  canvas.addEventListener('keydown', event => {
    const points = Math.max(...made.data.datasets.map(set => set.data.length)), stride = Math.max(1, Math.round(points / 60));
    const move = {ArrowLeft: -stride, ArrowRight: stride, Home: -points, End: points}[event.key];
    if (event.key === 'Escape') hide();
    if (move === undefined) return;
    event.preventDefault();
    show(at < 0 ? (move > 0 && event.key !== 'End' ? 0 : points - 1) : Math.min(points - 1, Math.max(0, at + move)));
  });
  canvas.addEventListener('blur', () => { if (at >= 0) hide(); });
  return {box, begin, setType, get made() { return made; }};
}

/* On paper charts are as wide as the column there. */
addEventListener('beforeprint', () => { for (const one of Object.values(Chart.instances)) one.resize(); });
addEventListener('afterprint', () => { for (const one of Object.values(Chart.instances)) one.resize(); });

function checkbox(text, checked, change, before = null) {
  const input = element('input', {type: 'checkbox', checked, onchange: () => change(input.checked)});
  return {input, label: element('label', {class: before ? 'pill' : null}, input, before, before ? '' : ' ', text)};
}

/* The line of a method as it is in the chart. */
function lineSample(method, methods) {
  const space = 'http://www.w3.org/2000/svg', svg = document.createElementNS(space, 'svg'), line = document.createElementNS(space, 'line');
  for (const [key, value] of Object.entries({width: 20, height: 8, 'aria-hidden': 'true'})) svg.setAttribute(key, value);
  for (const [key, value] of Object.entries({x1: 0, x2: 20, y1: 4, y2: 4, 'stroke-width': 2.5, 'stroke-dasharray': dash(method, methods).join(' ')}))
    line.setAttribute(key, value);
  svg.append(line);
  painted(() => line.setAttribute('stroke', colour(method)));
  return svg;
}
